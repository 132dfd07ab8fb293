"""Reads, overrides and saves configurations, strictly.

There are two kinds: `ExperimentConfig` (of a dual encoder) and
`PretrainingConfig`, whose files have a section `masking`. An unknown key or a
value of the wrong type raises an `InputError` that names the key and the
nearest valid one.
"""

import dataclasses
import difflib
import os
import pathlib
import typing

import yaml

from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.files.remote_path import as_path, is_remote

Config = ExperimentConfig | PretrainingConfig

_PRESETS = pathlib.Path(__file__).parent
_KIND_SECTION = "masking"  # Only files of `PretrainingConfig` have it.
# Keys that earlier versions had, and what replaces them.
_REMOVED = {
    "data.batches_sorted_together": (
        "Batches are no longer sorted by length; the texts within one are "
        "(data.length_chunks)"
    )
}
_RENAMED = {"training.precision": "training.compute_dtype"}


def preset_names(kind: type[Config] | None = None) -> list[str]:
    """The names of the presets, sorted; those of one kind, if it is given."""
    return sorted(
        path.stem
        for path in _PRESETS.glob("*.yaml")
        if kind is None or _kind(read_values(path)) is kind
    )


def load(
    name_or_path: str,
    overrides: list[str] = (),
    kind: type[Config] | None = ExperimentConfig,
) -> Config:
    """A preset or a YAML file, with `section.key=value` overrides applied.

    Args:
      name_or_path: of the configuration.
      overrides: each key at most once.
      kind: of configuration that is needed; None: either.

    Raises:
      InputError: there is no such preset or file, it is not YAML or of the
        other kind, a key or value does not fit the schema, or a key is
        overridden twice.
    """
    values = _read(name_or_path, kind)
    kind = kind or _kind(values)
    _check_kind(name_or_path, values, kind)
    _refuse_repeated(overrides)
    for override in overrides:
        _apply(values, override)
    return from_dict(values, kind)


def load_saved(path: str) -> tuple[Config, list[str]]:
    """A run's configuration, and its keys of earlier versions that are gone.

    Raises:
      InputError: see `load`.
    """
    values = _read(path)
    removed = []
    for name in _REMOVED:
        section, _, key = name.partition(".")
        if isinstance(values.get(section), dict) and key in values[section]:
            del values[section][key]
            removed.append(name)
    for name, new in _RENAMED.items():
        section, _, key = name.partition(".")
        if isinstance(values.get(section), dict) and key in values[section]:
            values[section][new.partition(".")[2]] = values[section].pop(key)
    return from_dict(values, _kind(values)), removed


def _kind(values: dict) -> type[Config]:
    return PretrainingConfig if _KIND_SECTION in values else ExperimentConfig


def _check_kind(name: str, values: dict, kind: type[Config]) -> None:
    if _kind(values) is kind:
        return
    presets = ", ".join(preset_names(kind))
    if kind is PretrainingConfig:
        raise InputError(
            f"Pre-training is configured by {presets}, or a YAML file with a "
            f"section {_KIND_SECTION!r}. Received: {name}, which has none and "
            "is for labse train."
        )
    raise InputError(
        f"A dual encoder is configured by {presets}, or a YAML file without a "
        f"section {_KIND_SECTION!r}. Received: {name}, which has one and is "
        "for labse pretrain."
    )


def _read(name_or_path: str, kind: type[Config] | None = None) -> dict:
    if name_or_path in preset_names():
        path = _PRESETS / f"{name_or_path}.yaml"
    elif _is_file(name_or_path):
        path = as_path(name_or_path)
    else:
        raise InputError(
            "A configuration is one of the presets "
            f"({', '.join(preset_names(kind))}) or a YAML file. Received: "
            f"{name_or_path!r}, which is neither."
        )
    return read_values(path)


def _is_file(path: str) -> bool:
    if is_remote(path):
        return as_path(path).is_file()
    return os.path.isfile(path)


