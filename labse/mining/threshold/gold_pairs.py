r"""Known translations between two corpora, and which mined pairs they judge.

A file of gold pairs is one of

```
source TAB target              a header, then two texts a line
source_line TAB target_line    a header, then lines of the two input files,
                               from 1, blank and repeated lines counted
id TAB id                      no header: BUCC's .gold; the ids are the field
                               `id` of the two corpora's metadata
```

A TSV with a header may have more columns, and its name may end in `.gz`. Texts
are compared as the corpora keep them: exactly, after `strip()`.

Which mined pairs get a label:

- `is_complete`, a closed setting such as BUCC's, where the file names every
  translation there is: all of them. A pair is a translation if and only if it
  is gold. A sentence without a gold partner is held to have no translation.
- otherwise only pairs of which the source or the target is in some gold pair.
  Such a pair is a translation if and only if it is gold; of a pair of two
  sentences that gold does not know, nothing is said. Every sentence judged so
  does have a translation in the other corpus, and those without one are wrong
  more often: precision comes out too high where many have none.

Either way a true translation that the gold pairs lack counts as an error, which
makes precision come out too low.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from labse import features
from labse.errors import InputError
from labse.files.lines import read_text_lines
from labse.mining.margin import Pairs

TEXT_COLUMNS = (features.SOURCE, features.TARGET)
LINE_COLUMNS = ("source_line", "target_line")
ID = "id"
_TEXT, _LINE, _ID = "text", "line", "id"
_BLOCK = 16_384
_TEXTS_NOT_IDS = (
    "Without a header, gold pairs are two ids, but these are texts."
)


class Place(Protocol):
    """Where a sentence comes from."""

    file: str
    line: int
    metadata: dict


class Corpus(Protocol):
    """What is asked of a corpus: distinct texts, numbered from 0."""

    num_read: int

    def __len__(self) -> int: ...

    def texts(self, start: int, stop: int) -> list[str]:
        """Texts of some numbers."""

    def place(self, number: int) -> Place:
        """Where the text of this number comes from."""


@dataclasses.dataclass(frozen=True)
class GoldFile:
    """The pairs of a file, not looked up yet.

    Attributes:
      path: of the file.
      kind: "text", "line" or "id": what names a sentence.
      sources, targets: texts, lines or ids, as many as there are pairs.
    """

    path: str
    kind: str
    sources: list[str] | list[int]
    targets: list[str] | list[int]


@dataclasses.dataclass(frozen=True)
class GoldPairs:
    """Known translations by the numbers of their sentences.

    Attributes:
      sources, targets: int64 [g]; each pair once, in order.
      num_absent: pairs of the file of which a sentence is not in the corpora:
        it was blank or a duplicate, or is another text.
    """

    sources: np.ndarray
    targets: np.ndarray
    num_absent: int = 0

    def __len__(self) -> int:
        return len(self.sources)

    def labels(
        self, pairs: Pairs, is_complete: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which mined pairs are judged, and which of them are translations.

        See the module's docstring for the rule.

        Args:
          pairs: p mined pairs.
          is_complete: whether gold names every translation there is.

        Returns:
          bool [p] and bool [p]; the second is False where the first is.
        """
        width = 1 + max(
            pairs.targets.max(initial=0), self.targets.max(initial=0)
        )
        mined = pairs.sources * width + pairs.targets
        is_gold = np.isin(mined, self.sources * width + self.targets)
        if is_complete:
            return np.ones(len(pairs), bool), is_gold
        is_judged = np.isin(pairs.sources, self.sources)
        is_judged |= np.isin(pairs.targets, self.targets)
        return is_judged, is_gold


def read(path: str) -> GoldFile:
    """Reads a file of gold pairs.

    Raises:
      InputError: there is no such file, it has no pairs, is not UTF-8, or a
        line is not two fields; file and line are named.
    """
    lines = read_text_lines(path)
    number, first = next(lines, (0, ""))
    if not number:
        raise InputError(f"{path} is empty: it must hold gold pairs.")
    header = first.split("\t")
    if set(TEXT_COLUMNS) <= set(header):
        kind, rows = _TEXT, _read_columns(path, lines, header, TEXT_COLUMNS)
    elif set(LINE_COLUMNS) <= set(header):
        kind, rows = _LINE, _read_columns(path, lines, header, LINE_COLUMNS)
    else:
        kind, rows = _ID, _read_ids(path, [(number, first)], lines)
    sources, targets = [], []
    for number, source, target in rows:
        if kind == _LINE:
            source = _line_number(source, path, number)
            target = _line_number(target, path, number)
        sources.append(source)
        targets.append(target)
    if not sources:
        raise InputError(f"{path} has no gold pairs below its header.")
    return GoldFile(path, kind, sources, targets)


def find(gold: GoldFile, source: Corpus, target: Corpus) -> GoldPairs:
    """The numbers of the gold pairs' sentences in two corpora.

    Each corpus is read through once; only what gold names is held.

    Raises:
      InputError: none of the pairs is in the corpora, a line is beyond the
        file's last, or lines are given but a corpus has several files.
    """
    source_numbers = _numbers(gold, gold.sources, source, "source")
    target_numbers = _numbers(gold, gold.targets, target, "target")
    found = {
        (source_numbers[one], target_numbers[two])
        for one, two in zip(gold.sources, gold.targets, strict=True)
        if one in source_numbers and two in target_numbers
    }
    num_absent = sum(
        one not in source_numbers or two not in target_numbers
        for one, two in zip(gold.sources, gold.targets, strict=True)
    )
    if not found:
        raise InputError(
            f"{gold.path}: the gold pairs must be of these two corpora. "
            f"Received {num_absent:,} pairs by {gold.kind}, of which "
            f"{len(source_numbers):,} sources and {len(target_numbers):,} "
            f"targets are there, but no pair. {_explain(gold, source, target)}"
        )
    ordered = np.array(sorted(found), np.int64)
    return GoldPairs(ordered[:, 0], ordered[:, 1], num_absent)


