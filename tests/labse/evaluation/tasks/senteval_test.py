"""The protocol against a plain form of it, with planted embeddings."""

import json
import sys
import warnings
import zlib

import numpy as np
import pytest
from sklearn import linear_model, metrics, model_selection
from sklearn.exceptions import ConvergenceWarning

from labse.errors import InputError
from labse.evaluation import published, results, statistics
from labse.evaluation.tasks import senteval

_DIM = 6
_KINDS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")


def _noise(text, dim=_DIM):
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=dim)


def _encode(texts):
    """A word "class3" adds to component 3, beside noise from the text."""
    vectors = [_noise(text) for text in texts]
    for text, vector in zip(texts, vectors, strict=True):
        for word in text.split():
            if word.startswith("class"):
                vector[int(word.removeprefix("class"))] += 2
    return np.array(vectors, np.float32)


def _sentences(label, count, seed=0):
    """Sentences of 1 to 8 words more, in no order."""
    lengths = np.random.default_rng(seed + label).integers(0, 8, count)
    return [
        " ".join([f"class{label}", f"s{seed}n{number}", *(["word"] * length)])
        for number, length in enumerate(lengths)
    ]


def _write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


def _write_cr(folder, positive=30, negative=45):
    _write(folder / "CR" / "custrev.pos", _sentences(1, positive))
    _write(folder / "CR" / "custrev.neg", _sentences(0, negative))


def _sst2_part(part):
    """(text, label): 15 more of label 0, so that the strength matters."""
    seed, count = {"train": (0, 30), "dev": (1, 20), "test": (2, 25)}[part]
    return [
        (text, label)
        for label in (0, 1)
        for text in _sentences(label, count + 15 * (1 - label), seed)
    ]


def _write_sst2(folder, name="SST2"):
    for part in ("train", "dev", "test"):
        _write(
            folder / name / f"sentiment-{part}",
            [f"{text} \t{label}" for text, label in _sst2_part(part)],
        )


def _write_trec(folder, count=15):
    for seed, (file, size) in enumerate(
        {"train_5500": count, "TREC_10": 5}.items()
    ):
        _write(
            folder / "TREC" / f"{file}.label",
            [
                f"{kind}:other {text} ?"
                for label, kind in enumerate(_KINDS)
                for text in _sentences(label, size, seed)
            ],
        )


def _write_mrpc(folder):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    for seed, (part, count) in enumerate({"train": 40, "test": 25}.items()):
        lines = [header]
        for first, second in zip(
            _sentences(2, count, seed), _sentences(3, count, seed), strict=True
        ):
            lines.append(f"1\t1\t2\t{first}\tclass2 class2 {second[7:]}")
            lines.append(f"0\t3\t4\t{first}\t{second}")
        _write(folder / "MRPC" / f"msr_paraphrase_{part}.txt", lines)


def _converged(strength):
    # Another solver, another precision, no warm start.
    return linear_model.LogisticRegression(
        C=strength, tol=1e-9, max_iter=100_000
    )


def _plain_folds(number=10):
    return model_selection.StratifiedKFold(
        number, shuffle=True, random_state=1111
    )


@pytest.fixture
def three_folds(monkeypatch):
    """Nested folds take 610 fits of ten, 57 of three."""
    monkeypatch.setattr(senteval, "_NUM_FOLDS", 3)


def _plain_best(strengths, features, labels, folds=10):
    scores = [
        model_selection.cross_val_score(
            _converged(strength), features, labels, cv=_plain_folds(folds)
        ).mean()
        for strength in strengths
    ]
    return strengths[int(np.argmax(np.round(100 * np.array(scores), 2)))]


def _plain_features(lines_and_labels):
    """In SentEval's order: stable by number of words, then by label."""
    rows = sorted(lines_and_labels, key=lambda row: row[1])
    rows = sorted(rows, key=lambda row: len(row[0].split()))
    texts, labels = zip(*rows, strict=True)
    return _encode(texts).astype(np.float64), np.array(labels)


@pytest.mark.parametrize("length", [1 / 4, 1 / 32])
def test_nested_cross_validation_is_the_plain_form(
    tmp_path, three_folds, length
):
    _write_cr(tmp_path)
    # Short vectors and classes of two sizes: the strength matters.
    result = senteval.evaluate(lambda texts: _encode(texts) * length, tmp_path)
    row = result.rows[0]
    features, labels = _plain_features(
        [(text, 1) for text in _sentences(1, 30)]
        + [(text, 0) for text in _sentences(0, 45)]
    )
    features *= length
    strengths, right = [], np.zeros(75)
    folds = []
    for train, test in _plain_folds(3).split(features, labels):
        strengths.append(
            _plain_best(
                [0.25, 0.5, 1, 2, 4, 8], features[train], labels[train], 3
            )
        )
        model = _converged(strengths[-1]).fit(features[train], labels[train])
        right[test] = model.predict(features[test]) == labels[test]
        folds.append(right[test].mean())
    assert (row.name, row.num_items) == ("CR", 75)
    assert row.details["strengths"] == strengths
    assert len(set(strengths)) > 1
    np.testing.assert_array_equal(row.figures["accuracy"].outcomes, right)
    assert 0.6 < row.figures["accuracy"].value == right.mean() < 1
    assert row.details["mean_of_folds"] == pytest.approx(np.mean(folds))


