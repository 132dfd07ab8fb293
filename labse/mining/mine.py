"""`labse.mine`: translations, or paraphrases, in texts."""

import contextlib
import dataclasses
import json
import numbers
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.reading import UNKNOWN_LANGUAGE, ReadOptions
from labse.inference.model_encoder import ModelEncoder
from labse.mining import sentence_vectors
from labse.mining.job.mining_job import LoadEncoder, MiningJob
from labse.mining.job.run_job import (
    ALL_STEPS,
    MiningSummary,
    keep_pairs,
    pair_rows,
    run_job,
    run_steps,
)
from labse.mining.job.selection import Selection
from labse.mining.job.settings import SOURCE, TARGET, Settings, TextSource
from labse.mining.select_pairs import NO_DEDUP

# What `labse.load` returns or takes, another object with a method `encode`, or
# a function from n sentences to float [n, dim].
Model = object
# Sentences; or a file or a glob; or several as a list of paths.
Texts = str | os.PathLike | Sequence[str] | Sequence[os.PathLike] | TextSource


@dataclasses.dataclass(frozen=True)
class MinedPair:
    """A translation, or a paraphrase.

    Attributes:
      source, target: the texts.
      cosine: of their vectors.
      margin: the ratio, or the distance with scoring "distance".
      source_line, target_line: in the file, or place in the list, from 1.
      source_language, target_language: as given, or "und".
      source_file, target_file: paths, "" for a list of sentences.
      source_metadata, target_metadata: the other fields of the rows.
      probability: of being a translation, with `min_precision`.
      rank: 1 for a source's best target, with retrieval "all".
    """

    source: str
    target: str
    cosine: float
    margin: float
    source_line: int
    target_line: int
    source_language: str
    target_language: str
    source_file: str
    target_file: str
    source_metadata: dict[str, object]
    target_metadata: dict[str, object]
    probability: float | None = None
    rank: int | None = None


def mine(
    model: Model,
    source: Texts,
    target: Texts | None = None,
    out: str | os.PathLike | None = None,
    *,
    source_language: str = "",
    target_language: str = "",
    scoring: str = "ratio",
    k: int = 4,
    retrieval: str = "max",
    min_score: float | None = None,
    min_precision: float | None = None,
    gold: str | os.PathLike | None = None,
    gold_is_complete: bool = False,
    keep_identical: bool = False,
    dedup: str = NO_DEDUP,
    index: str = "auto",
    max_hours: float | None = None,
    vector_type: str = "float32",
    num_shards: int | None = None,
    chunk: int = sentence_vectors.CHUNK,
    work: str | os.PathLike | None = None,
    restart: bool = False,
    fingerprint: str = "",
    show_progress: bool = False,
) -> list[MinedPair] | MiningSummary:
    """Finds translations between two corpora, as the command `labse mine` does.

        model = labse.load("runs/mine")
        for pair in labse.mine(model, ["Guten Tag", "Danke"], ["Thank you"]):
            print(pair.source, pair.target, pair.cosine)
        labse.mine(model, "de.txt.gz", "en/*.jsonl", out="pairs.tsv")

    Args:
      model: what `labse.load` returns or takes; or a function: a list of n
        strings -> float [n, dim].
      source: a list of sentences; a file or a glob, of any format that
        `labse mine` reads; or a list of `pathlib.Path`.
      target: likewise; None: paraphrases within the source side.
      out: a file to write, of any format of pairs; None: the pairs are
        returned.
      source_language: ISO 639 code, where the files do not name one.
      target_language: likewise.
      scoring: "ratio", "distance" (margins) or "absolute" (the cosine).
      k: neighbours of each sentence.
      retrieval: "max", one pair for each sentence; "forward", "backward",
        "intersection", "union", or "all", each source's k nearest targets.
      min_score: the lowest score that is kept. Default: 1.06 for "ratio", 0.6
        for "absolute", none for retrieval "all"; "distance" has none.
      min_precision: in place of min_score, the expected share of translations
        among the pairs; needs `gold`.
      gold: a file of known translations between the two sides.
      gold_is_complete: whether it names every translation there is.
      keep_identical: keep pairs of two equal texts.
      dedup: drop near copies, pairs that differ from a better one only in case,
        punctuation, symbols and white space ("punctuation"), or in these and
        digits ("digits"). "none" drops none.
      index: "exact", "sq8" or "pq" (approximate); "auto": exact if that takes
        less than four hours.
      max_hours: refuse to start what takes longer.
      vector_type: "float32" or "float16", on the disk.
      num_shards: files of vectors for each side.
      chunk: sentences that are encoded together.
      work: a folder for what the steps make: with it a killed call resumes, and
        another min_score takes seconds. None: a temporary folder.
      restart: make again what `work` has from other texts or another model.
      fingerprint: changes when the function's vectors do; needed with `work`
        if `model` is a function.
      show_progress: report progress on stderr; warnings always appear.

    Returns:
      the pairs, best first, or by source and rank for retrieval "all"; a
      `MiningSummary` if `out` is given.

    Raises:
      InputError: an argument or a text is not usable; the message says which.
    """
    _check_types(
        reals={
            "min_score": min_score,
            "min_precision": min_precision,
            "max_hours": max_hours,
        },
        paths={"out": out, "gold": gold, "work": work},
    )
    settings = Settings(
        k=k,
        scoring=scoring,
        retrieval=retrieval,
        vector_type=vector_type,
        num_shards=num_shards,
        chunk=chunk,
    )
    selection = Selection(
        min_score=min_score,
        min_precision=min_precision,
        gold=os.fspath(gold) if gold else None,
        gold_is_complete=gold_is_complete,
        keep_identical=keep_identical,
        dedup=dedup,
    )
    selection.check(settings)
    load_encoder = _encoder_loader(model, fingerprint, needs_name=bool(work))
    # Beside `out`: the folder of temporary files may be in memory.
    beside = None if out is None else Path(out).absolute().parent
    with _work_folder(work, beside) as folder:
        job = MiningJob(
            folder,
            _text_source(source, folder, SOURCE, source_language),
            None
            if target is None
            else _text_source(target, folder, TARGET, target_language),
            settings,
            load_encoder,
            restart,
            show_progress=show_progress,
        )
        if out is not None:
            return run_job(
                job, selection, out, index=index, max_hours=max_hours
            )
        run_steps(job, index, max_hours, ALL_STEPS)
        kept = keep_pairs(job, selection)
        return [_pair(row) for row in pair_rows(job, kept)]


