"""What a check of an export may come to."""

from collections.abc import Callable


class Difference(Exception):
    """A check found something else than it must be; the message says what."""


class Skipped(Exception):
    """A check cannot be made here; the message says why."""


# A check gives what was compared, as the end of its line.
Check = Callable[[], str]
