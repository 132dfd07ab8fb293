r"""Finds translations in two piles of text (section 7 of the paper).

  labse mine --model=M --source=a.txt --target=b.txt --out=pairs.tsv
  labse mine --model=M --source=de/*.jsonl.gz --target=en.parquet \
    --source_language=de --target_language=en --scoring=ratio --k=4 \
    --min_score=1.06 --out=pairs.parquet

Reads texts of any format of docs/file_formats.md; writes .tsv, .jsonl, each
also as .gz, or .parquet: source, target, their languages, cosine,
margin, files, lines and what else the inputs told of them. `labse train` takes
the TSV as it is. The steps:

  read    texts, each once, blank lines left out
  embed   vectors, in shards
  index   approximate search only
  search  the k nearest of each sentence, in both directions
  score   cosine or margin of the neighbours, and the retrieval
  select  best first, one pair for each sentence with --retrieval=max

--retrieval=all writes candidates, not translations: each source's k nearest
targets, by source, with cosine, margin and `rank` (1: the highest score), in
every scoring. Equal texts and near copies stay; --min_score drops what is
below, and by default nothing is.

What a step made is kept in --work and used again: a command that was killed
goes on where it was, and another --min_score costs seconds. The result is the
same to the byte whatever the number of shards and workers.
"""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

from labse.bin.flags import file_flags, mining_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import Encoder
from labse.errors import InputError

