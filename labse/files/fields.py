"""What the fields of a row must hold; raises `MalformedRow` where they do not.

Null and a field that is not there have the same verdict in every format.
"""

from labse.files.formats.row_format import Fields
from labse.files.lines import not_utf_8
from labse.files.reading import MalformedRow


def text_field(fields: Fields, name: str) -> str:
    """The text of a field, which is not empty.

    Args:
      fields: of a row. Bytes in UTF-8 are replaced by text.
      name: of the field, or `a.b` for the field b of the object in a.
    """
    value = fields.get(name)
    if type(value) is str and value.strip():  # Nearly always.
        return value
    if value is None and "." in name and name not in fields:
        value = _nested(fields, name)
    if value is None:
        names = ", ".join(fields)[:200] or "none"
        raise MalformedRow(
            f"without {name}",
            f"the field {name!r} is null"
            if name in fields
            else f"a row has the field {name!r}. Received the fields: {names}",
        )
    text = _text(value, name)
    if isinstance(value, bytes) and name in fields:
        fields[name] = text
    if not text.strip():
        raise MalformedRow(f"empty {name}", f"{name} is empty")
    return text


def language_field(fields: Fields, name: str, default: str) -> str:
    """The language code in a field; `default` where there is no such field."""
    if name not in fields:
        return default
    value = fields[name]
    if type(value) is str and value.isalnum():  # Nearly always.
        return value
    # Tabs and line feeds would break the tables that are made of it.
    text = "" if value is None else " ".join(_text(value, name).split())
    if not text:
        raise MalformedRow(
            f"empty {name}",
            f"{name} is empty",
        )
    return text


def optional_text(fields: Fields, name: str) -> str:
    """The text of a field; empty where it is null or not there."""
    value = fields.get(name)
    return "" if value is None else _text(value, name)


def _text(value: object, name: str) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise MalformedRow(
                "not UTF-8", f"{name}: {not_utf_8(error)}"
            ) from error
    if not isinstance(value, str):
        raise MalformedRow(
            f"{name} is not text",
            f"the field {name!r} is text. Received {type(value).__name__}: "
            f"{str(value)[:80]!r}",
        )
    return value


def _nested(fields: Fields, name: str) -> object:
    value: object = fields
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
