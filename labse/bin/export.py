"""Writes a trained run as SavedModels for TF Hub and TensorFlow Serving.

labse export --run=RUN --out=DIR
"""

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse export`."""
    flags.string(
        "run",
        None,
        "Run folder of labse train or labse convert: a model of another kind, "
        "such as a Hugging Face folder, is made one by labse convert first.",
    )
    flags.string(
        "out", None, "Folder to write; it must not exist yet, or be empty."
    )


def main(flags: FlagSet) -> None:
    """Checks the flags and exports."""
    for name in ("run", "out"):
        if not flags[name].value:
            raise InputError(
                f"--{name} is required: labse export --run=RUN --out=DIR."
            )
    from export import export_folder

    export_folder.write(flags.run, flags.out)


if __name__ == "__main__":
    program.main(__name__)