def test_sst2_takes_the_strength_from_its_dev_file(tmp_path):
    _write_sst2(tmp_path)
    row = senteval.evaluate(lambda texts: _encode(texts) / 8, tmp_path).rows[0]
    parts = {}
    for part in ("train", "dev", "test"):
        features, labels = _plain_features(_sst2_part(part))
        parts[part] = features / 8, labels
    models = [
        _converged(strength).fit(*parts["train"])
        for strength in (0.25, 0.5, 1, 2, 4, 8)
    ]
    best = max(models, key=lambda model: model.score(*parts["dev"]))
    # The test file would choose another.
    assert best.score(*parts["test"]) < models[-1].score(*parts["test"])
    assert row.details == {"strengths": [best.C]}
    features, labels = parts["test"]
    np.testing.assert_array_equal(
        row.figures["accuracy"].outcomes, best.predict(features) == labels
    )


def test_trec_takes_the_strength_from_folds_of_its_train_file(tmp_path):
    _write_trec(tmp_path)
    row = senteval.evaluate(_encode, tmp_path).rows[0]
    train, test = (
        _plain_features(
            [
                (f"{text} ?", label)
                for label in range(6)
                for text in _sentences(label, count, seed)
            ]
        )
        for seed, count in enumerate((15, 5))
    )
    best = _plain_best([0.5, 1, 2, 4, 8, 16, 32], *train)
    assert row.details == {"strengths": [best]}
    model = _converged(best).fit(*train)
    np.testing.assert_array_equal(
        row.figures["accuracy"].outcomes, model.predict(test[0]) == test[1]
    )
    assert 0.5 < row.figures["accuracy"].value < 1


def test_mrpc_looks_at_difference_and_product(tmp_path):
    _write_mrpc(tmp_path)
    row = senteval.evaluate(_encode, tmp_path).rows[0]

    def features(count, seed):
        first = _sentences(2, count, seed)
        second = _sentences(3, count, seed)
        rows = [
            row
            for one, two in zip(first, second, strict=True)
            for row in ((one, f"class2 class2 {two[7:]}", 1), (one, two, 0))
        ]
        rows.sort(key=lambda row: (*map(_words, row[:2]), row[2]))
        one = _encode([row[0] for row in rows]).astype(np.float64)
        two = _encode([row[1] for row in rows]).astype(np.float64)
        return np.hstack([abs(one - two), one * two]), np.array(
            [row[2] for row in rows]
        )

    best = _plain_best([0.5, 1, 2, 4, 8, 16, 32], *features(40, 0))
    model = _converged(best).fit(*features(40, 0))
    test, labels = features(25, 1)
    predicted = model.predict(test)
    assert row.details["strengths"] == [best]
    assert row.figures["accuracy"].value == np.mean(predicted == labels)
    found = row.details["f1"]
    assert found["value"] == pytest.approx(metrics.f1_score(labels, predicted))
    assert found["low"] < found["value"] < found["high"]


def _words(text):
    return len(text.split())


def test_f1_by_hand():
    # Two found of three, one of them wrong: precision 1/2, recall 1/3.
    labels = np.array([1, 1, 1, 0, 0])
    predicted = np.array([1, 0, 0, 1, 0])
    assert senteval.f1(labels, predicted).value == pytest.approx(2 / 5)
    assert senteval.f1(np.zeros(3, int), np.zeros(3, int)).value == 0


