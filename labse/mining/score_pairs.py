"""Scores existing pairs: how near each source is to its target.

`absolute` adds the cosine, in one pass over the pairs. `distance` and `ratio`
(`labse.mining.margin`) add the margin too: the neighbourhood of a source is its
k nearest among the distinct targets of these very pairs, that of a target its
k nearest among their distinct sources.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import shutil
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tqdm

from labse.errors import InputError
from labse.features import SOURCE, TARGET
from labse.mining import margin, pair_files, record_files
from labse.mining.directions import Directions, check_embeddings
from labse.mining.exact_search import exact_search_both
from labse.mining.pair_files import COSINE, MARGIN, PairRow
from labse.mining.sentence_vectors import EncodeFn

# Encoded and scored at once: so many pairs, or so many characters.
CHUNK_PAIRS = 8192
CHUNK_CHARACTERS = 2**22

_SIDES = (SOURCE, TARGET)
_DIGEST_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many pairs were read, and what became of them."""

    num_read: int
    num_kept: int
    num_dropped: int


def score_pairs(
    encode_fn: EncodeFn,
    patterns: Sequence[str],
    out: str | Path,
    scoring: str = "absolute",
    k: int = 4,
    min_score: float | None = None,
) -> Counts:
    """Writes the pairs in their order with all their columns and the scores.

    All is read once before anything is encoded: a bad line is found then.

    Args:
      encode_fn: list of n texts -> float [n, dim].
      patterns: files of pairs, or globs; see `labse.mining.pair_files`.
      out: the file to write, which must not be there.
      scoring: one of `labse.mining.margin.SCORINGS`.
      k: neighbours on each side, lowered where a side has fewer distinct
        texts; of no use in `absolute`.
      min_score: pairs below are dropped; of the cosine in `absolute`, else of
        the margin.

    Raises:
      InputError: an argument, a file, a row or a vector is not as it must be.
    """
    out = Path(out)
    pair_files.check_output(out)
    if out.exists():
        raise InputError(f"{out} exists. Delete it, or choose another --out.")
    if scoring not in margin.SCORINGS:
        raise InputError(
            f"scoring must be one of {', '.join(margin.SCORINGS)}. Received: "
            f"{scoring!r}."
        )
    added = (COSINE,) if scoring == "absolute" else (COSINE, MARGIN)
    survey = _survey(patterns, out, added)
    with contextlib.ExitStack() as stack:
        if scoring == "absolute":
            scored = _cosines(encode_fn, patterns, survey)
        else:
            k = _fitting_k(k, survey)
            folder = stack.enter_context(_folder_of_vectors(out))
            scored = _margins(encode_fn, patterns, survey, folder, scoring, k)
        tally = _Tally(survey, added[-1], min_score)
        pair_files.write_pairs(out, tally.keep(scored), survey.columns)
    return Counts(tally.num_read, tally.num_kept, tally.num_dropped)


@dataclasses.dataclass
class _Survey:
    """What the first reading finds.

    Attributes:
      num_pairs: rows.
      columns: of the output.
      numbers: of each side, each pair's text among the distinct ones, which
        are numbered as they come: int64 [num_pairs].
      num_texts: of each side, how many distinct texts.
      files: name, size and time of the last change.
    """

    num_pairs: int
    columns: tuple[str, ...]
    numbers: dict[str, np.ndarray]
    num_texts: dict[str, int]
    files: list[tuple[str, int, int]]

    def check(self, num_read: int) -> None:
        """Raises InputError unless all is as it was."""
        paths = [path for path, _, _ in self.files]
        if num_read != self.num_pairs or _state(paths) != self.files:
            raise InputError(
                "Files of pairs must not change while they are read. There "
                f"were {self.num_pairs} pairs in {', '.join(paths[:3])}, then "
                f"{num_read}. Start again."
            )


def _survey(
    patterns: Sequence[str], out: Path, added: tuple[str, ...]
) -> _Survey:
    # Before the first line is read.
    files = _state(record_files.find_files(patterns))
    columns = dict.fromkeys(added)
    format_row = pair_files.formatter(out, ())
    known: dict[str, dict[bytes, int]] = {side: {} for side in _SIDES}
    numbers = {side: array("q") for side in _SIDES}
    num_pairs = 0
    for row in pair_files.read_pairs(patterns):
        num_pairs += 1
        if not columns.keys() >= row.fields.keys():
            columns.update(dict.fromkeys(row.fields))
            format_row = pair_files.formatter(out, list(columns))
        # An old score is replaced, whatever it is.
        fields = {**row.fields, **dict.fromkeys(added, 0.0)}
        format_row(fields, f"{row.file}:{row.line}")
        if MARGIN in added:
            for side in _SIDES:
                key = _key(row.fields[side])
                table = known[side]
                numbers[side].append(table.setdefault(key, len(table)))
    if not num_pairs:
        raise InputError(
            f"There are no pairs in {', '.join(patterns)}. Is it the right "
            "file?"
        )
    return _Survey(
        num_pairs,
        pair_files.order_columns(columns),
        {side: np.array(numbers[side], np.int64) for side in _SIDES},
        {side: len(known[side]) for side in _SIDES},
        files,
    )


def _state(paths: list[str]) -> list[tuple[str, int, int]]:
    found = [(path, os.stat(path)) for path in paths]
    return [(path, each.st_size, each.st_mtime_ns) for path, each in found]


def _key(text: str) -> bytes:
    content = text.encode("utf-8")
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _fitting_k(k: int, survey: _Survey) -> int:
    """k, lowered to the distinct sentences of the smaller side."""
    if k < 1:
        raise InputError(
            "k, the neighbours of a sentence, is 1 or more. Received: "
            f"k={k}. Choose a larger k, or the scoring absolute, which needs "
            "none."
        )
    fewest = min(survey.num_texts, key=survey.num_texts.get)
    most = survey.num_texts[fewest]
    if k <= most:
        return k
    print(
        f"k is lowered from {k} to {most}: there are {most} distinct {fewest} "
        "sentences.",
        file=sys.stderr,
    )
    return most


