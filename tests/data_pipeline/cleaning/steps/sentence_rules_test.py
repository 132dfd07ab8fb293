import numpy as np

from data_pipeline.cleaning.steps.sentence_rules import Quality, Split
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops


def test_lines_become_sentences_with_single_spaces():
    document = Document(["One  is.\tTwo is.", "Three\u2028is."], "", "en")
    Split().apply(document, Drops())
    assert document.lines == ["One is.", "Two is.", "Three", "is."]


class Model:
    """Scores sentences by their length; 5 is the median."""

    def threshold(self, share):
        return {0.5: 5.0}[share]

    def scores(self, sentences):
        return np.array([len(one) for one in sentences], np.float32)


def test_sentences_under_the_threshold_go():
    document, dropped = Document(["abcd", "abcde"], "", "en"), []
    Quality(Model(), 0.5).apply(document, Drops(dropped.append))
    assert document.lines == ["abcde"]
    assert [(one.reason, one.text) for one in dropped] == [
        ("not of the best 0.5", "abcd")
    ]
