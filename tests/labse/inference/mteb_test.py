"""Our models in MTEB as they are, its scores against ours."""

import numpy as np
import pytest
import scipy.stats

import labse
from labse.errors import InputError
from labse.search.exact_search import exact_search

mteb = pytest.importorskip(
    "mteb", reason="mteb is not installed: pip install 'labse[parity]'"
)
datasets = pytest.importorskip("datasets")

ENGLISH = ["hello world", "the house", "good day", "hello the", "big world"]
OTHER = ["мир", "hello welt", "das haus", "guten tag", "hello die"]
GOLD = [4.5, 0.5, 3.0, 2.0, 1.0]


def metadata(name, kind, score):
    return mteb.TaskMetadata(
        name=name,
        description="in memory",
        reference=None,
        dataset={"path": "none", "revision": "none"},
        type=kind,
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=score,
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )


class Bitext(mteb.abstasks.AbsTaskBitextMining):
    metadata = metadata("InMemoryBitext", "BitextMining", "f1")

    def load_data(self, **_):
        columns = {"sentence1": OTHER, "sentence2": ENGLISH}
        split = datasets.Dataset.from_dict(columns)
        self.dataset = datasets.DatasetDict({"test": split})
        self.data_loaded = True


class Similarity(mteb.abstasks.AbsTaskSTS):
    metadata = metadata("InMemorySTS", "STS", "cosine_spearman")
    min_score, max_score = 0, 5

    def load_data(self, **_):
        columns = {"sentence1": OTHER, "sentence2": ENGLISH, "score": GOLD}
        split = datasets.Dataset.from_dict(columns)
        self.dataset = datasets.DatasetDict({"test": split})
        self.data_loaded = True


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run)


def scores(model, task):
    result = mteb.evaluate(
        model, task, cache=None, encode_kwargs={"batch_size": 2}
    )
    return result.task_results[0].scores["test"][0]


def test_bitext_mining(model):
    # MTEB calls "f1" the mean over the texts of one side of the F1 of finding
    # the right one; its "accuracy" is our P@1 by line.
    found = scores(model, Bitext())
    english, other = model.encode(ENGLISH), model.encode(OTHER)
    nearest, _ = exact_search(other, english)
    accuracy = np.mean(nearest[:, 0] == np.arange(len(OTHER)))
    assert found["accuracy"] == pytest.approx(accuracy)
    assert 0 <= found["f1"] <= 1


def test_similarity(model):
    found = scores(model, Similarity())
    cosines = np.sum(model.encode(ENGLISH) * model.encode(OTHER), axis=1)
    assert found["cosine_pearson"] == pytest.approx(
        scipy.stats.pearsonr(GOLD, cosines).statistic, abs=1e-5
    )
    assert found["cosine_spearman"] == pytest.approx(
        scipy.stats.spearmanr(GOLD, cosines).statistic, abs=1e-5
    )


def test_batches_of_mteb_are_flattened(model):
    batches = [{"text": ENGLISH[:2]}, {"text": ENGLISH[2:]}]
    vectors = model.encode(batches, task_metadata=None, hf_split="test")
    np.testing.assert_allclose(vectors, model.encode(ENGLISH), atol=1e-6)


def test_an_argument_that_nobody_knows(model):
    with pytest.raises(InputError, match="Received: batchsize."):
        model.encode(ENGLISH, batchsize=3)