def _explain(gold: GoldFile, source: Corpus, target: Corpus) -> str:
    """What a file looks like of which no pair is in the corpora."""

    def found(kind: str, one: Corpus, two: Corpus) -> list[int]:
        return [
            len(_lookup(kind, set(names), corpus))
            for names, corpus in ((gold.sources, one), (gold.targets, two))
        ]

    if gold.kind != _LINE and all(found(gold.kind, target, source)):
        return "They are there the other way round: exchange source and target."
    if gold.kind != _ID:
        return "Are they of other files, or was the text changed afterwards?"
    if any(found(_TEXT, source, target)):
        return f"{_TEXTS_NOT_IDS} {_remedy(TEXT_COLUMNS)}"
    if any(found(_TEXT, target, source)):
        return f"{_TEXTS_NOT_IDS} {_remedy(TEXT_COLUMNS[::-1])}"
    if all(cell.isdecimal() for cell in (*gold.sources, *gold.targets)):
        return f"Are these lines, not ids? {_remedy(LINE_COLUMNS)}"
    return (
        f"Ids are the field {ID!r} of the corpora's metadata. Are these texts? "
        f"{_remedy(TEXT_COLUMNS)}"
    )


def _remedy(columns: tuple[str, str]) -> str:
    return f"Begin the file with the header {columns[0]}, a tab, {columns[1]}."


def _read_columns(
    path: str,
    lines: Iterable[tuple[int, str]],
    header: list[str],
    columns: tuple[str, str],
) -> Iterator[tuple[int, str, str]]:
    where = [header.index(column) for column in columns]
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise InputError(
                f"{path}:{number}: a line must have as many columns as the "
                f"header, {len(header)}. Received {len(cells)}. Mend the line "
                "or take it out."
            )
        one, two = (cells[column].strip() for column in where)
        if not one or not two:
            raise InputError(
                f"{path}:{number}: neither side of a gold pair may be blank. "
                f"Received: {line[:80]!r}. Take the line out."
            )
        yield number, one, two


def _read_ids(
    path: str,
    first: list[tuple[int, str]],
    lines: Iterable[tuple[int, str]],
) -> Iterator[tuple[int, str, str]]:
    for part in (first, lines):
        for number, line in part:
            cells = [cell.strip() for cell in line.split("\t")]
            if len(cells) == 2 and any(len(cell.split()) > 1 for cell in cells):
                raise InputError(
                    f"{path}:{number}: {_TEXTS_NOT_IDS} Received: "
                    f"{line[:80]!r}. {_remedy(TEXT_COLUMNS)}"
                )
            if len(cells) != 2 or not all(cells):
                raise InputError(
                    f"{path}:{number}: gold pairs are a TSV whose header names "
                    f"{' and '.join(TEXT_COLUMNS)} (texts) or "
                    f"{' and '.join(LINE_COLUMNS)}, or, without a header, an "
                    f"id, a tab and an id. Received: {line[:80]!r}."
                )
            yield number, *cells


def _line_number(cell: str, path: str, number: int) -> int:
    if not (cell.isascii() and cell.isdigit() and int(cell) >= 1):
        raise InputError(
            f"{path}:{number}: lines are whole numbers from 1. Received: "
            f"{cell[:80]!r}."
        )
    return int(cell)


def _numbers(
    gold: GoldFile, names: list, corpus: Corpus, side: str
) -> dict[str | int, int]:
    """The number of each sentence that is named and is there."""
    wanted = set(names)
    if gold.kind != _LINE:
        return _lookup(gold.kind, wanted, corpus)
    last = corpus.num_read + 1  # A header is a line too.
    beyond = max(wanted)
    if beyond > last:
        raise InputError(
            f"{gold.path}: lines must be of the {side} file, which has no "
            f"more than {last:,}. Received: {beyond:,}."
        )
    files = {corpus.place(0).file, corpus.place(len(corpus) - 1).file}
    if len(files) > 1:
        raise InputError(
            f"{gold.path}: gold pairs by line need one {side} file. Received: "
            f"{', '.join(sorted(files))}. Give the pairs by their texts."
        )
    return _lookup(_LINE, wanted, corpus)


def _lookup(kind: str, wanted: set, corpus: Corpus) -> dict[str | int, int]:
    """The numbers of the sentences that have these texts, lines or ids."""
    if kind == _TEXT:
        return dict(_by_text(wanted, corpus))
    name_of = _id_of if kind == _ID else lambda place: place.line
    return dict(_by_place(wanted, corpus, name_of))


def _by_text(wanted: set[str], corpus: Corpus) -> Iterator[tuple[str, int]]:
    for start in range(0, len(corpus), _BLOCK):
        texts = corpus.texts(start, min(start + _BLOCK, len(corpus)))
        for number, text in enumerate(texts, start):
            if text in wanted:
                yield text, number


def _by_place(
    wanted: set, corpus: Corpus, name_of: Callable[[Place], object]
) -> Iterator[tuple[object, int]]:
    for number in range(len(corpus)):
        name = name_of(corpus.place(number))
        if name in wanted:
            yield name, number


def _id_of(place: Place) -> str:
    return str(place.metadata.get(ID, "")).strip()
