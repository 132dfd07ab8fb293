"""JSON files of models: data of other people's, whose types are checked."""

import json
import math
import pathlib

from labse.errors import InputError
from labse.formats import model_file
from labse.formats.model_file import shown

# Configurations have a few kB. JSON takes some 25 times its size in memory.
MAX_CONFIG_BYTES = 2**22
# LaBSE's tokenizer.json has 14 MB.
MAX_TOKENIZER_BYTES = 2**26
_REQUIRED = object()


class JsonObject:
    """The object in a JSON file, or an object nested in it.

    Attributes:
      path: the file.
      values: keys and values.
      where: the keys that lead to a nested object, each followed by a dot.
    """

    def __init__(self, path: pathlib.Path, values: dict, where: str = ""):
        self.path = path
        self.values = values
        self.where = where

    def integer(self, key: str, default: object = _REQUIRED, least: int = 1):
        """A whole number of at least `least`, or the default if absent."""
        value = self._get(key, default)
        if value is not default and (type(value) is not int or value < least):
            raise self.wrong(key, f"a whole number of at least {least}")
        return value

    def probability(self, key: str) -> float:
        """A number from 0 to 1."""
        value = self._get(key, _REQUIRED)
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise self.wrong(key, "a number from 0 to 1")
        return float(value)

    def number(self, key: str, default: object = None):
        """A finite number, or the default if absent or null."""
        value = self._get(key, default)
        if value is None:
            return default
        # Python compares whole numbers of any size with infinity.
        if type(value) not in (int, float) or not (
            -math.inf < value < math.inf
        ):
            raise self.wrong(key, "a number")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool | None:
        """True or false, or the default if absent or null."""
        value = self._get(key, default)
        if value is None:
            return default
        if type(value) is not bool:
            raise self.wrong(key, "true or false")
        return value

    def text(self, key: str, default: object = _REQUIRED):
        """A string, or the default if absent or null."""
        value = self._get(key, default)
        if value is None and default is not _REQUIRED:
            return default
        if value is not default and not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def child(self, key: str) -> "JsonObject":
        """An object; an empty one if absent or null."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return JsonObject(self.path, value or {}, f"{self.where}{key}.")

    def must_hold(self, **allowed: object) -> None:
        """`must_be` for several keys, each with its only value."""
        for key, value in allowed.items():
            self.must_be(key, value)

    def must_be(self, key: str, *allowed: object) -> None:
        """Raises `InputError` unless the value is absent or one of these.

        Null, and an empty list or object, count as absent.
        """
        value = self.values.get(key)
        if value is None or value == [] or value == {}:
            return
        # 1 == True in Python, not in JSON.
        if not any(type(v) is type(value) and v == value for v in allowed):
            wanted = " or ".join(json.dumps(value) for value in allowed)
            raise self.wrong(
                key, f"{wanted or 'absent'}: nothing else is supported"
            )

    def must_lack(self, *keys: str) -> None:
        """Raises `InputError` where one of the keys has a value."""
        for key in keys:
            self.must_be(key)

    def must_have_no_others(self, *known: str) -> None:
        """Raises `InputError` where there are other keys."""
        unknown = sorted(self.values.keys() - set(known))
        if unknown:
            raise InputError(
                f"{self.path} has {shown(unknown)}, which is not known here. "
                "Known keys are "
                f"{', '.join(self.where + key for key in known)}."
            )

    def wrong(self, key: str, rule: str) -> InputError:
        """The error for a value that breaks `rule`."""
        return InputError(
            f"{self.path}: {self.where}{key} must be {rule}. Received: "
            f"{shown(self.values.get(key))}."
        )

    def _get(self, key: str, default: object):
        if key not in self.values and default is _REQUIRED:
            raise model_file.damaged(
                self.path, f"has no {self.where}{key}, which is required"
            )
        return self.values.get(key, default)


def read_object(
    path: pathlib.Path, max_bytes: int = MAX_CONFIG_BYTES
) -> JsonObject:
    """The object in a JSON file.

    Raises:
      InputError: the file does not exist, cannot be read or is too large, is
        not JSON in UTF-8 without a byte order mark, or holds no object.
    """
    values = read_json(path, max_bytes)
    if not isinstance(values, dict):
        raise model_file.damaged(
            path, f"must hold an object, {{...}}. Received: {shown(values)}"
        )
    return JsonObject(path, values)


def read_optional_object(
    path: pathlib.Path, max_bytes: int = MAX_CONFIG_BYTES
) -> JsonObject:
    """As `read_object`, but an empty object where there is no such file."""
    if not model_file.exists(path):
        return JsonObject(path, {})
    return read_object(path, max_bytes)


def read_json(path: pathlib.Path, max_bytes: int = MAX_CONFIG_BYTES):
    """What a JSON file holds; raises `InputError` as `read_object` does."""
    content = model_file.read_bytes(path, max_bytes)
    try:
        text = content.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("it begins with a byte order mark; remove it")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise model_file.damaged(path, f"is not JSON ({error})") from error


def write_json(path: pathlib.Path, value: object) -> None:
    """Writes a value as indented JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", "utf-8")
