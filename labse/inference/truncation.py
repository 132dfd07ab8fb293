"""Texts that are too long for a model: detected, counted, reported."""

import warnings
from collections.abc import Callable

import numpy as np

from labse.errors import InputError

# What to do about truncated texts. A function is called for each chunk of texts
# in their order, with bool [k], or None if the model does not report them.
ON_TRUNCATION = ("warn", "ignore", "error")
OnTruncation = str | Callable[[np.ndarray | None], None]


class TruncationCount:
    """Number of texts, and of those that the model truncated.

    Attributes:
      texts: all of them.
      truncated: None if the model does not report it.
    """

    def __init__(self, texts: int = 0, truncated: int | None = 0):
        self.texts = texts
        self.truncated = truncated

    def add(self, truncated: np.ndarray | None) -> None:
        """Counts more texts, bool [k]; None if the model does not report it."""
        if truncated is None:
            self.truncated = None
        elif self.truncated is not None:
            self.texts += len(truncated)
            self.truncated += int(np.sum(truncated))

    def report(self, max_length: int | None, what: str = "texts") -> str:
        """A line to show; empty if nothing is known."""
        if self.truncated is None or max_length is None or not self.texts:
            return ""
        return (
            f"{self.truncated:,} of {self.texts:,} {what} were truncated at "
            f"{max_length} tokens"
        )


def check_choice(on_truncation) -> None:
    """Raises `InputError` unless this is one of the choices."""
    if not callable(on_truncation) and on_truncation not in ON_TRUNCATION:
        raise InputError(
            f"on_truncation must be one of {', '.join(ON_TRUNCATION)}. "
            f"Received: {on_truncation!r}."
        )


def raise_if_any(
    truncated: np.ndarray | None, first: int, max_length: int | None
) -> None:
    """Raises `InputError` if a text is truncated, or may have been.

    `first` is the index of the first of these texts.
    """
    if truncated is None:
        raise InputError(
            'on_truncation="error" needs a model that reports which texts it '
            "truncates. This SavedModel does not. Load the run folder that it "
            "was exported from."
        )
    rows = np.flatnonzero(truncated)
    if len(rows):
        shown = ", ".join(str(first + row) for row in rows[:8])
        raise InputError(
            f"Texts must have at most {max_length} tokens, [CLS] and [SEP] "
            f"included. Received {len(rows):,} with more, at index {shown}"
            f"{', ...' if len(rows) > 8 else ''}. Split them, or pass "
            'on_truncation="warn", which truncates them.'
        )


def warn_of_truncation(
    counted: TruncationCount, max_length: int | None
) -> None:
    """Warns that texts were truncated, at the line that called `encode`."""
    warnings.warn(
        f"{counted.report(max_length)}, [CLS] and [SEP] included: the rest has "
        "no effect. model.truncated(texts) returns which they are. This "
        'warning appears once for each model; on_truncation="ignore" turns '
        "it off.",
        UserWarning,
        stacklevel=3,
    )
