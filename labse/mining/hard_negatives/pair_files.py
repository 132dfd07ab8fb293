"""Files of pairs in, the same pairs with hard negatives out.

The output has the columns that training reads: source, target, their languages,
`corpus` if any pair names one, and `hard_negatives` (see
`labse.data.records.pair_record`). Other columns are left out, and hard
negatives that a pair had are replaced. All pairs stay, in their order.

The files are read twice, so that only texts have to be in memory.

    WORK/vectors.npy    of every distinct text; a killed process resumes from it
"""

import dataclasses
import hashlib
import os
import pathlib
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from labse.data.records.pair_record import TrainingPair, TrainingPairs
from labse.errors import InputError
from labse.features import CORPUS, HARD_NEGATIVES, PAIR_COLUMNS
from labse.files import pair_writer
from labse.files.reading import Fields, ReadOptions
from labse.files.work_folder import WorkFolder
from labse.mining import sentence_vectors
from labse.mining.hard_negatives.negatives import (
    NONE,
    Negatives,
    PairTexts,
    find_hard_negatives,
)
from labse.progress import ProgressBar

CHUNK = sentence_vectors.CHUNK
_VECTORS = "vectors.npy"

# Gives an encode_fn and what changes whenever its vectors do.
LoadEncoder = Callable[[], tuple[sentence_vectors.EncodeFn, str]]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What was written.

    Attributes:
      pairs: number of pairs, all that were read.
      texts: number of distinct texts on both sides.
      complete: pairs with `negatives` hard negatives.
      fewer: pairs with fewer, but some.
      none: pairs without any.
      true_cosine, negative_cosine: means over the pairs and the negatives.
      negatives: most of a pair; the number given, or lowered.
      truncated: number of texts that the encoder truncates, and at how many
        tokens; None if it does not say.
    """

    pairs: int
    texts: int
    complete: int
    fewer: int
    none: int
    true_cosine: float
    negative_cosine: float
    negatives: int
    truncated: tuple[int, int] | None


def check_output(path: str | os.PathLike) -> None:
    """Raises InputError where pairs could not be written to `path`."""
    pair_writer.check_output(path, needed_columns=[HARD_NEGATIVES])
    if os.path.exists(path):
        raise InputError(f"{path} exists. Delete it, or choose another name.")


def mine_hard_negatives(
    patterns: list[str],
    out: str | os.PathLike,
    load_encoder: LoadEncoder,
    work: str | os.PathLike,
    *,
    negatives: int = 3,
    max_cosine: float | None = None,
    options: ReadOptions | None = None,
    restart: bool = False,
) -> Summary:
    """Writes the pairs with the hard negatives that a model finds.

    Args:
      patterns: files of pairs, or globs.
      out: the file to write, of any format that holds hard negatives.
      load_encoder: called when the pairs are read.
      work: folder for the vectors.
      negatives: number for each pair; lowered where there are fewer targets.
      max_cosine: see `find_hard_negatives`.
      options: what the files do not say by themselves.
      restart: encode again, instead of raising, if `work` is of other texts
        or of another model.

    Raises:
      InputError: `out` cannot be written; the files hold no pairs; `work` is
        of other texts or of another model; or no pair has any negative.
    """
    check_output(out)
    folder = WorkFolder(work, restart)
    files = TrainingPairs(patterns, options)
    pairs, has_corpora = number_pairs(files)
    negatives = _fitting_number(negatives, pairs)
    encode_fn, fingerprint = load_encoder()
    vectors = _encode(pairs.texts, encode_fn, fingerprint, folder)
    with _bar(len(pairs), "pair", "search") as bar:
        found = find_hard_negatives(
            pairs, vectors, negatives, max_cosine, bar.update
        )
    summary = _summary(pairs, found, _truncation(pairs.texts, encode_fn))
    if summary.none == len(pairs):
        raise InputError(
            "No pair has a hard negative: all near targets of its language "
            "are translations of the source, or above max_cosine. Give more "
            f"pairs. Received {len(pairs):,}."
        )
    _write(out, files, pairs, found, has_corpora)
    return summary


def number_pairs(files: Iterable[TrainingPair]) -> tuple[PairTexts, bool]:
    """Pairs with their texts as numbers, and whether any names a corpus."""
    numbers: dict[str, int] = {}
    languages: dict[str, int] = {}
    rows, has_corpora = array("q"), False
    for pair in files:
        for text in (pair.source, pair.target):
            rows.append(numbers.setdefault(text.decode(), len(numbers)))
        language = pair.target_language
        rows.append(languages.setdefault(language, len(languages)))
        has_corpora |= bool(pair.corpus)
    if not rows:
        raise InputError(
            f"There are no pairs in {files}. Is it the right file?"
        )
    table = np.frombuffer(rows, np.int64).reshape(-1, 3)
    return PairTexts(list(numbers), *table.T), has_corpora


def _fitting_number(negatives: int, pairs: PairTexts) -> int:
    """Negatives of a pair, lowered to what the largest language can give."""
    distinct = np.unique(np.stack([pairs.languages, pairs.targets]), axis=1)
    most = int(np.unique(distinct[0], return_counts=True)[1].max()) - 1
    if most < 1:
        raise InputError(
            "A hard negative is another target of a pair's language. "
            f"Received {len(pairs):,} pairs, and no language with two "
            "different targets. Give more pairs."
        )
    if negatives > most:
        print(
            f"negatives is lowered from {negatives} to {most}: no language "
            f"has more than {most + 1} different targets.",
            file=sys.stderr,
        )
    return min(negatives, most)


def _truncation(texts: list[str], encode_fn) -> tuple[int, int] | None:
    """Number of truncated texts and the limit in tokens, if known."""
    if not hasattr(encode_fn, "truncated"):
        return None
    truncated = encode_fn.truncated(texts)
    if truncated is None:
        return None
    return int(np.sum(truncated)), encode_fn.max_length


def _encode(
    texts: list[str], encode_fn, fingerprint: str, folder: WorkFolder
) -> np.ndarray:
    """The texts' vectors, mapped: float32 [n, dim]."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())

    def write(path: pathlib.Path) -> None:
        with _bar(len(texts), "text", "encode") as bar:
            sentence_vectors.embed(
                encode_fn,
                lambda start, stop: texts[start:stop],
                range(len(texts)),
                "float32",
                path,
                bar.update,
                CHUNK,
            )

    made_from = {"model": fingerprint, "texts": digest.hexdigest()}
    folder.make(_VECTORS, made_from, write)
    return np.load(folder.path(_VECTORS), mmap_mode="r")


