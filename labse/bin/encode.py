r"""Turns the lines of a text file into vectors.

    labse encode --model=RUN --input=lines.txt --out=vectors.npy

Writes float32 [lines, dimension], rows of length 1, in the order of the
lines. Any size: lines are read and rows written piece by piece. A process that
was killed goes on when it is started again with the same command.

A line ends with \n (a \r before it is dropped); a last line without \n counts.
An empty line has a vector too, so that row and line numbers agree.
"""

import pathlib
import sys

from absl import flags

from labse.bin import program
from labse.bin.models import MODEL_HELP


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of `labse encode`."""
    flags.DEFINE_string(
        "model",
        None,
        MODEL_HELP,
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "input",
        None,
        "Text in UTF-8, one sentence a line; .gz is unpacked; - is standard "
        "input.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "out", None, "The .npy file to write.", flag_values=flag_values
    )
    flags.DEFINE_integer(
        "batch_size",
        None,
        "Sentences in a batch; by default as many as have about 2,048 tokens.",
        lower_bound=1,
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16"],
        "Of the matmuls. bfloat16 is about twice as fast and moves a vector "
        "by about 0.005.",
        flag_values=flag_values,
    )
    flags.mark_flags_as_required(
        ["model", "input", "out"], flag_values=flag_values
    )


def main(flag_values: flags.FlagValues) -> None:
    """Loads the model and encodes the file."""
    # TensorFlow takes seconds to import; --help and a wrong flag need none.
    import labse
    from labse.inference.encode_file import check_output, encode_file

    # Before a model is loaded for minutes.
    check_output(pathlib.Path(flag_values.out))
    model = labse.load(flag_values.model, flag_values.precision)
    rows = encode_file(
        model, flag_values.input, flag_values.out, flag_values.batch_size
    )
    print(f"{rows} rows in {flag_values.out}", file=sys.stderr)


if __name__ == "__main__":
    program.main(__name__)