def test_embeddings_that_know(tmp_path):
    _write_cr(tmp_path, 60, 60)

    def know(texts):
        return np.array([["class1" in text, 1] for text in texts], np.float32)

    result = senteval.evaluate(know, tmp_path)
    assert result.rows[0].figures["accuracy"].metrics() == {
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    # Every C will do in each of ten folds: SentEval takes the first.
    assert result.rows[0].details["strengths"] == [0.25] * 10
    assert result.mistakes == []


def test_embeddings_that_do_not(tmp_path, three_folds):
    _write_cr(tmp_path, 60, 60)

    def guess(texts):
        return np.array([_noise(text) for text in texts], np.float32)

    chance = senteval.evaluate(guess, tmp_path).rows[0].figures["accuracy"]
    assert chance.low < 0.5 < chance.high


def test_what_a_reader_sees(tmp_path, three_folds):
    _write_cr(tmp_path)
    _write_sst2(tmp_path, "SST/binary")
    encoded = []

    def encode(texts):
        encoded.append(texts)
        return _encode(texts)

    result = senteval.evaluate(encode, tmp_path)
    assert result.published == [published.SENTEVAL]
    assert [row.name for row in result.rows] == ["CR", "SST2"]
    assert result.explanation.endswith(
        f"Not in {tmp_path}: MR, SUBJ, MPQA, TREC, MRPC."
    )
    assert len(encoded) == 1
    assert len(set(encoded[0])) == len(encoded[0])
    json.dumps(result.metrics())
    worst = result.mistakes[0]
    assert worst.row == "CR"
    assert {worst.found, worst.expected} == {"negative", "positive"}
    right_class = {"negative": "class0", "positive": "class1"}
    assert right_class[worst.expected] in worst.query
    assert worst.score > 0.5 > worst.expected_score
    assert worst.score + worst.expected_score == pytest.approx(1)


def test_two_models_are_compared_item_by_item(tmp_path, three_folds):
    _write_cr(tmp_path)

    def weaker(texts):
        vectors = _encode(texts)
        vectors[:, :2] = 0
        return vectors

    one = senteval.evaluate(_encode, tmp_path)
    other = senteval.evaluate(weaker, tmp_path)
    assert results.p_values(one, other)["CR"] < 0.01
    assert results.p_values(one, one)["CR"] == 1
    right = one.rows[0].figures["accuracy"].outcomes
    assert statistics.paired_p_value(right, right) == 1


class _Unwilling:
    """A classifier that converges only in float64, or never."""

    solver = "newton-cholesky"

    def __init__(self, wanted):
        self.wanted = wanted
        self.tries = []

    def set_params(self, max_iter):
        self.max_iter = max_iter

    def fit(self, features, labels):
        self.tries.append((features.dtype.name, self.max_iter))
        if features.dtype != self.wanted:
            warnings.warn("too slow", ConvergenceWarning, stacklevel=2)


def test_no_fit_stops_early():
    features = np.full([3, 2], 1e9, np.float32)
    patient = _Unwilling(np.float64)
    senteval._fit(patient, features, np.zeros(3))
    assert patient.tries == [("float32", 1000), ("float64", 100_000)]
    with pytest.raises(
        InputError, match=r"did not converge.*3 vectors.*1e\+09.*too slow"
    ):
        senteval._fit(_Unwilling(np.int64), features, np.zeros(3))


def test_fits_of_several_classes_reach_the_minimum():
    """By the gradient of the loss, in float64.

    The loss is C times the sum of -log p, plus half the squared weights.
    """
    random = np.random.default_rng(0)
    labels = random.integers(0, 6, 600)
    features = random.normal(size=[600, 24]).astype(np.float32)
    features[:, :6] += 0.7 * np.eye(6, dtype=np.float32)[labels]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    strengths = (0.5, 8.0, 32.0)
    fitted = senteval._fitted(features, labels, strengths)
    for strength, model in zip(strengths, fitted, strict=True):
        scores = features.astype(np.float64) @ model.coef_.T + model.intercept_
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        wrong = exponents / exponents.sum(axis=1, keepdims=True)
        wrong[np.arange(600), labels] -= 1
        gradient = strength * wrong.T @ features + model.coef_
        # Of the mean over the examples; in float32 it was 6e-6.
        assert np.abs(gradient).max() / (strength * 600) < 2e-8


def test_vectors_of_very_different_scales_converge(tmp_path, three_folds):
    _write_cr(tmp_path)
    scales = np.array([1e4, 1e-4, 1, 1e3, 10, 1], np.float32)
    row = senteval.evaluate(lambda texts: scales * _encode(texts), tmp_path)
    assert row.rows[0].num_items == 75


def test_without_scikit_learn(tmp_path, monkeypatch):
    _write_cr(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"pip install 'labse\[evaluation\]'"):
        senteval.evaluate(_never, tmp_path)


def _never(texts):
    raise AssertionError("the files must be checked before anything is encoded")


def test_files_are_checked_first(tmp_path):
    _write_cr(tmp_path)
    (tmp_path / "CR" / "custrev.neg").unlink()
    with pytest.raises(InputError, match=r"custrev\.neg is missing"):
        senteval.evaluate(_never, tmp_path)


def test_nan_is_told(tmp_path):
    _write_cr(tmp_path)
    with pytest.raises(InputError, match="not finite"):
        senteval.evaluate(
            lambda texts: np.full([len(texts), 2], np.nan), tmp_path
        )
