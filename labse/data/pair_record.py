"""A training pair as it stands in a record of a file.

Records are lines of a TSV, or tf.train.Example of a TFRecord, with the names of
`labse.features.PAIR_COLUMNS`, of which only source and target must be there.

A pair may bring hard negatives, the hardest first: sentences of the target's
language that do not translate its source. In a TFRecord they are the strings
of the feature `hard_negatives`, in a TSV its column `hard_negatives` holds
them as a JSON list; an empty cell is none. It may name its corpus, the feature
or column `corpus`, which `data.corpus_weights` speaks of.
"""

import json
from typing import NamedTuple

import tensorflow as tf

from labse.features import (
    CORPUS,
    HARD_NEGATIVES,
    SOURCE,
    SOURCE_LANGUAGE,
    TARGET,
    TARGET_LANGUAGE,
)

UNKNOWN_LANGUAGE = "und"  # BCP 47.


class Pair(NamedTuple):
    """One pair; texts in UTF-8."""

    source: bytes
    target: bytes
    source_language: str
    target_language: str
    hard_negatives: tuple[bytes, ...]
    corpus: str  # empty where it names none

    @property
    def languages(self) -> str:
        """Both languages' name, "en-de"."""
        return f"{self.source_language}-{self.target_language}"


def parse(record: bytes, columns: tuple[str, ...]) -> Pair:
    """A record's pair; raises ValueError or KeyError where it is none."""
    if columns:
        values = record.rstrip(b"\r").split(b"\t")
        if len(values) != len(columns):
            raise ValueError(
                f"{len(values)} columns, the header has {len(columns)}"
            )
        fields = dict(zip(columns, values, strict=True))
        negatives = _json_list(fields.get(HARD_NEGATIVES, b""))
    else:
        example = tf.train.Example.FromString(record)
        features = example.features.feature
        fields = {
            name: feature.bytes_list.value[0]
            for name, feature in features.items()
            if feature.bytes_list.value
        }
        negatives = ()
        other = [
            name
            for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE, CORPUS)
            if name in features
            and features[name].WhichOneof("kind") not in (None, "bytes_list")
        ]
        if other:
            raise ValueError(f"the feature {other[0]} is not of bytes")
        if HARD_NEGATIVES in fields:
            negatives = tuple(features[HARD_NEGATIVES].bytes_list.value)
    source, target = fields[SOURCE], fields[TARGET]
    for text in (source, target, *negatives):
        text.decode()
    if not source.strip() or not target.strip():
        raise ValueError("source or target is empty")
    if not all(text.strip() for text in negatives):
        raise ValueError("a hard negative is empty")
    languages = (
        fields.get(name, b"").decode() or UNKNOWN_LANGUAGE
        for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE)
    )
    corpus = fields.get(CORPUS, b"").decode()
    return Pair(source, target, *languages, negatives, corpus)


def _json_list(cell: bytes) -> tuple[bytes, ...]:
    """The strings of a TSV's cell of hard negatives."""
    if not cell.strip():
        return ()
    try:
        texts = json.loads(cell)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{HARD_NEGATIVES} is no JSON: {error}") from error
    if not isinstance(texts, list) or not all(
        isinstance(text, str) for text in texts
    ):
        raise ValueError(f"{HARD_NEGATIVES} is no JSON list of strings")
    return tuple(text.encode() for text in texts)
