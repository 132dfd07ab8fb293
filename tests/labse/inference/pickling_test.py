"""A model is pickled as where and how it was loaded."""

import copy
import pickle
import shutil

import numpy as np
import pytest

import labse
from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.inference.encoder_model import EncoderModel
from labse.preprocessing.tokenizer import WordPieceTokenizer

TEXTS = ["hello", "the world", "hello " * 9]


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run, "bfloat16", max_length=8)


@pytest.fixture(scope="module")
def expected(model):
    return model.encode(TEXTS, on_truncation="ignore")


def assert_equal(other, model, expected):
    assert (other.max_length, other.dimension) == (8, 32)
    assert other.fingerprint == model.fingerprint
    vectors = other.encode(TEXTS, on_truncation="ignore")
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("library", ["pickle", "cloudpickle", "joblib"])
def test_in_another_process(model, expected, run_python, tmp_path, library):
    """Another current folder, too: the path is kept absolute."""
    module = pytest.importorskip(library)
    with open(tmp_path / "model", "wb") as file:
        module.dump(model, file)
    assert (tmp_path / "model").stat().st_size < 2000
    code = (
        f"import {library}, numpy\n"
        f"model = {library}.load(open('model', 'rb'))\n"
        f"vectors = model.encode({TEXTS!r}, on_truncation='ignore')\n"
        "numpy.save('vectors', vectors)\n"
        "print(model.max_length, model.fingerprint)"
    )
    result = run_python("-c", code, cwd=tmp_path, timeout=60)
    assert result.stdout == f"8 {model.fingerprint}\n", result.stderr
    vectors = np.load(tmp_path / "vectors.npy")
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_relative_paths_and_stated_arguments(
    small_run, model, expected, monkeypatch
):
    monkeypatch.chdir(small_run.parent)
    loaded = labse.load(
        small_run.name, "bfloat16", max_length=8, vocabulary="run/vocab.txt"
    )
    pickled = pickle.dumps(loaded)
    monkeypatch.chdir("/")
    assert_equal(pickle.loads(pickled), model, expected)


def test_a_length_that_was_set_goes_along(small_run, model, expected):
    other = labse.load(small_run, "bfloat16")
    other.max_length = 8
    assert_equal(pickle.loads(pickle.dumps(other)), model, expected)


def test_a_bound_method(model, expected):
    encode = pickle.loads(pickle.dumps(model.encode))
    vectors = encode(TEXTS, on_truncation="ignore")
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_a_saved_model(text_export):
    model = labse.load(text_export)
    other = pickle.loads(pickle.dumps(model))
    assert other.fingerprint == model.fingerprint
    np.testing.assert_array_equal(other.encode(["ab"]), model.encode(["ab"]))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_share_the_weights(model, expected, copied):
    other = copied(model)
    assert_equal(other, model, expected)
    assert other._word_table is model._word_table
    other.max_length = 4
    assert model.max_length == 8
    assert_equal(model, model, expected)


def test_another_model_at_the_place_is_refused(small_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    pickled = pickle.dumps(labse.load(folder))
    pickle.loads(pickled)
    config = (folder / "config.yaml").read_text("utf-8")
    assert "pooling: cls\n" in config
    (folder / "config.yaml").write_text(
        config.replace("pooling: cls\n", "pooling: mean\n")
    )
    with pytest.raises(InputError, match=f"{folder} is another model"):
        pickle.loads(pickled)
    shutil.rmtree(folder)
    with pytest.raises(
        InputError, match=f"every machine .* {folder}.*not exist"
    ):
        pickle.loads(pickled)


def test_a_model_without_a_path_says_so(small_run):
    encoder, config, vocabulary = run_folder.load_encoder(str(small_run))
    model = EncoderModel(encoder, WordPieceTokenizer(vocabulary), 8)
    with pytest.raises(InputError, match="Save it as a run folder"):
        pickle.dumps(model)
    vectors = copy.deepcopy(model).encode(TEXTS[:2])
    np.testing.assert_array_equal(vectors, model.encode(TEXTS[:2]))


LABELS = ["a", "b", "a"]


@pytest.mark.parametrize("as_function", [False, True])
def test_scikit_learn(model, tmp_path, as_function):
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    step = FunctionTransformer(model.encode) if as_function else model
    pipeline = make_pipeline(step, LogisticRegression(C=1e4))
    fitted = sklearn.base.clone(pipeline).fit(TEXTS, LABELS)
    assert list(fitted.predict(TEXTS)) == LABELS
    # The same as without a pipeline.
    alone = LogisticRegression(C=1e4).fit(model.encode(TEXTS), LABELS)
    expected = alone.predict_proba(model.encode(["world", "x"]))
    found = fitted.predict_proba(["world", "x"])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    search = GridSearchCV(pipeline, {"logisticregression__C": [1e3, 1e4]}, cv=2)
    search.fit(TEXTS * 4, LABELS * 4)
    assert search.best_score_ == 1
    repr(pipeline), pipeline._repr_html_()
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(
        loaded.predict_proba(["world", "x"]), expected, atol=1e-5
    )


def test_scikit_learn_clones_a_model(model, expected):
    sklearn = pytest.importorskip("sklearn")
    clone = sklearn.base.clone(model)
    assert clone is not model
    assert_equal(clone, model, expected)
    vectors = clone.fit(TEXTS).transform(TEXTS)
    np.testing.assert_array_equal(vectors, clone.fit_transform(TEXTS, LABELS))


def test_scikit_learn_sets_the_length(model):
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(model, LogisticRegression(C=1e4))
    assert pipeline.get_params()["encodermodel__max_length"] == 8
    clone = sklearn.base.clone(pipeline)
    assert clone.set_params(encodermodel__max_length=16) is clone
    assert sklearn.base.clone(clone)[0].max_length == 16
    assert model.max_length == 8
    # With three tokens all texts are the same.
    texts = ["the hello", "the world"]
    search = GridSearchCV(pipeline, {"encodermodel__max_length": [3, 12]}, cv=2)
    search.fit(texts * 2, [0, 1] * 2)
    assert search.best_params_ == {"encodermodel__max_length": 12}
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], [0.5, 1]
    )
    assert search.best_estimator_[0].max_length == 12
    assert model.max_length == 8
    repr(search), search._repr_html_()


def test_scikit_learn_sets_nothing_else(model):
    with pytest.raises(
        InputError, match="has the parameters max_length. Received: batch_size"
    ):
        model.set_params(max_length=9, batch_size=3)
    with pytest.raises(InputError, match="from 3 .* to 64"):
        model.set_params(max_length=65)
    assert model.max_length == 8
