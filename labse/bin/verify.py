"""Proves that an export folder works and is what the run made.

  labse verify DIR

Loads the three SavedModels in a new process in every way they are meant to be
loaded, and compares with the vectors that the training run itself gave.
Prints one line a check, with the largest difference; exits with 1 when one
fails and says what differs.
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
