"""Scores existing pairs by the similarity of source and target.

`absolute` adds the cosine, in one pass over the pairs. `distance` and `ratio`
(`labse.mining.margin`) add the margin too: the neighbourhood of a source is its
k nearest among the distinct targets of the same pairs, that of a target its k
nearest among their distinct sources.
"""

import dataclasses
import hashlib
import itertools
import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.features import SOURCE, SOURCE_LANGUAGE, TARGET, TARGET_LANGUAGE
from labse.files import pair_writer
from labse.files.chunks import chunked
from labse.files.pair_writer import COSINE, MARGIN
from labse.files.pairs import Pair, PairFiles
from labse.files.reading import Fields, ReadOptions
from labse.files.vector_file import scratch_array
from labse.mining import margin
from labse.mining.sentence_vectors import EncodeFn, encode_checked
from labse.progress import ProgressBar
from labse.search.exact_search import exact_search_both
from labse.search.unit_vectors import UnitVectors

# Most pairs, and most characters, that are encoded and scored at once.
CHUNK_PAIRS = 8192
CHUNK_CHARACTERS = 2**22

_SIDES = (SOURCE, TARGET)
_DIGEST_BYTES = 16


@dataclasses.dataclass(frozen=True)
class ScoreCounts:
    """Numbers of pairs.

    Attributes:
      num_read: all of them.
      num_kept: written.
      num_dropped: those with too low a score.
      num_malformed: rows that were left out.
      num_blank: blank lines.
    """

    num_read: int
    num_kept: int
    num_dropped: int
    num_malformed: int = 0
    num_blank: int = 0


def score_pairs(
    encode_fn: EncodeFn,
    patterns: Sequence[str],
    out: str | Path,
    scoring: str = "absolute",
    k: int = 4,
    min_score: float | None = None,
    options: ReadOptions | None = None,
) -> ScoreCounts:
    """Writes the pairs in their order with all their columns and the scores.

    The columns are in the files' order, followed by the scores. Blank lines
    stay in a .tsv and a .jsonl, so that the output matches the input line by
    line, unless `min_score` drops pairs. Before anything is encoded, all files
    are read once to find malformed rows.

    Args:
      encode_fn: list of n texts -> float [n, dim].
      patterns: files of pairs, or globs.
      out: the file to write, which must not exist.
      scoring: one of `labse.mining.margin.SCORINGS`.
      k: neighbours on each side, lowered if a side has fewer distinct texts;
        not used in `absolute`.
      min_score: least score of the pairs to write: the cosine in `absolute`,
        else the margin.
      options: what the files do not say by themselves.

    Raises:
      InputError: an argument, a file, a row or a vector breaks a rule.
    """
    out = Path(out)
    pair_writer.check_output(out)
    if out.exists():
        raise InputError(f"{out} exists. Delete it, or choose another name.")
    if scoring not in margin.SCORINGS:
        raise InputError(
            f"scoring must be one of {', '.join(margin.SCORINGS)}. Received: "
            f"{scoring!r}."
        )
    added = (COSINE,) if scoring == "absolute" else (COSINE, MARGIN)
    pairs = PairFiles(patterns, options)
    survey = _survey(pairs, out, added)
    if scoring == "absolute":
        scored = _cosines(encode_fn, pairs, survey)
    else:
        k = _fitting_k(k, survey)
        scored = _margins(encode_fn, pairs, survey, out.parent, scoring, k)
    kept = _Kept(survey, added[-1], min_score)
    rows = kept.rows(scored)
    if min_score is None:
        rows = _with_blanks(rows, survey.blank_before)
    pair_writer.write_pairs(out, rows, survey.columns)
    return ScoreCounts(
        kept.num_read,
        kept.num_kept,
        kept.num_dropped,
        survey.num_malformed,
        survey.num_blank,
    )


