r"""Finds translations in two piles of text (section 7 of the paper).

  labse mine --model=M --source=a.txt --target=b.txt --out=pairs.tsv
  labse mine --model=M --source=de/*.jsonl.gz --target=en.parquet \
    --source_language=de --target_language=en --scoring=ratio --k=4 \
    --min_score=1.06 --out=pairs.parquet

Reads .txt, .jsonl, .tsv, each also as .gz, .parquet and TFRecords; writes .tsv,
.jsonl, each also as .gz, or .parquet: source, target, their languages, cosine,
margin, files, lines and what else the inputs told of them. `labse train` takes
the TSV as it is. The steps:

  read    texts, each once, blank lines left out
  embed   vectors, in shards
  index   approximate search only
  search  the k nearest of each sentence, in both directions
  score   cosine or margin of the neighbours, and the retrieval
  select  best first, one pair for each sentence with --retrieval=max

What a step made is kept in --work and used again: a command that was killed
goes on where it was, and another --min_score costs seconds. The result is the
same to the byte whatever the number of shards and workers.
"""

import dataclasses
import importlib
import json
import math
import sys
from pathlib import Path

from absl import flags

from labse.bin import program
from labse.bin.models import Encoder
from labse.errors import InputError

SELECT = "select"
# Of an approximate index, below which there is a warning.
LEAST_RECALL = 0.9


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program on `flag_values`."""
    define_input_flags(flag_values, ("source", "target"))
    define_search_flags(flag_values)
    flags.DEFINE_enum(
        "retrieval",
        "max",
        ["forward", "backward", "intersection", "union", "max"],
        "forward: each source's best target; backward: each target's best "
        "source; intersection or union of these; max: of the union, one pair "
        "for each sentence, the best first.",
        flag_values=flag_values,
    )
    define_output_flags(flag_values)
    define_precision_flags(flag_values)


def define_precision_flags(flag_values: flags.FlagValues) -> None:
    """Flags of what is kept by its expected precision."""
    flags.DEFINE_float(
        "precision",
        None,
        "Keep what is expected to be right so often, as 0.9, in place of "
        "--min_score; needs --gold or --planted.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "gold",
        None,
        "Known translations between these files: TSV of source and target, or "
        "of source_line and target_line, or BUCC's .gold.",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "gold_is_complete",
        False,
        "--gold names every translation there is, as in BUCC.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "planted",
        None,
        "Known translations from elsewhere, a TSV of source and target: they "
        "are planted among the sentences, and never written. They compete "
        "with these: a few pairs come out otherwise than without.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "planted_orphans",
        0.0,
        "With --planted: the share of the smaller side's sentences that have "
        "no translation; raised to what the scores allow.",
        flag_values=flag_values,
    )


def define_input_flags(
    flag_values: flags.FlagValues, sides: tuple[str, ...]
) -> None:
    """Flags of model and texts."""
    flags.DEFINE_string(
        "model",
        None,
        "What labse.load takes, or python:module.function: list of n strings "
        "-> float32 [n, dim].",
        flag_values=flag_values,
        required=True,
    )
    for side in sides:
        flags.DEFINE_multi_string(
            side,
            None,
            "File or glob of texts; repeatable.",
            flag_values=flag_values,
            required=True,
        )
        language = "language" if len(sides) == 1 else f"{side}_language"
        flags.DEFINE_string(
            language,
            "und",
            "Language code of texts whose files do not tell it.",
            flag_values=flag_values,
        )
    flags.DEFINE_string(
        "text_field",
        "text",
        "Field, or column, of the text in .jsonl, .tsv, .parquet and records.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "encoder_precision",
        "float32",
        ["float32", "bfloat16"],
        "Of the encoder's matmuls.",
        flag_values=flag_values,
    )


def define_search_flags(flag_values: flags.FlagValues) -> None:
    """Flags of vectors, neighbours and scores."""
    flags.DEFINE_enum(
        "vectors",
        "float32",
        ["float32", "float16"],
        "Type of the vectors on the disk.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "shards",
        None,
        "Files of vectors a side; by default one for 262,144 sentences.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "chunk",
        4096,
        "Sentences that are encoded together; what is lost at most by a kill.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "index",
        "auto",
        ["auto", "exact", "sq8", "pq"],
        "How neighbours are searched. exact: every pair is compared; sq8, pq: "
        "FAISS' approximate indexes, ranked again by the vectors; auto: exact "
        "while that takes less than 4 hours on this machine and fits.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "max_hours",
        None,
        "Refuse to begin what takes longer.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "k",
        4,
        "Neighbours of each sentence.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "scoring",
        "ratio",
        ["absolute", "distance", "ratio"],
        "absolute: the cosine, as in the paper; ratio and distance: margins "
        "of Artetxe and Schwenk.",
        flag_values=flag_values,
    )


def define_output_flags(flag_values: flags.FlagValues) -> None:
    """Flags of what is written and of the work."""
    flags.DEFINE_string(
        "out",
        None,
        "File of pairs: .tsv, .tsv.gz, .jsonl, .jsonl.gz or .parquet.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_float(
        "min_score",
        None,
        "Lowest score that is kept. Default: 0.6 for absolute (section 7), "
        "1.06 for ratio (CCMatrix).",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "keep_identical",
        False,
        "Keep pairs of two equal texts.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "work",
        None,
        "Folder of what the steps make. Default: OUT.work.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "steps",
        [],
        "Only these, as read,embed. Default: all.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "runner",
        None,
        "Beam runner of the steps before select, as FlinkRunner; --work must "
        "then be on a file system that all workers share. Default: this "
        "process.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "beam",
        [],
        "A flag of Beam's, as --beam=--parallelism=8; repeatable.",
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "restart",
        False,
        "Make again what was made of other texts or by another model.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Mines pairs."""
    from labse.mining.mining_job import Side

    source, target = (
        Side(
            tuple(flag_values[side].value),
            flag_values[f"{side}_language"].value,
            flag_values.text_field,
        )
        for side in ("source", "target")
    )
    run(flag_values, source, target)


