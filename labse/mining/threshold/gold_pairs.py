r"""Gold pairs: known translations between two corpora label mined pairs.

A file of gold pairs is one of

```
source TAB target              a header, then two texts a line
source_line TAB target_line    a header, then line numbers of the two input
                               files, from 1; blank and repeated lines count
id TAB id                      no header: BUCC's .gold; the ids are the field
                               `id` of the two corpora's metadata
```

A table with a header may have more columns. The first two may also be in any
other format of pairs; see docs/file_formats.md. Texts are compared as the
corpora keep them: exactly, after `strip()`.

Which mined pairs get a label:

- `is_complete`, where the gold pairs are all translations there are, as in
  BUCC: every pair. It is a translation if and only if it is gold.
- otherwise: every pair whose source or target is in some gold pair. It is a
  translation if and only if it is gold. Sentences without any translation get
  no label, and their pairs are wrong more often: where many sentences have
  none, the estimated precision is too high.

Either way, a translation that is missing from the gold pairs counts as an
error, which makes the estimated precision too low.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from labse import features
from labse.errors import InputError
from labse.files.formats.tsv import TSV
from labse.files.formats.txt import TXT
from labse.files.kinds import kind_by_name, open_rows
from labse.files.lines import read_text_lines
from labse.files.reading import Fields, Tally, text_field
from labse.mining.job.corpus import MinedCorpus
from labse.mining.margin import Pairs

TEXT_COLUMNS = (features.SOURCE, features.TARGET)
LINE_COLUMNS = ("source_line", "target_line")
ID = "id"
_TEXT, _LINE, _ID = "text", "line", "id"
_BLOCK = 16_384
_TEXTS_NOT_IDS = (
    "Without a header, gold pairs are two ids, but these are texts."
)


@dataclasses.dataclass(frozen=True)
class GoldFile:
    """The texts, lines or ids of each pair of a file."""

    path: str
    kind: str  # "text", "line" or "id": how a sentence is identified
    sources: list[str] | list[int]
    targets: list[str] | list[int]


@dataclasses.dataclass(frozen=True)
class GoldPairs:
    """Known translations by the numbers of their sentences."""

    sources: np.ndarray  # int64 [g]; each pair once, in order
    targets: np.ndarray  # likewise
    # Pairs of the file with a sentence that is not in the corpora: blank, a
    # duplicate, or another text.
    num_absent: int = 0

    def __len__(self) -> int:
        return len(self.sources)

    def labels(
        self, pairs: Pairs, is_complete: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which mined pairs get a label, and which of them are translations.

        See the module's docstring for the rule.

        Args:
          pairs: p mined pairs.
          is_complete: whether the gold pairs are all translations there are.

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
        is_labelled = np.isin(pairs.sources, self.sources)
        is_labelled |= np.isin(pairs.targets, self.targets)
        return is_labelled, is_gold


def read_gold_file(path: str) -> GoldFile:
    """Reads a file of gold pairs.

    Raises:
      InputError: there is no such file, it has no pairs, is not UTF-8, or a
        line does not have two fields.
    """
    kind = kind_by_name(path)
    if kind and kind.format not in (TSV, TXT):
        return _read_rows(path)
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
        kind = _ID
        rows = _read_ids(path, itertools.chain([(number, first)], lines))
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


def _read_rows(path: str) -> GoldFile:
    """Gold pairs of a format other than lines with tabs."""
    rows, tally = open_rows(path), Tally()
    first = next((row for _, row in rows if isinstance(row, dict)), {})
    by_line = TEXT_COLUMNS[0] not in first and LINE_COLUMNS[0] in first
    columns = LINE_COLUMNS if by_line else TEXT_COLUMNS
    rows.require(*columns)

    def parse(number: int, row: Fields) -> list[str] | list[int]:
        if not by_line:
            return [text_field(row, name).strip() for name in columns]
        cells = [str(row.get(name, "")) for name in columns]
        return [_line_number(cell, path, number) for cell in cells]

    pairs = list(filter(None, rows.parsed(parse, tally)))
    if tally.num_malformed:
        raise InputError(
            f"{tally.shown[0]}. No gold pair may be malformed. Correct the row "
            "or take it out."
        )
    if not pairs:
        raise InputError(f"{path} has no gold pairs.")
    sources, targets = map(list, zip(*pairs, strict=True))
    return GoldFile(path, _LINE if by_line else _TEXT, sources, targets)


def find_gold_pairs(
    gold: GoldFile, source: MinedCorpus, target: MinedCorpus
) -> GoldPairs:
    """Looks the sentences of gold pairs up in two corpora.

    Each corpus is read once; only the sentences of gold pairs are in memory.

    Raises:
      InputError: none of the pairs is in the corpora, a line is beyond the
        last of the file, or lines are given but a corpus has several files.
    """
    source_numbers = _numbers(gold, gold.sources, source, "source")
    target_numbers = _numbers(gold, gold.targets, target, "target")
    present = [
        (source_numbers[one], target_numbers[two])
        for one, two in zip(gold.sources, gold.targets, strict=True)
        if one in source_numbers and two in target_numbers
    ]
    num_absent = len(gold.sources) - len(present)
    if not present:
        raise InputError(
            f"{gold.path}: the gold pairs must be of these two corpora. "
            f"Received {num_absent:,} pairs by {gold.kind}: "
            f"{len(source_numbers):,} of their sources and "
            f"{len(target_numbers):,} of their targets were found, but no "
            f"pair. {_explain(gold, source, target)}"
        )
    ordered = np.array(sorted(set(present)), np.int64)
    return GoldPairs(ordered[:, 0], ordered[:, 1], num_absent)


def _explain(gold: GoldFile, source: MinedCorpus, target: MinedCorpus) -> str:
    """A likely reason why no pair is in the corpora."""

    def found(kind: str, one: MinedCorpus, two: MinedCorpus) -> list[dict]:
        of_sources = _lookup(kind, set(gold.sources), one)
        return [of_sources, _lookup(kind, set(gold.targets), two)]

    if gold.kind != _LINE and all(found(gold.kind, target, source)):
        return "They are there the other way round: exchange source and target."
    if gold.kind != _ID:
        return "Are they of other files, or was the text changed since?"
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
                f"header, {len(header)}. Received {len(cells)}. Correct or "
                "remove the line."
            )
        one, two = (cells[column].strip() for column in where)
        if not one or not two:
            raise InputError(
                f"{path}:{number}: neither side of a gold pair may be blank. "
                f"Received: {line[:80]!r}. Remove the line."
            )
        yield number, one, two


def _read_ids(
    path: str, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str, str]]:
    for number, line in lines:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == 2 and any(len(cell.split()) > 1 for cell in cells):
            raise InputError(
                f"{path}:{number}: {_TEXTS_NOT_IDS} Received: {line[:80]!r}. "
                f"{_remedy(TEXT_COLUMNS)}"
            )
        if len(cells) != 2 or not all(cells):
            raise InputError(
                f"{path}:{number}: gold pairs are a TSV whose header names "
                f"{' and '.join(TEXT_COLUMNS)} (texts) or "
                f"{' and '.join(LINE_COLUMNS)}, or, without a header, an id, a "
                f"tab and an id. Received: {line[:80]!r}."
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
    gold: GoldFile, names: list, corpus: MinedCorpus, side: str
) -> dict[str | int, int]:
    """The number of each sentence that is in the corpus, by its name."""
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


def _lookup(
    kind: str, wanted: set, corpus: MinedCorpus
) -> dict[str | int, int]:
    """The numbers of the sentences with these texts, lines or ids."""
    return {
        name: number
        for number, name in enumerate(_names(kind, corpus))
        if name in wanted
    }


def _names(kind: str, corpus: MinedCorpus) -> Iterator[str | int]:
    """The text, line or id of each sentence."""
    if kind == _TEXT:
        for start in range(0, len(corpus), _BLOCK):
            yield from corpus.texts(start, min(start + _BLOCK, len(corpus)))
        return
    for number in range(len(corpus)):
        place = corpus.place(number)
        if kind == _LINE:
            yield place.line
        else:
            yield str(place.metadata.get(ID, "")).strip()