def _bar(total: int, unit: str, what: str) -> ProgressBar:
    return ProgressBar(total=total, unit=f" {unit}s", desc=what)


def _summary(
    pairs: PairTexts, found: Negatives, truncated: tuple[int, int] | None
) -> Summary:
    counts = np.sum(found.texts != NONE, axis=1)
    wanted = found.texts.shape[1]
    none = int(np.sum(counts == 0))
    complete = int(np.sum(counts == wanted))
    return Summary(
        pairs=len(pairs),
        texts=len(pairs.texts),
        complete=complete,
        fewer=len(pairs) - complete - none,
        none=none,
        truncated=truncated,
        true_cosine=float(found.true_cosines.mean(dtype=np.float64)),
        negative_cosine=float(
            found.cosines[found.texts != NONE].mean(dtype=np.float64)
            if none < len(pairs)
            else np.nan
        ),
        negatives=wanted,
    )


def _write(
    out: str | os.PathLike,
    files: Iterable[TrainingPair],
    pairs: PairTexts,
    found: Negatives,
    has_corpora: bool,
) -> None:
    columns = [*PAIR_COLUMNS, HARD_NEGATIVES]
    if has_corpora:
        columns.insert(-1, CORPUS)
    rows = _rows(files, pairs, found, has_corpora)
    pair_writer.write_pairs(out, rows, columns)


def _rows(
    files: Iterable[TrainingPair],
    pairs: PairTexts,
    found: Negatives,
    has_corpora: bool,
) -> Iterator[Fields]:
    number = 0
    for number, pair in enumerate(files, start=1):
        _check_unchanged(files, pairs, number, pair)
        numbers = found.texts[number - 1]
        values = {
            "source": pair.source.decode(),
            "target": pair.target.decode(),
            "source_language": pair.source_language,
            "target_language": pair.target_language,
            HARD_NEGATIVES: [
                pairs.texts[number] for number in numbers[numbers != NONE]
            ],
        }
        if has_corpora:
            values[CORPUS] = pair.corpus
        yield values
    _check_unchanged(files, pairs, number)


def _check_unchanged(
    files: Iterable[TrainingPair],
    pairs: PairTexts,
    number: int,
    pair: TrainingPair | None = None,
) -> None:
    """Raises `InputError` unless pair `number`, from 1, was read before.

    Without a pair, it is the number of all.
    """
    if pair is None:
        same = number == len(pairs)
    else:
        same = number <= len(pairs) and (
            pair.source.decode() == pairs.texts[pairs.sources[number - 1]]
            and pair.target.decode() == pairs.texts[pairs.targets[number - 1]]
        )
    if not same:
        raise InputError(
            f"{files}: the pairs changed while hard negatives were found for "
            f"them; pair {number:,} is another. Start again."
        )