def run(flag_values: flags.FlagValues, source, target) -> None:
    """Does the steps that are asked for; `target` None: paraphrases."""
    from labse.mining.choose_index import choose_index
    from labse.mining.mining_job import STEPS, MiningJob, Settings
    from labse.mining.pair_files import check_output

    steps = flag_values.steps or [*STEPS, SELECT]
    unknown = set(steps) - {*STEPS, SELECT}
    if unknown:
        raise InputError(
            f"--steps are some of {', '.join([*STEPS, SELECT])}. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    check_output(flag_values.out)
    settings = Settings(
        k=flag_values.k,
        scoring=flag_values.scoring,
        retrieval=_given(flag_values, "retrieval", "max"),
        vector_type=flag_values.vectors,
        num_shards=flag_values.shards,
        chunk=flag_values.chunk,
    )
    _check_threshold(flag_values)
    _check_not_an_input(flag_values, source, target)
    job = MiningJob(
        flag_values.work or f"{flag_values.out}.work",
        source,
        target,
        settings,
        Encoder(flag_values.model, flag_values.encoder_precision),
        flag_values.restart,
        _given(flag_values, "planted"),
    )
    run_step = _step_runner(flag_values, job)
    if "read" in steps:
        run_step("read")
    if set(steps) - {"read"}:
        choose_index(job, flag_values.index, flag_values.max_hours)
    for step in STEPS[1:]:
        if step in steps:
            run_step(step)
            if step == "index":
                _tell_recall(job)
    if SELECT in steps:
        _select(flag_values, job)


def _given(flag_values: flags.FlagValues, name: str, default=None):
    """A flag that `labse paraphrases` does not have."""
    return flag_values[name].value if name in flag_values else default


def _check_not_an_input(flag_values: flags.FlagValues, *sides) -> None:
    from labse.mining.record_files import find_files

    files = [
        path
        for side in sides
        if side is not None
        for path in find_files(side.patterns)
    ]
    files += [_given(flag_values, "gold"), _given(flag_values, "planted")]
    for path in filter(None, files):
        if Path(path).resolve() == Path(flag_values.out).resolve():
            raise InputError(
                f"--out must be another file than the inputs. Received: {path} "
                "for both."
            )


def _check_threshold(flag_values: flags.FlagValues) -> None:
    """Before hours of work: is it clear what will be kept?"""
    from labse.mining import gold_pairs, plant
    from labse.mining.precision import check_precision, import_isotonic
    from labse.mining.select_pairs import DEFAULT_MIN_SCORES

    precision = _given(flag_values, "precision")
    orphans = _given(flag_values, "planted_orphans", 0.0)
    if not 0 <= orphans < 1:
        raise InputError(
            "--planted_orphans is a share, at least 0 and below 1. Received: "
            f"{orphans:g}."
        )
    if flag_values.min_score is not None and math.isnan(flag_values.min_score):
        raise InputError("--min_score must be a number. Received: nan.")
    if precision is None:
        if _given(flag_values, "gold"):
            raise InputError(
                "--gold says which pairs are right, for --precision. Received "
                "no --precision."
            )
        if (
            flag_values.min_score is None
            and flag_values.scoring not in DEFAULT_MIN_SCORES
        ):
            raise InputError(
                f"--scoring={flag_values.scoring} has no usual lowest score. "
                "Give --min_score."
            )
        return
    check_precision(precision)
    import_isotonic()
    if flag_values.min_score is not None:
        raise InputError(
            "--precision stands in place of --min_score. Received both."
        )
    if flag_values.gold:
        gold_pairs.read(flag_values.gold)
    elif flag_values.planted:
        plant.read(flag_values.planted)
    else:
        raise InputError(
            "--precision needs translations that are known: --gold, pairs "
            "between these very files, or --planted, any other pairs of these "
            "languages, which are planted among the sentences. Received "
            "neither."
        )


def _step_runner(flag_values: flags.FlagValues, job):
    """Runs a step, here or on Beam."""
    if not flag_values.runner:
        return job.run_step
    try:
        # labse never imports data_pipeline, where alone Beam is imported.
        on_beam = importlib.import_module("data_pipeline.mining_on_beam")
    except ModuleNotFoundError as error:
        raise InputError(
            f"--runner needs Apache Beam ({error}). Install labse[beam]."
        ) from error
    arguments = [f"--runner={flag_values.runner}", *flag_values.beam]
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


def _select(flag_values: flags.FlagValues, job) -> None:
    from labse.mining import calibrated_threshold, precision_plot, select_pairs
    from labse.mining.mining_job import SOURCE

    candidates_file = job.candidates()
    source = job.corpus(SOURCE)
    target = job.corpus(list(job.sides)[-1])
    candidates, choices = select_pairs.read_candidates(candidates_file)
    probability = None
    if (precision := _given(flag_values, "precision")) is not None:
        threshold = calibrated_threshold.find(
            job,
            candidates,
            precision,
            flag_values.gold,
            flag_values.gold_is_complete,
            flag_values.planted_orphans,
        )
        min_score = threshold.min_score
        probability = threshold.calibration.probability
        precision_plot.write(
            threshold.calibration,
            Path(f"{flag_values.out}.precision.json"),
            min_score,
        )
        _tell(threshold.told, threshold.warning)
    elif (min_score := flag_values.min_score) is None:
        min_score = select_pairs.DEFAULT_MIN_SCORES[flag_values.scoring]
    kept, counts = select_pairs.select(
        calibrated_threshold.own_candidates(job, candidates),
        source,
        target,
        min_score,
        flag_values.keep_identical,
    )
    select_pairs.write(flag_values.out, kept, source, target, probability)
    found = _check_degenerates(kept, choices, source, target)
    _write_manifest(flag_values, job, min_score, counts, found)
    _tell_counts(flag_values, job, min_score, counts)


def _tell(*texts: str) -> None:
    for text in texts:
        if text:
            print(text, file=sys.stderr)


def _check_degenerates(kept, choices, source, target) -> dict:
    """A look at the best pairs: are they translations?"""
    from labse.mining import degenerate

    found = degenerate.check(
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


def _tell_counts(flag_values, job, min_score, counts) -> None:
    for side in job.sides:
        corpus = job.corpus(side)
        _tell(
            f"{side}: {corpus.num_read:,} lines, {corpus.num_blank:,} blank, "
            f"{corpus.num_duplicates:,} seen before, {len(corpus):,} sentences"
        )
    _tell(
        f"{counts.candidates:,} candidates: {counts.below_min_score:,} below "
        f"{min_score:.4g}, {counts.identical:,} of equal texts, "
        f"{counts.near_duplicates:,} near copies of better ones",
        f"{counts.written:,} pairs in {flag_values.out}",
    )


def _write_manifest(flag_values, job, min_score, counts, found) -> None:
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
        "keep_identical": flag_values.keep_identical,
        "sides": {
            name: {
                **dataclasses.asdict(side),
                "lines": job.corpus(name).num_read,
                "blank": job.corpus(name).num_blank,
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
    path = Path(f"{flag_values.out}.manifest.json")
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(manifest, indent=1), "utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    program.main(__name__)
