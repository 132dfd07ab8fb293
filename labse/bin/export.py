"""Writes a trained run as SavedModels for TF Hub and TensorFlow Serving.

labse export --run=RUN --out=DIR
"""

from absl import flags

from labse.bin.flags import program
from labse.errors import InputError


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of `labse export`."""
    flags.DEFINE_string(
        "run",
        None,
        "Run folder of labse train or labse convert: a model of another kind, "
        "such as a Hugging Face folder, is made one by labse convert first.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "out",
        None,
        "Folder to write; it must not exist yet, or be empty.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Checks the flags and exports."""
    for name in ("run", "out"):
        if not flag_values[name].value:
            raise InputError(
                f"--{name} is required: labse export --run=RUN --out=DIR."
            )
    from export import export_folder

    export_folder.write(flag_values.run, flag_values.out)


if __name__ == "__main__":
    program.main(__name__)
