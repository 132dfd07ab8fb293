"""Writes a trained run as SavedModels for TF Hub and TensorFlow Serving.

labse export --run=RUN --out=DIR
"""

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse export`."""
    flags.string(
        "run",
        None,
        "Run folder of labse train, or of labse convert, which makes a run of "
        "a model of another kind, such as a Hugging Face folder.",
        required=True,
    )
    flags.string(
        "out",
        None,
        "Folder to write; it must not exist yet, or be empty.",
        required=True,
    )


def main(flags: FlagSet) -> None:
    """Exports."""
    from export import export_folder
    from labse.files.atomic_write import check_new_folder

    check_new_folder(flags.out, "--out")
    export_folder.export_run(flags.run, flags.out)


if __name__ == "__main__":
    program.main(__name__)
