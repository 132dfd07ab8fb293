"""Runs a mining job from texts to pairs, and says what became of them."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.kinds import find_files
from labse.files.pair_writer import check_output
from labse.mining import candidates as scored
from labse.mining import degenerate, select_pairs
from labse.mining.job import steps as job_steps
from labse.mining.job.first_block import choose_index
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.selection import (
    Selection,
    Threshold,
    choose_threshold,
)
from labse.mining.job.settings import EXACT, SOURCE, STEPS
from labse.mining.threshold import precision_plot

SELECT = "select"
ALL_STEPS = (*STEPS, SELECT)
# An approximate index with a lower recall triggers a warning.
LEAST_RECALL = 0.9

RunStep = Callable[[MiningJob, str], None]


@dataclasses.dataclass(frozen=True)
class MiningSummary:
    """What a mining job found.

    `sides` says by "source" and "target" what became of the texts: `lines` that
    were read; `blank`, `malformed` and `duplicates` among them; the other
    `sentences`; how many of these the encoder truncated to `max_length` tokens
    (None: it does not say).
    """

    out: str | None  # the file of pairs
    num_pairs: int
    min_score: float | None  # the lowest that was kept; None: no limit
    counts: select_pairs.SelectionCounts
    sides: dict[str, dict[str, int | None]]
    degenerate: dict[str, object]  # signs that the best are not translations
    index: str  # "exact", or the kind of the approximate index


@dataclasses.dataclass(frozen=True)
class KeptPairs:
    """The pairs that a job keeps, in the order in which they are written."""

    candidates: scored.CandidatePairs
    ranks: np.ndarray | None
    threshold: Threshold
    summary: MiningSummary


def run_job(
    job: MiningJob,
    selection: Selection,
    out: str | os.PathLike,
    *,
    index: str = "auto",
    max_hours: float | None = None,
    steps: Sequence[str] = (),
    run_step: RunStep = job_steps.run_step,
) -> MiningSummary | None:
    """Mines pairs into a file.

    Args:
      job: with its texts and settings.
      selection: what is kept.
      out: the file of pairs. OUT.manifest.json says what it was made from.
      index, max_hours: see `choose_index`.
      steps: some of ALL_STEPS; none: all of them.
      run_step: runs a step; default: in this process.

    Returns:
      a summary; None where the step "select" is not among the steps.

    Raises:
      InputError: the arguments or the texts are not usable.
    """
    steps = steps or ALL_STEPS
    if unknown := set(steps) - set(ALL_STEPS):
        raise InputError(
            f"steps must be some of {', '.join(ALL_STEPS)}. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    out = os.fspath(out)
    check_output(out)
    selection.check(job.settings)
    _check_replaceable(job, selection, out, reads_inputs="read" in steps)
    run_steps(job, index, max_hours, steps, run_step)
    if SELECT not in steps:
        return None
    kept = keep_pairs(job, selection, out)
    if kept.threshold.calibration:
        precision_plot.write_calibration(
            kept.threshold.calibration,
            Path(f"{out}.precision.json"),
            kept.threshold.min_score,
        )
    # The manifest comes first: by it a killed job knows the pairs as its own.
    _write_manifest(job, selection, kept.summary)
    select_pairs.write(out, *_parts_of_rows(job, kept))
    _report_counts(job, kept.summary, selection.dedup)
    return kept.summary


def run_steps(
    job: MiningJob,
    index: str,
    max_hours: float | None,
    steps: Sequence[str],
    run_step: RunStep = job_steps.run_step,
) -> None:
    """Runs the steps before the selection; the index is chosen on the way."""
    if "read" in steps:
        run_step(job, "read")
    job.fit_k()
    if set(steps) - {"read"}:
        choose_index(job, index, max_hours)
    for step in STEPS[1:]:
        if step in steps:
            run_step(job, step)
            if step == "index" and job.settings.index != EXACT:
                _report_recall(job)


def keep_pairs(
    job: MiningJob, selection: Selection, out: str | None = None
) -> KeptPairs:
    """Selects among the candidates of a job whose steps have run."""
    source, target = _corpora(job)
    candidates, choices = scored.read_candidates(job.candidates())
    threshold = choose_threshold(job, candidates, selection)
    if threshold.explanation:
        job.report(threshold.explanation)
    ranks = None
    if job.settings.retrieval == "all":
        kept, ranks, counts = select_pairs.select_all(
            candidates, threshold.min_score
        )
        best = kept.taken(ranks == 1).sorted()
    else:
        kept, counts = select_pairs.select(
            candidates,
            source,
            target,
            threshold.min_score,
            selection.keep_identical,
            selection.dedup,
        )
        best = kept
    found = degenerate.find_degenerate(
        best.pairs,
        source.text,
        target.text,
        choices.get("chosen_targets"),
        choices.get("chosen_sources"),
    )
    # Near copies and hubs are what paraphrases are.
    if choices and (warning := found.warning()):
        print(warning, file=sys.stderr)
    summary = MiningSummary(
        out=out,
        num_pairs=len(kept),
        min_score=threshold.min_score,
        counts=counts,
        sides={side: _side_summary(job, side) for side in job.sides},
        degenerate=found.to_dict(),
        index=job.settings.index,
    )
    return KeptPairs(kept, ranks, threshold, summary)


def pair_rows(job: MiningJob, kept: KeptPairs) -> Iterator[dict]:
    """The pairs with texts, languages, places and scores, by column."""
    return select_pairs.rows(*_parts_of_rows(job, kept))


def _parts_of_rows(job: MiningJob, kept: KeptPairs) -> tuple:
    calibration = kept.threshold.calibration
    probability = calibration.probability if calibration else None
    return kept.candidates, *_corpora(job), probability, kept.ranks


def _corpora(job: MiningJob) -> tuple:
    return job.corpus(SOURCE), job.corpus(list(job.sides)[-1])


def _check_replaceable(
    job: MiningJob, selection: Selection, out: str, reads_inputs: bool
) -> None:
    """A job with another min_score replaces its own pairs, but nothing else."""
    files = [selection.gold] if reads_inputs and selection.gold else []
    for side in job.sides.values() if reads_inputs else ():
        files += find_files(side.patterns)
    for path in files:
        if Path(path).resolve() == Path(out).resolve():
            raise InputError(
                "out must be another file than the inputs. Received: "
                f"{path} for both."
            )
    if os.path.exists(out) and not os.path.exists(f"{out}.manifest.json"):
        raise InputError(
            "out must be a new file, or one that was mined. Received: "
            f"{out}, which exists without {out}.manifest.json. Choose another "
            "name, or delete the file."
        )


def _report_recall(job: MiningJob) -> None:
    """Reports how many exact neighbours an approximate index finds."""
    for side in job.sides:
        recall = job_steps.measure_recall(job, side)
        job.report(
            f"The {job.settings.index} index of the {side} side finds "
            f"{100 * recall:.1f} % of the exact neighbours of a sample."
        )
        if recall < LEAST_RECALL:
            print(
                f"WARNING: the {side} side's index finds less than "
                f"{100 * LEAST_RECALL:g} % of the exact neighbours; pairs "
                "will be missed. The index 'exact' misses none.",
                file=sys.stderr,
            )


def _side_summary(job: MiningJob, side: str) -> dict[str, int | None]:
    corpus = job.corpus(side)
    truncated, max_length = job.truncation(side) or (None, None)
    return {
        "lines": corpus.num_read,
        "blank": corpus.num_blank,
        "malformed": corpus.num_malformed,
        "duplicates": corpus.num_duplicates,
        "sentences": len(corpus),
        "truncated": truncated,
        "max_length": max_length,
    }


def _report_counts(job: MiningJob, summary: MiningSummary, dedup: str) -> None:
    for name, side in summary.sides.items():
        job.report(
            "{name}: {lines:,} lines, {blank:,} blank, {malformed:,} malformed,"
            " {duplicates:,} duplicates, {sentences:,} sentences".format(
                name=name, **side
            )
        )
        if side["truncated"] is not None:
            job.report(
                f"{name}: {side['truncated']:,} of {side['sentences']:,} "
                f"sentences were truncated to {side['max_length']} tokens"
            )
    job.report(
        f"{summary.counts.describe(summary.min_score, dedup)}\n"
        f"{summary.num_pairs:,} pairs in {summary.out}"
    )


def _write_manifest(
    job: MiningJob, selection: Selection, summary: MiningSummary
) -> None:
    """Writes beside the pairs what they were made from."""
    notes = job.notes()
    models = {note.made_from.get("model") for note in notes.values()} - {None}
    manifest = {
        "models": sorted(models),
        "settings": dataclasses.asdict(job.settings),
        "min_score": summary.min_score,
        "keep_identical": selection.keep_identical,
        "dedup": selection.dedup,
        "sides": {
            name: {
                **dataclasses.asdict(job.sides[name]),
                **side,
                "fingerprint": job.corpus(name).fingerprint,
            }
            for name, side in summary.sides.items()
        },
        "candidates": dataclasses.asdict(summary.counts),
        "degenerate": summary.degenerate,
        "files": {
            name: dataclasses.asdict(note) for name, note in notes.items()
        },
    }
    write_text(f"{summary.out}.manifest.json", json.dumps(manifest, indent=1))