def read_values(path: str | os.PathLike) -> dict:
    """The sections of a YAML file as plain dicts, unchecked."""
    try:
        text = as_path(path).read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
    # PyYAML raises ValueError for an impossible date or number.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold sections of keys and values.")
    return values


def _refuse_repeated(overrides: list[str]) -> None:
    texts = {}
    for override in overrides:
        key, _, text = override.partition("=")
        if key in texts:
            raise InputError(
                f"A key may be overridden once. Received {key} twice: "
                f"{texts[key]!r} and {text!r}. Leave one out."
            )
        texts[key] = text


def _apply(values: dict, override: str) -> None:
    key, equals, text = override.partition("=")
    section, dot, field = key.partition(".")
    if not (equals and dot):
        raise InputError(
            "An override has the form section.key=value, e.g. "
            f"training.num_steps=100. Received: {override!r}."
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"The value of {override!r} is not YAML: {error}"
        ) from error
    if not isinstance(values.setdefault(section, {}), dict):
        raise InputError(f"{section!r} must hold keys and values.")
    values[section][field] = value


def from_dict(values: dict, kind: type[Config] = ExperimentConfig) -> Config:
    """Builds the configuration from plain dicts; raises `InputError`."""
    return _build(kind, values, "")


def _build(cls: type, values, where: str):
    if not isinstance(values, dict):
        raise InputError(
            f"{where.rstrip('.') or 'A configuration'} must hold keys and "
            f"values. Received: {values!r}."
        )
    hints = typing.get_type_hints(cls)
    for key in values:
        if f"{where}{key}" in _REMOVED:
            raise InputError(
                f"{where}{key} was removed. {_REMOVED[f'{where}{key}']}. "
                "Leave it out."
            )
        if f"{where}{key}" in _RENAMED:
            raise InputError(
                f"{where}{key} is now {_RENAMED[f'{where}{key}']}. Rename it."
            )
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.0)
            raise InputError(
                f"{cls.__name__} has no key {where}{key}. Did you mean "
                f"{where}{near[0]}? It has: {', '.join(hints)}."
            )
    return cls(
        **{
            key: _value(hints[key], value, f"{where}{key}")
            for key, value in values.items()
        }
    )


def _value(hint, value, key: str):
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{key}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        item = arguments[0]
        name = f"list of {item.__name__}"
        if isinstance(value, (list, tuple)):
            return tuple(_value(item, each, key) for each in value)
    elif origin is dict:
        item = arguments[1]
        name = f"mapping to {item.__name__}"
        if isinstance(value, dict):
            _check_names(value, key)
            return {
                each: _value(item, value[each], f"{key}.{each}")
                for each in value
            }
    elif hint is float and _is_number(value):
        return float(value)
    elif type(value) is hint:
        return value
    else:
        name = hint.__name__
    raise InputError(
        f"{key} must be a {name}. Received: {value!r} ({type(value).__name__})."
    )


def _check_names(mapping: dict, key: str) -> None:
    for name in mapping:
        if not (isinstance(name, str) and name):
            raise InputError(
                f"The keys of {key} must be names. Received: {name!r}. "
                "Put it in quotes."
            )


def _is_number(value) -> bool:
    """Also for text such as 1e-3, which YAML 1.1 does not read as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def to_yaml(config: Config) -> str:
    """The configuration as YAML text that `load` reads back equal."""
    # Tuples become lists.
    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False)


def differences(one: Config, other: Config, ignored: tuple = ()) -> list[str]:
    """Each key whose value differs, as `section.key: one -> other`.

    Both are of one kind.
    """
    rows = []
    for section, values in dataclasses.asdict(one).items():
        others = getattr(other, section)
        rows += [
            f"{section}.{key}: {value} -> {getattr(others, key)}"
            for key, value in values.items()
            if value != getattr(others, key)
            and f"{section}.{key}" not in ignored
        ]
    return rows
