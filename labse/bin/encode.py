r"""Turns the texts of a file into vectors.

    labse encode --model=RUN --input=lines.txt --out=vectors.npy

Writes float32 [texts, dimension], rows of length 1, in the order of the texts.
Files may be of any size: texts are read and rows written in chunks. After a
kill, the same command resumes.

Vector N is that of line N of a .txt, where an empty line has a vector too, or
that of --text_column in row N of a .tsv, .jsonl, .parquet or TFRecord file. So
a malformed line or row is refused. With --max_malformed_share, malformed rows
(not lines) are left out; then the numbers no longer agree.
"""

import pathlib
import sys

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_HELP


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse encode`."""
    flags.string("model", None, MODEL_HELP)
    flags.strings(
        "input",
        None,
        f"{file_flags.TEXT_FILES} Or -: standard input, a text a line.",
    )
    file_flags.define_row_flags(flags)
    flags.string("out", None, "The .npy file to write.")
    flags.integer(
        "batch_size",
        None,
        "Sentences in a batch; by default as many as have about 2,048 tokens.",
        lower_bound=1,
    )
    flags.choice(
        "compute_dtype",
        "float32",
        ["float32", "bfloat16"],
        "Of the matmuls. bfloat16 is about twice as fast and moves a vector "
        "by about 0.005.",
    )
    flags.require(["model", "input", "out"])


def main(flags: FlagSet) -> None:
    """Loads the model and encodes the file."""
    # TensorFlow takes seconds to import; --help and a wrong flag need none.
    import labse
    from labse.inference.encode_file import check_output, encode_file

    # Before loading a model, which may take minutes.
    check_output(pathlib.Path(flags.out))
    model = labse.load(flags.model, flags.compute_dtype)
    rows = encode_file(
        model,
        flags.input,
        flags.out,
        flags.batch_size,
        file_flags.options(flags),
    )
    print(f"{rows} rows in {flags.out}", file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
