"""Flags that the mining programs share, and checks of them."""

import math
from pathlib import Path

from labse.bin.flags import file_flags
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_OR_FUNCTION_HELP
from labse.errors import InputError


def define_input_flags(flags: FlagSet, sides: tuple[str, ...]) -> None:
    """Flags of model and texts."""
    flags.string("model", None, MODEL_OR_FUNCTION_HELP, required=True)
    for side in sides:
        flags.strings(
            side,
            None,
            "Texts: .txt, .tsv with a header, .jsonl, each also as .gz, .bz2 "
            "or .xz, .parquet or TFRecords; a file or a glob; repeatable.",
            required=True,
        )
    file_flags.define_side_flags(
        flags,
        [f"{side}_language" for side in sides] if sides[1:] else ["language"],
    )
    flags.choice(
        "encoder_precision",
        "float32",
        ["float32", "bfloat16"],
        "Of the encoder's matmuls.",
    )


def define_search_flags(flags: FlagSet) -> None:
    """Flags of vectors, neighbours and scores."""
    flags.choice(
        "vectors",
        "float32",
        ["float32", "float16"],
        "Type of the vectors on the disk.",
    )
    flags.integer(
        "shards",
        None,
        "Files of vectors a side; by default one for 262,144 sentences.",
        lower_bound=1,
    )
    flags.integer(
        "chunk",
        4096,
        "Sentences that are encoded together; what is lost at most by a kill.",
        lower_bound=1,
    )
    flags.choice(
        "index",
        "auto",
        ["auto", "exact", "sq8", "pq"],
        "How neighbours are searched. exact: every pair is compared; sq8, pq: "
        "FAISS' approximate indexes, ranked again by the vectors; auto: exact "
        "while that takes less than 4 hours on this machine and fits.",
    )
    flags.number("max_hours", None, "Refuse to begin what takes longer.")
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
        "absolute: the cosine, as in the paper; ratio and distance: margins "
        "of Artetxe and Schwenk.",
    )


def define_output_flags(flags: FlagSet) -> None:
    """Flags of what is written and of the work."""
    flags.string(
        "out",
        None,
        "File of pairs: .tsv, .tsv.gz, .jsonl, .jsonl.gz or .parquet.",
        required=True,
    )
    flags.number(
        "min_score",
        None,
        "Lowest score that is kept. Default: 0.6 for absolute (section 7), "
        "1.06 for ratio (CCMatrix), none for --retrieval=all.",
    )
    flags.boolean("keep_identical", False, "Keep pairs of two equal texts.")
    flags.string(
        "work", None, "Folder of what the steps make. Default: OUT.work."
    )
    flags.comma_list("steps", [], "Only these, as read,embed. Default: all.")
    flags.string(
        "runner",
        None,
        "Beam runner of the steps before select, as FlinkRunner; --work must "
        "then be on a file system that all workers share. Default: this "
        "process.",
    )
    flags.strings(
        "beam", [], "A flag of Beam's, as --beam=--parallelism=8; repeatable."
    )
    flags.boolean(
        "restart",
        False,
        "Make again what was made of other texts or by another model.",
    )


def define_precision_flags(flags: FlagSet) -> None:
    """Flags of what is kept by its expected precision."""
    flags.number(
        "precision",
        None,
        "Keep what is expected to be right so often, as 0.9, in place of "
        "--min_score; needs --gold.",
    )
    flags.string(
        "gold",
        None,
        "Known translations between these files: TSV of source and target, or "
        "of source_line and target_line, or BUCC's .gold.",
    )
    flags.boolean(
        "gold_is_complete",
        False,
        "--gold names every translation there is, as in BUCC.",
    )


def given(flags: FlagSet, name: str, default=None):
    """A flag that `labse paraphrases` does not have."""
    return flags[name].value if name in flags else default


def check_not_an_input(flags: FlagSet, *sides) -> None:
    """Raises `InputError` where --out would replace an input."""
    from labse.files.kinds import find_files

    files = [
        path
        for side in sides
        if side is not None
        for path in find_files(side.patterns)
    ]
    files.append(given(flags, "gold"))
    for path in filter(None, files):
        if Path(path).resolve() == Path(flags.out).resolve():
            raise InputError(
                f"--out must be another file than the inputs. Received: {path} "
                "for both."
            )


def check_may_replace(out: str, work: str) -> None:
    """Raises `InputError` where --out is a file that no job has written.

    A job that runs again, such as with another --min_score, replaces its own.
    """
    is_own = Path(f"{out}.manifest.json").exists() or Path(work).exists()
    if Path(out).exists() and not is_own:
        raise InputError(
            f"--out must be a new file, or one that labse mine wrote. {out} "
            f"exists, and neither {out}.manifest.json nor the folder {work} "
            "does. Choose another --out, or delete the file."
        )


def check_threshold(flags: FlagSet, retrieval: str) -> None:
    """Before hours of work: is it clear what will be kept?"""
    from labse.mining.select_pairs import DEFAULT_MIN_SCORES
    from labse.mining.threshold import gold_pairs
    from labse.mining.threshold.precision import (
        check_precision,
        import_isotonic,
    )

    precision = given(flags, "precision")
    if flags.min_score is not None and math.isnan(flags.min_score):
        raise InputError("--min_score must be a number. Received: nan.")
    if precision is None:
        if given(flags, "gold"):
            raise InputError(
                "--gold says which pairs are right, for --precision. Received "
                "no --precision."
            )
        if (
            flags.min_score is None
            and retrieval != "all"
            and flags.scoring not in DEFAULT_MIN_SCORES
        ):
            raise InputError(
                f"--scoring={flags.scoring} has no usual lowest score. "
                "Give --min_score."
            )
        return
    if retrieval == "all":
        raise InputError(
            "--precision keeps what is likely a translation, "
            "--retrieval=all every candidate. Received both: give --min_score "
            "or another retrieval."
        )
    check_precision(precision)
    import_isotonic()
    if flags.min_score is not None:
        raise InputError(
            "--precision stands in place of --min_score. Received both."
        )
    if not flags.gold:
        raise InputError(
            "--precision needs --gold, known translations between these very "
            "files. Received no --gold."
        )
    gold_pairs.read_gold_file(flags.gold)