@dataclasses.dataclass
class _Survey:
    """What the first pass over the files finds.

    Attributes:
      num_pairs: rows.
      num_malformed, num_blank: rows that are left out, and blank lines.
      blank_before: number of a pair, from 0 -> number of blank lines before
        it; `num_pairs` for those at the end.
      columns: of the output.
      numbers: by side, the number of each pair's text among the distinct ones,
        in the order of their first occurrence: int64 [num_pairs].
      num_texts: by side, the number of distinct texts.
      files: name, size and time of the last change.
    """

    num_pairs: int
    num_malformed: int
    num_blank: int
    blank_before: dict[int, int]
    columns: tuple[str, ...]
    numbers: dict[str, np.ndarray]
    num_texts: dict[str, int]
    files: list[tuple[str, int, int]]

    def check(self, num_read: int) -> None:
        """Raises `InputError` if a file has changed."""
        paths = [path for path, _, _ in self.files]
        if num_read != self.num_pairs or _state(paths) != self.files:
            raise InputError(
                "Files of pairs must not change while they are read. There "
                f"were {self.num_pairs} pairs in {', '.join(paths[:3])}, then "
                f"{num_read}. Run the same command again."
            )


def _survey(pairs: PairFiles, out: Path, added: tuple[str, ...]) -> _Survey:
    # Before the first line is read.
    files = _state(pairs.files)
    columns: dict[str, None] = {}
    blank_before: dict[int, int] = {}
    format_row = pair_writer.open_writer(out).format
    known: dict[str, dict[bytes, int]] = {side: {} for side in _SIDES}
    numbers = {side: array("q") for side in _SIDES}
    num_pairs = 0
    for pair in pairs.with_blanks():
        if pair is None:
            blank_before[num_pairs] = blank_before.get(num_pairs, 0) + 1
            continue
        num_pairs += 1
        if not columns.keys() >= pair.fields.keys():
            columns.update(dict.fromkeys(pair.fields))
            format_row = pair_writer.open_writer(out, [*columns, *added]).format
        # A score of an earlier run is replaced.
        fields = {**pair.fields, **dict.fromkeys(added, 0.0)}
        format_row(fields, f"{pair.path}:{pair.number}")
        if MARGIN in added:
            for side in _SIDES:
                key = _key(getattr(pair, side))
                table = known[side]
                numbers[side].append(table.setdefault(key, len(table)))
    return _Survey(
        num_pairs,
        pairs.tally.num_malformed,
        pairs.tally.num_blank,
        blank_before,
        tuple(dict.fromkeys([*columns, *added])),
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
            "k, the number of neighbours, is at least 1. Received: "
            f"k={k}. Choose a larger k, or the scoring absolute, which has "
            "no neighbours."
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


class _Kept:
    """Drops pairs with too low a score, and counts."""

    def __init__(self, survey: _Survey, column: str, min_score: float | None):
        self.num_read = self.num_kept = self.num_dropped = 0
        self._survey = survey
        self._column = column
        self._min_score = min_score

    def rows(self, scored: Iterable[Fields]) -> Iterator[Fields]:
        """The rows to write."""
        for row in scored:
            self.num_read += 1
            if (
                self._min_score is not None
                and row[self._column] < self._min_score
            ):
                self.num_dropped += 1
                continue
            self.num_kept += 1
            yield row
        # Before the output is complete.
        self._survey.check(self.num_read)


def _with_blanks(
    rows: Iterable[Fields], blank_before: dict[int, int]
) -> Iterator[Fields | None]:
    """The rows, with None for each blank line."""
    number = -1
    for number, row in enumerate(rows):
        yield from [None] * blank_before.get(number, 0)
        yield row
    yield from [None] * blank_before.get(number + 1, 0)


def _scored(pair: Pair, survey: _Survey, **scores: float) -> Fields:
    """The row of a pair with its scores.

    If another file has languages, a pair without them has `und`: an empty
    field would be malformed.
    """
    row = {**pair.fields, **scores}
    for name in (SOURCE_LANGUAGE, TARGET_LANGUAGE):
        if name in survey.columns and name not in row:
            row[name] = getattr(pair, name)
    return row


def _cosines(
    encode_fn: EncodeFn, pairs: PairFiles, survey: _Survey
) -> Iterator[Fields]:
    """The rows with their cosine; encodes a chunk's distinct texts once."""
    with ProgressBar(total=survey.num_pairs, unit=" pairs") as bar:
        for chunk in _chunks(pairs):
            texts = dict.fromkeys(
                getattr(pair, side) for side in _SIDES for pair in chunk
            )
            vectors = encode_checked(encode_fn, list(texts))
            vectors = UnitVectors(vectors, "sentence")
            numbers = {text: number for number, text in enumerate(texts)}
            cosines = vectors.cosines(
                np.array([numbers[pair.source] for pair in chunk]),
                vectors,
                np.array([numbers[pair.target] for pair in chunk]),
            )
            for pair, cosine in zip(chunk, cosines.tolist(), strict=True):
                yield _scored(pair, survey, cosine=cosine)
            bar.update(len(chunk))


def _margins(
    encode_fn: EncodeFn,
    pairs: PairFiles,
    survey: _Survey,
    folder: Path,
    scoring: str,
    k: int,
) -> Iterator[Fields]:
    """The rows with their cosine and margin."""
    sources, targets = _vectors(encode_fn, pairs, survey, folder)
    with ProgressBar(total=len(sources) * len(targets), unit=" scores") as bar:
        forward, backward = exact_search_both(
            *(sources, targets, k, k),
            lambda done, total: bar.update(done - bar.n),
        )
    source_means, target_means = (
        cosines.mean(axis=1, dtype=np.float64)
        for _, cosines in (forward, backward)
    )
    sources = UnitVectors(sources, "source")
    targets = UnitVectors(targets, "target")
    rows = iter(pairs)
    for start in range(0, survey.num_pairs, CHUNK_PAIRS):
        some = list(itertools.islice(rows, CHUNK_PAIRS))
        of_source, of_target = (
            survey.numbers[side][start : start + len(some)] for side in _SIDES
        )
        if len(of_source) != len(some):
            return  # There are more rows now; the caller reports it.
        cosines = sources.cosines(of_source, targets, of_target)
        margins = margin.score(
            cosines, source_means[of_source], target_means[of_target], scoring
        )
        for pair, cosine, each in zip(
            some, cosines.tolist(), margins.tolist(), strict=True
        ):
            yield _scored(pair, survey, cosine=cosine, margin=each)


def _vectors(
    encode_fn: EncodeFn,
    pairs: PairFiles,
    survey: _Survey,
    folder: Path,
) -> list[np.ndarray]:
    """The vectors of each side's distinct texts, mapped: float32 [n, dim]."""
    found = []
    with ProgressBar(
        total=sum(survey.num_texts.values()), unit=" sentences"
    ) as bar:
        for side in _SIDES:
            of_side, count, dimension = np.empty((0, 0), np.float32), 0, None
            for chunk in _chunks(_first_rows(pairs, survey, side)):
                texts = [getattr(pair, side) for pair in chunk]
                vectors = encode_checked(encode_fn, texts, dimension)
                if dimension is None:
                    dimension = vectors.shape[1]
                    shape = (survey.num_texts[side], dimension)
                    of_side = scratch_array(folder, shape, np.float32)
                of_side[count : count + len(chunk)] = vectors
                count += len(chunk)
                bar.update(len(chunk))
            found.append(of_side)
    return found


def _first_rows(pairs: PairFiles, survey: _Survey, side: str) -> Iterator[Pair]:
    """The first pair of each distinct text of a side."""
    highest, count = -1, 0
    numbers = survey.numbers[side].tolist()
    for count, pair in enumerate(pairs, start=1):
        if count <= len(numbers) and numbers[count - 1] > highest:
            highest = numbers[count - 1]
            yield pair
    survey.check(count)


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    return chunked(
        pairs,
        lambda pair: len(pair.source) + len(pair.target),
        CHUNK_PAIRS,
        CHUNK_CHARACTERS,
    )
