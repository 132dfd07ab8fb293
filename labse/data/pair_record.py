"""A training pair from a row of a file.

`labse.files.pairs` reads what every program needs. Training reads two more
fields, both optional.

`hard_negatives`, the hardest first: sentences of the target's language that do
not translate the source. A TFRecord has them as the strings of the feature,
JSON and Parquet as a list of strings, a TSV as a cell with a JSON list (or
nothing).

`corpus`: the name of the corpus the pair belongs to, for `data.corpus_weights`.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from labse.features import CORPUS, HARD_NEGATIVES
from labse.files.fields import optional_text
from labse.files.kinds import TFRECORD, Kind
from labse.files.reading import MalformedRow
from labse.files.rows import Fields

# A row's source, target and their languages, as `labse.files.pairs` reads them.
ParsePair = Callable[[Fields], tuple[str, str, str, str]]


class TrainingPair(NamedTuple):
    """One pair; texts are UTF-8."""

    source: bytes
    target: bytes
    source_language: str
    target_language: str
    hard_negatives: tuple[bytes, ...]
    corpus: str  # "" without a corpus

    @property
    def languages(self) -> str:
        """The name of the language pair, "en-de"."""
        return f"{self.source_language}-{self.target_language}"


def parse_training_pair(
    fields: Fields, kind: Kind, parse_pair: ParsePair
) -> TrainingPair:
    """The pair of a row; raises `MalformedRow`."""
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
        # TFRecord: a feature of one string is read as that string.
        value = [value] if kind.rows == TFRECORD else _json_list(value)
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
