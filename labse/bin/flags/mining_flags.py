"""Flags that the mining programs share, and running a job by them."""

from labse.bin.flags import file_flags
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_OR_FUNCTION_HELP, Encoder
from labse.errors import InputError


def define_model_flags(flags: FlagSet) -> None:
    """Flags of the model that embeds the texts."""
    flags.string("model", None, MODEL_OR_FUNCTION_HELP, required=True)
    flags.choice(
        "compute_dtype",
        "float32",
        ["float32", "bfloat16"],
        "Type of the encoder's matrix products.",
    )


def define_input_flags(flags: FlagSet, sides: tuple[str, ...]) -> None:
    """Flags of model and texts."""
    define_model_flags(flags)
    for side in sides:
        flags.strings(
            side,
            None,
            file_flags.TEXT_FILES,
            required=True,
        )
    file_flags.define_side_flags(
        flags,
        [f"{side}_language" for side in sides] if sides[1:] else ["language"],
    )


def define_work_flags(flags: FlagSet) -> None:
    """Flags of what is kept for a command that resumes."""
    flags.string(
        "work", None, "Folder for intermediate files. Default: OUT.work."
    )
    flags.boolean(
        "restart",
        False,
        "Make intermediate files again that are of other texts or of another "
        "model.",
    )


def define_search_flags(flags: FlagSet) -> None:
    """Flags of vectors, neighbours and scores."""
    flags.choice(
        "vectors",
        "float32",
        ["float32", "float16"],
        "Type of the vectors on disk.",
    )
    flags.integer(
        "shards",
        None,
        "Files of vectors for each side. Default: one for 262,144 sentences.",
        lower_bound=1,
    )
    flags.integer(
        "chunk",
        4096,
        "Sentences that are encoded together; a kill loses at most these.",
        lower_bound=1,
    )
    flags.choice(
        "index",
        "auto",
        ["auto", "exact", "sq8", "pq"],
        "How neighbours are searched. exact: compares every pair; sq8, pq: "
        "FAISS' approximate indexes, whose candidates are ranked by their "
        "vectors; auto: exact if that takes at most 4 hours on this machine "
        "and fits into memory and disk.",
    )
    flags.number("max_hours", None, "Refuse to start a job that takes longer.")
    flags.integer(
        "k",
        4,
        "Neighbours of each sentence; lowered where a side has fewer.",
        lower_bound=1,
    )
    flags.choice(
        "scoring",
        "ratio",
        ["absolute", "distance", "ratio"],
        "absolute: the cosine, as in the paper; ratio and distance: the "
        "margins of Artetxe and Schwenk.",
    )


def define_output_flags(flags: FlagSet) -> None:
    """Flags of what is written and how the work is done."""
    flags.string("out", None, file_flags.PAIR_OUTPUT, required=True)
    flags.number(
        "min_score",
        None,
        "Lowest score that is kept. Default: 0.6 for absolute (section 7), "
        "1.06 for ratio (CCMatrix), no limit for --retrieval=all.",
    )
    flags.boolean("keep_identical", False, "Keep pairs of two equal texts.")
    flags.choice(
        "dedup",
        "none",
        ["none", "punctuation", "digits"],
        "Drop near copies, pairs that differ from a better one only in case, "
        "punctuation, symbols and white space (punctuation), or in these and "
        "digits (digits). none: drop none; numbers are content.",
    )
    define_work_flags(flags)
    flags.comma_list(
        "steps", [], "Run only these steps, such as read,embed. Default: all."
    )
    flags.string(
        "runner",
        None,
        "Beam runner for the steps before select, such as FlinkRunner; --work "
        "must then be on a file system that all workers share. Default: run "
        "in this process.",
    )
    flags.strings(
        "beam",
        [],
        "A flag of Beam's, such as --beam=--parallelism=8; repeatable.",
    )


def define_precision_flags(flags: FlagSet) -> None:
    """Flags of a threshold by its expected precision."""
    flags.number(
        "min_precision",
        None,
        "In place of --min_score: the expected share of translations among "
        "the pairs, such as 0.9; needs --gold.",
    )
    flags.string(
        "gold",
        None,
        "Known translations between these files: pairs in any format, a table "
        "of source_line and target_line, or BUCC's .gold.",
    )
    flags.boolean(
        "gold_is_complete",
        False,
        "--gold names every translation there is, as in BUCC.",
    )


def run(
    flags: FlagSet, source, target, retrieval: str = "max", **selection
) -> None:
    """Runs a mining job as the flags say.

    Args:
      flags: with the flags above.
      source: a `TextSource`.
      target: another one; None: paraphrases.
      retrieval: how pairs are chosen among neighbours.
      **selection: of `Selection`, what is not among the flags of all programs.
    """
    from labse.mining.job.mining_job import MiningJob
    from labse.mining.job.run_job import run_job
    from labse.mining.job.selection import Selection
    from labse.mining.job.settings import Settings
    from labse.mining.job.steps import run_step

    job = MiningJob(
        flags.work or f"{flags.out}.work",
        source,
        target,
        Settings(
            k=flags.k,
            scoring=flags.scoring,
            retrieval=retrieval,
            vector_type=flags.vectors,
            num_shards=flags.shards,
            chunk=flags.chunk,
        ),
        Encoder(flags.model, flags.compute_dtype),
        flags.restart,
    )
    run_job(
        job,
        Selection(
            min_score=flags.min_score,
            keep_identical=flags.keep_identical,
            dedup=flags.dedup,
            **selection,
        ),
        flags.out,
        index=flags.index,
        max_hours=flags.max_hours,
        steps=flags.steps,
        run_step=_on_beam(flags) if flags.runner else run_step,
    )


def _on_beam(flags: FlagSet):
    """Runs a step on Beam."""
    try:
        from data_pipeline import mining_on_beam
        from data_pipeline.jobs.phases import check_runner
    except ModuleNotFoundError as error:
        raise InputError(
            f"--runner needs Apache Beam ({error}). Install labse[beam]."
        ) from error
    from labse.mining.job.steps import phases, run_step

    arguments = [f"--runner={flags.runner}", *flags.beam]
    check_runner(arguments)

    def run_on_beam(job, step: str) -> None:
        if step == "read":  # Workers need not see the input files.
            run_step(job, step)
            return
        for phase in phases(job, step):
            mining_on_beam.run_phase(job, step, phase, arguments)

    return run_on_beam