def _check_types(reals: dict[str, object], paths: dict[str, object]) -> None:
    """Raises `InputError` where one is of another type, and not None."""
    for name, value in reals.items():
        is_real = isinstance(value, numbers.Real)
        if value is not None and (not is_real or isinstance(value, bool)):
            raise InputError(f"{name} must be a number. Received: {value!r}.")
    for name, value in paths.items():
        if value is not None and not isinstance(value, str | os.PathLike):
            raise InputError(f"{name} must be a path. Received: {value!r}.")


def _pair(row: dict) -> MinedPair:
    row["cosine"], row["margin"] = float(row["cosine"]), float(row["margin"])
    if "probability" in row:
        row["probability"] = float(row["probability"])
    return MinedPair(**row)


@contextlib.contextmanager
def _work_folder(
    work: str | os.PathLike | None, beside: Path | None
) -> Iterator[Path]:
    if work is not None:
        if os.path.isfile(work):
            raise InputError(f"work must be a folder. Received a file: {work}.")
        Path(work).mkdir(parents=True, exist_ok=True)
        yield Path(work).absolute()
        return
    if beside is not None and not beside.is_dir():
        raise InputError(f"out must be in a folder that exists: {beside}.")
    with tempfile.TemporaryDirectory(dir=beside, prefix=".mine.") as folder:
        yield Path(folder).absolute()


def _text_source(
    texts: Texts, folder: Path, side: str, language: str
) -> TextSource:
    """The files of a side; a list of sentences is written to a file first."""
    if isinstance(texts, TextSource):
        return texts
    if isinstance(texts, str | os.PathLike):
        return TextSource((os.fspath(texts),), ReadOptions(language=language))
    texts = list(texts) if isinstance(texts, Iterable) else [texts]
    if texts and all(isinstance(one, os.PathLike) for one in texts):
        patterns = tuple(map(os.fspath, texts))
        return TextSource(patterns, ReadOptions(language=language))
    if not texts or not all(isinstance(one, str) for one in texts):
        raise InputError(
            f"{side} must be a list of sentences, a path, or a list of "
            f"pathlib.Path. Received: {texts[:3]!r}."
        )
    path = folder / f"{side}.jsonl"
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    write_text(path, lines)
    options = ReadOptions(language=language or UNKNOWN_LANGUAGE)
    return TextSource((str(path),), options)


@dataclasses.dataclass(frozen=True)
class _LoadedModel:
    """An encode_fn and its fingerprint, as a job loads them."""

    encode_fn: sentence_vectors.EncodeFn
    fingerprint: str

    def __repr__(self) -> str:
        return self.fingerprint

    def __call__(self) -> tuple[sentence_vectors.EncodeFn, str]:
        return self.encode_fn, self.fingerprint


def _encoder_loader(
    model: Model, fingerprint: str, needs_name: bool
) -> LoadEncoder:
    if isinstance(model, str | os.PathLike):
        from labse.inference.loading import load

        model = load(os.fspath(model))
    if hasattr(model, "encode"):
        name = fingerprint or getattr(model, "fingerprint", "")
        if hasattr(model, "reports_truncation"):
            model = ModelEncoder(model)
        else:  # Another library's model.
            model = model.encode
    elif callable(model):
        name = fingerprint
    else:
        raise InputError(
            "model must have a method encode, or be a function from a list of "
            f"strings to vectors, or a path. Received: {model!r}."
        )
    if needs_name and not name:
        raise InputError(
            "A work folder keeps vectors for later calls, so it must be known "
            "when they change. Give fingerprint, such as the model's name and "
            "version, or leave out work."
        )
    return _LoadedModel(model, name)