SELECT = "select"
# Of an approximate index, below which there is a warning.
LEAST_RECALL = 0.9


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of this program."""
    mining_flags.define_input_flags(flags, ("source", "target"))
    mining_flags.define_search_flags(flags)
    flags.choice(
        "retrieval",
        "max",
        ["forward", "backward", "intersection", "union", "max", "all"],
        "forward: each source's best target; backward: each target's best "
        "source; intersection or union of these; max: of the union, one pair "
        "for each sentence, the best first; all: each source's k nearest "
        "targets with their rank.",
    )
    mining_flags.define_output_flags(flags)
    mining_flags.define_precision_flags(flags)


def main(flags: FlagSet) -> None:
    """Mines pairs."""
    from labse.mining.job.job_files import Side

    source, target = (
        Side(
            tuple(flags[side].value),
            file_flags.options(
                flags,
                language=flags[f"{side}_language"].value or "",
                source_language="",
                target_language="",
            ),
        )
        for side in ("source", "target")
    )
    run(flags, source, target)


def run(flags: FlagSet, source, target) -> None:
    """Does the steps that are asked for; `target` None: paraphrases."""
    from labse.files.pair_writer import check_output
    from labse.mining.job.choose_index import choose_index
    from labse.mining.job.job_files import Settings
    from labse.mining.job.mining_job import STEPS, MiningJob

    steps = flags.steps or [*STEPS, SELECT]
    unknown = set(steps) - {*STEPS, SELECT}
    if unknown:
        raise InputError(
            f"--steps are some of {', '.join([*STEPS, SELECT])}. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    check_output(flags.out)
    work = flags.work or f"{flags.out}.work"
    settings = Settings(
        k=flags.k,
        scoring=flags.scoring,
        retrieval=mining_flags.given(flags, "retrieval", "max"),
        vector_type=flags.vectors,
        num_shards=flags.shards,
        chunk=flags.chunk,
    )
    mining_flags.check_threshold(flags, settings.retrieval)
    if "read" in steps:
        mining_flags.check_not_an_input(flags, source, target)
    mining_flags.check_may_replace(flags.out, work)
    job = MiningJob(
        work,
        source,
        target,
        settings,
        Encoder(flags.model, flags.encoder_precision),
        flags.restart,
    )
    run_step = _step_runner(flags, job)
    if "read" in steps:
        run_step("read")
    job.fit_k()
    if set(steps) - {"read"}:
        choose_index(job, flags.index, flags.max_hours)
    for step in STEPS[1:]:
        if step in steps:
            run_step(step)
            if step == "index":
                _tell_recall(job)
    if SELECT in steps:
        _select(flags, job)


def _step_runner(flags: FlagSet, job):
    """Runs a step, here or on Beam."""
    if not flags.runner:
        return job.run_step
    try:
        # labse never imports data_pipeline, where alone Beam is imported.
        on_beam = importlib.import_module("data_pipeline.mining_on_beam")
    except ModuleNotFoundError as error:
        raise InputError(
            f"--runner needs Apache Beam ({error}). Install labse[beam]."
        ) from error
    arguments = [f"--runner={flags.runner}", *flags.beam]
    on_beam.check_runner(arguments)

    def run_step(step: str) -> None:
        # Workers need not see the input files.
        if step == "read":
            job.run_step(step)
        else:
            on_beam.run_step(job, step, arguments)

    return run_step


def _tell_recall(job) -> None:
    """How much of the exact neighbours an approximate index finds."""
    if job.settings.index == "exact":
        return
    for side in job.sides:
        recall = job.recall(side)
        _tell(
            f"The {job.settings.index} index of the {side} side finds "
            f"{100 * recall:.1f} % of the exact neighbours of a sample."
        )
        if recall < LEAST_RECALL:
            _tell(
                f"WARNING: that is less than {100 * LEAST_RECALL:g} %; pairs "
                "will be missed. --index=exact misses none."
            )


def _select(flags: FlagSet, job) -> None:
    from labse.mining import candidates as scored
    from labse.mining import select_pairs
    from labse.mining.job.job_files import SOURCE

    candidates_file = job.candidates()
    source = job.corpus(SOURCE)
    target = job.corpus(list(job.sides)[-1])
    candidates, choices = scored.read_candidates(candidates_file)
    min_score, probability = _min_score(flags, job, candidates)
    ranks = None
    if job.settings.retrieval == "all":
        kept, ranks, counts = select_pairs.select_all(candidates, min_score)
    else:
        kept, counts = select_pairs.select(
            candidates, source, target, min_score, flags.keep_identical
        )
    select_pairs.write(flags.out, kept, source, target, probability, ranks)
    best = kept if ranks is None else kept.taken(ranks == 1).sorted()
    found = _check_degenerates(best, choices, source, target)
    _write_manifest(flags, job, min_score, counts, found)
    _tell_counts(flags, job, min_score, counts)


def _min_score(flags: FlagSet, job, candidates) -> tuple:
    """The lowest score that is kept, or None, and score -> probability."""
    from labse.mining.job import calibrated_threshold
    from labse.mining.select_pairs import DEFAULT_MIN_SCORES
    from labse.mining.threshold import precision_plot

    precision = mining_flags.given(flags, "precision")
    if precision is None:
        min_score = flags.min_score
        if min_score is None and job.settings.retrieval != "all":
            min_score = DEFAULT_MIN_SCORES[flags.scoring]
        return min_score, None
    threshold = calibrated_threshold.from_gold(
        job, candidates, precision, flags.gold, flags.gold_is_complete
    )
    precision_plot.write(
        threshold.calibration,
        Path(f"{flags.out}.precision.json"),
        threshold.min_score,
    )
    _tell(threshold.told)
    return threshold.min_score, threshold.calibration.probability


def _tell(*texts: str) -> None:
    for text in texts:
        if text:
            print(text, file=sys.stderr)


def _check_degenerates(kept, choices, source, target) -> dict:
    """A look at the best pairs: are they translations?"""
    from labse.mining import degenerate

    found = degenerate.find_degenerate(
        kept.pairs,
        source.text,
        target.text,
        choices.get("chosen_targets"),
        choices.get("chosen_sources"),
    )
    # Of one pile, near copies and hubs are what is looked for.
    if choices:
        _tell(found.warning())
    return found.to_dict()


def _tell_counts(flags, job, min_score, counts) -> None:
    for side in job.sides:
        corpus = job.corpus(side)
        _tell(
            f"{side}: {corpus.num_read:,} lines, {corpus.num_blank:,} blank, "
            f"{corpus.num_malformed:,} malformed, "
            f"{corpus.num_duplicates:,} seen before, {len(corpus):,} sentences"
        )
        if truncation := job.truncation(side):
            cut, max_length = truncation
            _tell(
                f"{side}: {cut:,} of {len(corpus):,} sentences were cut at "
                f"{max_length} tokens"
            )
    below = ""
    if min_score is not None:
        below = f"{counts.below_min_score:,} below {min_score:.4g}, "
    _tell(
        f"{counts.candidates:,} candidates: {below}"
        f"{counts.identical:,} of equal texts, "
        f"{counts.near_duplicates:,} near copies of better ones",
        f"{counts.written:,} pairs in {flags.out}",
    )


def _write_manifest(flags, job, min_score, counts, found) -> None:
    """What the pairs were made from, beside them."""
    notes = job.notes()
    manifest = {
        "models": sorted(
            {
                note.made_from["model"]
                for note in notes.values()
                if "model" in note.made_from
            }
        ),
        "settings": dataclasses.asdict(job.settings),
        "min_score": min_score,
        "keep_identical": flags.keep_identical,
        "sides": {
            name: {
                **dataclasses.asdict(side),
                "lines": job.corpus(name).num_read,
                "blank": job.corpus(name).num_blank,
                "malformed": job.corpus(name).num_malformed,
                "duplicates": job.corpus(name).num_duplicates,
                "sentences": len(job.corpus(name)),
                "fingerprint": job.corpus(name).fingerprint,
            }
            for name, side in job.sides.items()
        },
        "candidates": dataclasses.asdict(counts),
        "degenerate": found,
        "files": {
            name: dataclasses.asdict(note) for name, note in notes.items()
        },
    }
    path = Path(f"{flags.out}.manifest.json")
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(manifest, indent=1), "utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    program.main(__name__)
