"""Splitting into sentences, and the quality of sentences."""

from data_pipeline.cleaning.steps.step import drop_line
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from data_pipeline.sentences.splitter import split_sentences


class Split:
    """Splits lines into sentences; section 3.1 of the paper.

    White space within a sentence becomes one space. Nothing is dropped.
    """

    name = "split"

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        language = document.language
        document.lines = [
            " ".join(sentence.split())
            for line in document.lines
            for sentence in split_sentences(line, language)
        ]


class Quality:
    """Drops sentences that look like the rest of a page, not its main text.

    The classifier of footnote 8 of the paper, which kept about half.
    """

    name = "quality"

    def __init__(self, model, share_kept: float):
        """Takes a `QualityModel` and the share to keep."""
        self._model = model
        self._threshold = model.threshold(share_kept)
        self._reason = f"not of the best {share_kept:g}"

    def apply(self, document: Document, drops: Drops) -> None:
        """See `Step`."""
        if not document.lines:
            return
        kept = []
        scores = self._model.scores(document.lines)
        for line, score in zip(document.lines, scores, strict=True):
            if score >= self._threshold:
                kept.append(line)
            else:
                drop_line(self.name, self._reason, document, line, drops)
        document.lines = kept
