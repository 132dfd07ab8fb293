"""The outcomes of a check of an export."""

from collections.abc import Callable


class Difference(Exception):
    """A check failed; the message says what differs."""


class Skipped(Exception):
    """A check cannot be run here; the message says why."""


# A check returns what was compared, as the end of its line.
Check = Callable[[], str]