class _Tally:
    """Drops what scores too low, and counts."""

    def __init__(self, survey: _Survey, column: str, min_score: float | None):
        self.num_read = self.num_kept = self.num_dropped = 0
        self._survey = survey
        self._column = column
        self._min_score = min_score

    def keep(
        self, rows: Iterable[pair_files.Values]
    ) -> Iterator[pair_files.Values]:
        for row in rows:
            self.num_read += 1
            if (
                self._min_score is not None
                and row[self._column] < self._min_score
            ):
                self.num_dropped += 1
                continue
            self.num_kept += 1
            yield row
        # Before the file gets its name.
        self._survey.check(self.num_read)


def _cosines(
    encode_fn: EncodeFn, patterns: Sequence[str], survey: _Survey
) -> Iterator[pair_files.Values]:
    """The rows with their cosine; a chunk's distinct texts are encoded once."""
    with tqdm.tqdm(total=survey.num_pairs, unit=" pairs") as bar:
        for chunk in _chunks(pair_files.read_pairs(patterns)):
            rows = [row.fields for row in chunk]
            texts = dict.fromkeys(row[side] for side in _SIDES for row in rows)
            vectors = _encode(encode_fn, list(texts))
            vectors = Directions(vectors, "sentence")
            numbers = {text: number for number, text in enumerate(texts)}
            cosines = vectors.cosines(
                np.array([numbers[row[SOURCE]] for row in rows]),
                vectors,
                np.array([numbers[row[TARGET]] for row in rows]),
            )
            for row, cosine in zip(rows, cosines.tolist(), strict=True):
                yield {**row, COSINE: cosine}
            bar.update(len(rows))


def _margins(
    encode_fn: EncodeFn,
    patterns: Sequence[str],
    survey: _Survey,
    folder: Path,
    scoring: str,
    k: int,
) -> Iterator[pair_files.Values]:
    """The rows with their cosine and margin."""
    sources, targets = _vectors(encode_fn, patterns, survey, folder)
    with tqdm.tqdm(total=len(sources) * len(targets), unit=" scores") as bar:
        forward, backward = exact_search_both(
            *(sources, targets, k, k),
            lambda done, total: bar.update(done - bar.n),
        )
    source_means, target_means = (
        cosines.mean(axis=1, dtype=np.float64)
        for _, cosines in (forward, backward)
    )
    sources = Directions(sources, "source")
    targets = Directions(targets, "target")
    rows = pair_files.read_pairs(patterns)
    for start in range(0, survey.num_pairs, CHUNK_PAIRS):
        some = list(itertools.islice(rows, CHUNK_PAIRS))
        of_source, of_target = (
            survey.numbers[side][start : start + len(some)] for side in _SIDES
        )
        if len(of_source) != len(some):
            return  # Rows came to it since; the caller tells.
        cosines = sources.cosines(of_source, targets, of_target)
        margins = margin.score(
            cosines, source_means[of_source], target_means[of_target], scoring
        )
        for row, cosine, each in zip(
            some, cosines.tolist(), margins.tolist(), strict=True
        ):
            yield {**row.fields, COSINE: cosine, MARGIN: each}


def _vectors(
    encode_fn: EncodeFn,
    patterns: Sequence[str],
    survey: _Survey,
    folder: Path,
) -> list[np.ndarray]:
    """Those of each side's distinct texts, mapped: float32 [n, dim] each."""
    found = []
    with tqdm.tqdm(
        total=sum(survey.num_texts.values()), unit=" sentences"
    ) as bar:
        for side in _SIDES:
            path = folder / f"{side}.float32"
            rows = _first_rows(patterns, survey, side)
            dimension = 0
            with open(path, "wb") as file:
                for chunk in _chunks(rows):
                    vectors = _encode(
                        encode_fn, [row.fields[side] for row in chunk]
                    )
                    dimension = vectors.shape[1]
                    file.write(vectors.astype(np.float32, copy=False).data)
                    bar.update(len(chunk))
            shape = (survey.num_texts[side], dimension)
            found.append(np.memmap(path, np.float32, "r", shape=shape))
    return found


def _first_rows(
    patterns: Sequence[str], survey: _Survey, side: str
) -> Iterator[PairRow]:
    """The first row of each distinct text of a side."""
    highest, count = -1, 0
    numbers = survey.numbers[side].tolist()
    for count, row in enumerate(pair_files.read_pairs(patterns), start=1):
        if count <= len(numbers) and numbers[count - 1] > highest:
            highest = numbers[count - 1]
            yield row
    survey.check(count)


def _chunks(rows: Iterable[PairRow]) -> Iterator[list[PairRow]]:
    chunk, size = [], 0
    for row in rows:
        chunk.append(row)
        size += sum(len(row.fields[side]) for side in _SIDES)
        if len(chunk) == CHUNK_PAIRS or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _encode(encode_fn: EncodeFn, texts: list[str]) -> np.ndarray:
    vectors = check_embeddings(encode_fn(texts), "sentence", texts)
    if len(vectors) != len(texts):
        raise InputError(
            "An encoder gives a vector a text. Received "
            f"{len(vectors)} vectors for {len(texts)} texts."
        )
    return vectors


@contextlib.contextmanager
def _folder_of_vectors(out: Path) -> Iterator[Path]:
    """A folder beside the output, for as long as the work lasts."""
    folder = out.with_name(f"{out.name}.vectors.tmp")
    # A process that was killed may have left it.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
