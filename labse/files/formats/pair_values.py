"""The columns of scored pairs and their values, the same in every format.

Numbers are written so that they read back equal: the shortest digits that do.
"""

import json
import math
from collections.abc import Callable

from labse import features
from labse.errors import InputError

COSINE = "cosine"
MARGIN = "margin"
PROBABILITY = "probability"
SCORES = (COSINE, MARGIN, PROBABILITY)
LINES = ("source_line", "target_line")
METADATA = ("source_metadata", "target_metadata")
COLUMNS = (
    *features.PAIR_COLUMNS,
    COSINE,
    MARGIN,
    PROBABILITY,
    *("source_file", "source_line", "target_file", "target_line"),
    *METADATA,
)


def to_text(value: object, column: str, where: str) -> str:
    """A value as a cell of text; empty where there is none."""
    if isinstance(value, str):
        return value
    if value is None or (value == {} and column in METADATA):
        return ""
    if isinstance(value, bytes):
        raise InputError(
            f"{where}: text is UTF-8. Received in {column} bytes that are not: "
            f"{value[:40]!r}. Take the column out."
        )
    value = to_number(value, column, where)
    if type(value) is int or column in SCORES:
        return repr(value)
    if not isinstance(value, bool | float | dict | list):
        return str(value)  # Such as a date.
    cell = to_json(value, where)
    return "" if cell == "null" else cell


def to_typed(value: object, column: str, where: str) -> object:
    """A value with its column's type; None where there is none."""
    if isinstance(value, str) and column in _TYPES:
        value = _parse(value, column, where) if value else None
    if value is None or (value == {} and column in METADATA):
        return None
    return to_number(value, column, where)


def to_number(value: object, column: str, where: str) -> object:
    """A number as Python's, whose shortest digits read back; others as is."""
    if hasattr(value, "dtype"):  # One of NumPy.
        is_float32 = value.dtype == "float32"
        value = float(str(value)) if is_float32 else value.item()
    if column not in SCORES:
        return value
    if not math.isfinite(value):
        raise InputError(
            f"{where}: a score is finite. Received for {column}: {value}. "
            "Check the vectors: a model whose loss was once NaN gives such."
        )
    if column != COSINE:
        return float(value)
    import numpy as np

    return float(str(np.float32(value)))  # The shortest digits of a float32.


def _parse(text: str, column: str, where: str) -> object:
    kind, convert = _TYPES[column]
    try:
        return convert(text)
    except ValueError as error:
        raise InputError(
            f"{where}: the column {column} is {kind}. Received: "
            f"{text[:80]!r}. Rename the column, or write .tsv."
        ) from error


def _object(text: str) -> dict:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


_TYPES: dict[str, tuple[str, Callable[[str], object]]] = {
    **{name: ("a number", float) for name in SCORES},
    **{name: ("a whole number", int) for name in LINES},
    **{name: ("a JSON object", _object) for name in METADATA},
}


def to_json(value: object, where: str) -> str:
    """Compact JSON of a row's value or values; NaN and infinity become null.

    What JSON does not have, such as a date, becomes text.

    Raises:
      InputError: it holds text that is not of whole characters.
    """
    try:
        text = _ENCODER.encode(value)
    except ValueError:
        text = _ENCODER.encode(_without_nan(value))
    if not text.isascii() and not is_whole(text):
        raise InputError(
            f"{where}: text is UTF-8. Received half of a surrogate pair in "
            f"{ascii(text)[:80]}. Correct the row."
        )
    return text


def is_whole(text: str) -> bool:
    """Whether text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    # Of the numbers, only NaN and the infinities have no finite difference.
    return None if isinstance(value, float) and value - value != 0 else value


def _plain(value: object) -> str:
    return (
        value.decode(errors="replace") if type(value) is bytes else str(value)
    )


# Made once: `json.dumps` makes one for each call that has options.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=_plain,
)
