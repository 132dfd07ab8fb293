"""Rows of files to records: serialised tf.train.Examples, each with its group.

docs/records.md has the features.
"""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from labse.data.records.example_bytes import (
    bytes_feature,
    example,
    ids_head,
    int64_feature,
    text_head,
)
from labse.data.records.groups import LANGUAGES, PAIRS
from labse.data.records.pair_record import TrainingPair
from labse.errors import InputError
from labse.features import (
    CORPUS,
    GROUP,
    HARD_NEGATIVES,
    HARD_NEGATIVES_IDS,
    HARD_NEGATIVES_LENGTHS,
    SOURCE,
    SOURCE_IDS,
    TARGET,
    TARGET_IDS,
    TEXT,
    TEXT_IDS,
)
from labse.files.chunks import chunked

# Each group has a column in counts.npy and records that wait to be dealt.
MAX_GROUPS = 2**14
# Texts that are tokenized at once.
_CHUNK_ROWS = 1024
_CHUNK_BYTES = 2**22
_IDS_OF = {SOURCE: SOURCE_IDS, TARGET: TARGET_IDS, TEXT: TEXT_IDS}
# Of the bytes of packed ids, all but the last one of each id.
_NOT_LAST = bytes(range(128, 256))

# Language, text in UTF-8, corpus.
CorpusText = tuple[str, bytes, str]


class _Group(NamedTuple):
    """The features that all records of a group share, around the others."""

    number: int
    head: bytes  # its corpus and number
    languages: tuple[bytes, ...]  # one each


class RecordEncoder:
    """Makes records of rows, and numbers their groups as they come.

    Attributes:
      kind: "pairs" or "text".
      groups: languages and corpus of each group.
      hard_negatives: from a number of them to the number of pairs with as many.
    """

    def __init__(
        self,
        kind: str,
        tokenize: Callable[[list[bytes]], list[bytes]] | None = None,
    ):
        """Of pairs or texts.

        Args:
          kind: "pairs" or "text".
          tokenize: texts to packed ids, which stand in the texts' place; None
            for records of texts.
        """
        self.kind = kind
        self.groups: list[tuple[tuple[str, ...], str]] = []
        self.hard_negatives = collections.Counter()
        self._known: dict[tuple[str, ...], _Group] = {}
        self._language_names = LANGUAGES[kind]
        self._tokenize = tokenize
        self._encode = self._pairs if kind == PAIRS else self._texts
        self._head = text_head
        self._names = {name: name for name in _IDS_OF}
        if tokenize:
            self._head, self._names = ids_head, _IDS_OF

    def encode(
        self, rows: Iterable[TrainingPair] | Iterable[CorpusText]
    ) -> Iterator[tuple[int, bytes]]:
        """Yields the number of its group and the record for each row."""
        for records in self.encode_chunks(rows):
            yield from records

    def encode_chunks(
        self, rows: Iterable[TrainingPair] | Iterable[CorpusText]
    ) -> Iterator[Iterator[tuple[int, bytes]]]:
        """Yields the same for some rows at once, those that fit in memory."""
        return map(
            self._encode, chunked(rows, _size, _CHUNK_ROWS, _CHUNK_BYTES)
        )

    def _pairs(self, pairs: list[TrainingPair]) -> Iterator[tuple[int, bytes]]:
        texts = [pair.source for pair in pairs]
        texts += [pair.target for pair in pairs]
        for pair in pairs:
            texts += pair.hard_negatives
        if self._tokenize:
            texts = self._tokenize(texts)
        head, known, count = self._head, self._known, len(pairs)
        source_name, target_name = self._names[SOURCE], self._names[TARGET]
        start = 2 * count
        for row, pair in enumerate(pairs):
            key = (pair.source_language, pair.target_language, pair.corpus)
            group = known.get(key) or self._add_group(key)
            source, target = texts[row], texts[count + row]
            stop = start + len(pair.hard_negatives)
            negatives = texts[start:stop]
            start = stop
            self.hard_negatives[len(negatives)] += 1
            yield (
                group.number,
                example(
                    group.head,
                    self._negatives(negatives) if negatives else b"",
                    head(source_name, len(source)),
                    source,
                    group.languages[0],
                    head(target_name, len(target)),
                    target,
                    group.languages[1],
                ),
            )

    def _negatives(self, negatives: list[bytes]) -> bytes:
        if not self._tokenize:
            return bytes_feature(HARD_NEGATIVES, negatives)
        ids = b"".join(negatives)
        lengths = [len(each.translate(None, _NOT_LAST)) for each in negatives]
        return (
            ids_head(HARD_NEGATIVES_IDS, len(ids))
            + ids
            + int64_feature(HARD_NEGATIVES_LENGTHS, lengths)
        )

    def _texts(self, rows: list[CorpusText]) -> Iterator[tuple[int, bytes]]:
        texts = [text for _, text, _ in rows]
        if self._tokenize:
            texts = self._tokenize(texts)
        head, known, name = self._head, self._known, self._names[TEXT]
        for text, (language, _, corpus) in zip(texts, rows, strict=True):
            key = (language, corpus)
            group = known.get(key) or self._add_group(key)
            yield (
                group.number,
                example(
                    group.head, *group.languages, head(name, len(text)), text
                ),
            )

    def _add_group(self, key: tuple[str, ...]) -> _Group:
        *languages, corpus = key
        number = len(self.groups)
        check_number(number, key)
        head = group_head(number, corpus)
        named = tuple(
            bytes_feature(name, [language.encode()])
            for name, language in zip(
                self._language_names, languages, strict=True
            )
        )
        self.groups.append((tuple(languages), corpus))
        return self._known.setdefault(key, _Group(number, head, named))


def group_head(number: int, corpus: str) -> bytes:
    """The first features of all records of a group."""
    head = int64_feature(GROUP, [number])
    if corpus:
        head = bytes_feature(CORPUS, [corpus.encode()]) + head
    return head


def check_number(number: int, key: tuple[str, ...]) -> None:
    """Raises `InputError` where a group is one too many."""
    if number < MAX_GROUPS:
        return
    raise InputError(
        f"Records have at most {MAX_GROUPS:,} groups, each of all records of "
        f"the same languages and {CORPUS!r}. Received more; the next one is "
        f"{' '.join(filter(None, key))}. A corpus is a collection of texts: is "
        "this column something else?"
    )


def _size(row: TrainingPair | CorpusText) -> int:
    return len(row[0]) + len(row[1])
