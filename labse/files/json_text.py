"""JSON of rows, read and written."""

import json

from labse.errors import InputError
from labse.files.reading import MalformedRow


def _plain(value: object) -> str:
    """What JSON does not have, such as a date."""
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


def parse_object(text: str) -> dict[str, object]:
    """The JSON object of a line; raises `MalformedRow` where it is none."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedRow(
            "not JSON",
            f"a line is a JSON object. Received {text[:80]!r} ({error})",
        ) from error
    if not isinstance(value, dict):
        raise MalformedRow(
            "not a JSON object",
            f"a line is a JSON object. Received {text[:80]!r}",
        )
    # JSON can name half a character; no file of UTF-8 can hold it.
    if "\\ud" in text or "\\uD" in text:
        whole = json.dumps(value, ensure_ascii=False)
        if not _is_whole(whole):
            raise MalformedRow(
                "half a character",
                "text is UTF-8. Received half of a surrogate pair in "
                f"{ascii(whole)[:80]}",
            )
    return value


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
    if not text.isascii() and not _is_whole(text):
        raise InputError(
            f"{where}: text is UTF-8. Received half of a surrogate pair in "
            f"{ascii(text)[:80]}. Correct the row."
        )
    return text


def _unique(items: list[tuple[str, object]]) -> dict[str, object]:
    """An object; `json` would take the last of two equal keys."""
    found = dict(items)
    if len(found) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedRow(
            "a key twice",
            f"an object has each key once. Received {twice!r} twice",
        )
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    # Of the numbers, only NaN and the infinities have no finite difference.
    return None if isinstance(value, float) and value - value != 0 else value


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
