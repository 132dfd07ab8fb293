"""A training pair as it stands in a row of a file.

What a pair must have, in every program, is said by `labse.files.pairs`.
Training reads two fields more, which may be missing.

`hard_negatives`, the hardest first: sentences of the target's language that do
not translate its source. In a TFRecord they are the strings of the feature, in
JSON and Parquet a list of strings, in a TSV a cell and in TMX a property that
holds them as a JSON list; an empty cell is none.

`corpus`: which collection of texts the pair is of. `data.corpus_weights` speaks
of it.
"""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from labse.features import CORPUS, HARD_NEGATIVES
from labse.files.formats.tfrecord import TFRECORD
from labse.files.kinds import Kind, kind_of
from labse.files.pairs import Files, PairFile
from labse.files.reading import (
    Fields,
    MalformedRow,
    ReadOptions,
    Tally,
    optional_text,
)

# A row's source, target and their languages; `labse.files.pairs` has it.
ParsePair = Callable[[Fields], tuple[str, str, str, str]]


class TrainingPair(NamedTuple):
    """One pair; texts in UTF-8."""

    source: bytes
    target: bytes
    source_language: str
    target_language: str
    hard_negatives: tuple[bytes, ...]
    corpus: str  # "" without a corpus


class TrainingPairs(Files):
    """The training pairs of many files; iterating yields `TrainingPair`s.

    It raises `InputError` at the end where too many rows are malformed.
    """

    def open(self, path: str) -> "_TrainingPairFile":
        """The training pairs of one of the files."""
        return _TrainingPairFile(path, self.options, self.tally)

    def __iter__(self) -> Iterator[TrainingPair]:
        return self.read()


class _TrainingPairFile:
    def __init__(self, path: str, options: ReadOptions, tally: Tally):
        file = PairFile(path, options, tally)
        self.rows, self._parse_pair = file.rows, file.parse
        self._kind, self._tally = kind_of(path), tally

    def __iter__(self) -> Iterator[TrainingPair]:
        kind, parse_pair = self._kind, self._parse_pair
        pairs = self.rows.parsed(
            lambda number, row: parse(row, kind, parse_pair), self._tally
        )
        return filter(None, pairs)


def parse(fields: Fields, kind: Kind, parse_pair: ParsePair) -> TrainingPair:
    """A row's pair; raises `MalformedRow` where it is none."""
    source, target, source_language, target_language = parse_pair(fields)
    negatives = fields.get(HARD_NEGATIVES)
    if negatives:
        negatives = _negatives(negatives, kind)
    return TrainingPair(
        source.encode(),
        target.encode(),
        source_language,
        target_language,
        negatives or (),
        optional_text(fields, CORPUS),
    )


def _negatives(value: object, kind: Kind) -> tuple[bytes, ...]:
    if isinstance(value, bytes):
        raise _malformed("is not UTF-8")
    if isinstance(value, str):
        # A single string of a TFRecord stands without a list.
        value = [value] if kind.format is TFRECORD else _json_list(value)
    if not isinstance(value, list) or not all(
        isinstance(text, str) for text in value
    ):
        raise _malformed("is not a list of strings")
    if not all(text.strip() for text in value):
        raise _malformed("has an empty text")
    return tuple(text.encode() for text in value)


def _json_list(cell: str) -> object:
    if not cell.strip():
        return []
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"is not JSON: {error}") from error


def _malformed(what: str) -> MalformedRow:
    return MalformedRow(
        f"bad {HARD_NEGATIVES}",
        f"{HARD_NEGATIVES} must be a list of texts (in a TSV, as JSON). This "
        f"one {what}",
    )
