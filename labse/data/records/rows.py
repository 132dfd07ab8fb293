"""The rows that records are made of."""

from collections.abc import Iterable, Iterator

from labse.data.records.groups import PAIRS, TEXT
from labse.data.records.pair_record import TrainingPair, TrainingPairs
from labse.files.texts import TextsWithCorpora


class PairRows(TrainingPairs):
    """Training pairs of files."""

    def rows(self, opened: Iterable[TrainingPair]) -> Iterator[TrainingPair]:
        """Those of a file that `open` opened."""
        return iter(opened)


class TextRows(TextsWithCorpora):
    """Texts of files: language, text in UTF-8 and corpus."""

    def rows(
        self, opened: Iterable[tuple[str, str, str]]
    ) -> Iterator[tuple[str, bytes, str]]:
        """Those of a file that `open` opened."""
        return (
            (language, text.encode(), corpus)
            for language, text, corpus in opened
        )


# By the kind of records.
READERS = {PAIRS: PairRows, TEXT: TextRows}
