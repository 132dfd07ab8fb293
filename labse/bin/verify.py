"""Verifies that an export folder works and computes what the run computes.

  labse verify DIR

Loads the three SavedModels in a new process, in each way that they support, and
compares their vectors with those of the training run itself. Prints a line for
each check, with the largest difference or with what differs; the exit code is 1
if a check fails.
"""

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet

POSITIONAL = "export folder"


def define_flags(flags: FlagSet) -> None:
    """`labse verify` has no flags."""


def main(flags: FlagSet, path: str) -> int:
    """Verifies the export folder `path`."""
    from export.checks import verification

    return verification.verify(path)


if __name__ == "__main__":
    program.main(__name__)
