"""Texts that are longer than a model takes: noticed, counted, told."""

import warnings
from collections.abc import Callable

import numpy as np

from labse.errors import InputError

# What to do about a text that is cut. A function is called with bool [k], for
# each chunk of texts in their order, or None where the model does not say.
ON_TRUNCATION = ("warn", "ignore", "error")
OnTruncation = str | Callable[[np.ndarray | None], None]


class TruncationCount:
    """How many texts a model took, and how many of them it cut.

    Attributes:
      texts: how many there were.
      cut: how many were cut; None where the model does not say.
    """

    def __init__(self, texts: int = 0, cut: int | None = 0):
        self.texts = texts
        self.cut = cut

    def add(self, truncated: np.ndarray | None) -> None:
        """Counts more texts, bool [k]; None: the model does not say."""
        if truncated is None:
            self.cut = None
        elif self.cut is not None:
            self.texts += len(truncated)
            self.cut += int(np.sum(truncated))

    def report(self, max_length: int | None, what: str = "texts") -> str:
        """A line to show; empty where nothing is known."""
        if self.cut is None or max_length is None or not self.texts:
            return ""
        return (
            f"{self.cut:,} of {self.texts:,} {what} were cut at {max_length} "
            "tokens"
        )


def check_choice(on_truncation) -> None:
    """Raises InputError unless this is one of the choices."""
    if not callable(on_truncation) and on_truncation not in ON_TRUNCATION:
        raise InputError(
            f"on_truncation must be one of {', '.join(ON_TRUNCATION)}. "
            f"Received: {on_truncation!r}."
        )


def raise_if_any(
    truncated: np.ndarray | None, first: int, max_length: int | None
) -> None:
    """Raises InputError where a text is cut, or may have been.

    Args:
      truncated: bool [k], or None where the model does not say.
      first: index of the first of these texts.
      max_length: at which they are cut.
    """
    if truncated is None:
        raise InputError(
            'on_truncation="error" needs a model that says which texts it '
            "cuts. This SavedModel does not. Load what it was exported from."
        )
    rows = np.flatnonzero(truncated)
    if len(rows):
        shown = ", ".join(str(first + row) for row in rows[:8])
        raise InputError(
            f"Texts must have at most {max_length} tokens, [CLS] and [SEP] "
            f"included. Received {len(rows):,} with more, at index {shown}"
            f"{', ...' if len(rows) > 8 else ''}. Split them, or take "
            'on_truncation="warn", which cuts them.'
        )


def warn(counted: TruncationCount, max_length: int | None) -> None:
    """Warns that texts were cut, as of the line that called `encode`."""
    warnings.warn(
        f"{counted.report(max_length)}, [CLS] and [SEP] included: what is "
        "over does not count. model.truncated(texts) tells which; this is "
        'told once for each model, and not with on_truncation="ignore".',
        UserWarning,
        stacklevel=3,
    )
