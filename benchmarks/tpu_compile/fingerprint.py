"""Which code a step was lowered and compiled from."""

import ast
import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator

from benchmarks.tpu_compile.configurations import (
    REPLICAS,
    TOPOLOGIES,
    Configuration,
)

ROOT = pathlib.Path(__file__).parents[2]
# What `lower` imports of the project, and what compiles. All of a folder, so
# that a new file is not forgotten.
_SOURCES = (
    "labse/configs",
    "labse/features.py",
    "labse/losses",
    "labse/modeling",
    "labse/training/optimizer.py",
    "labse/xla.py",
    "benchmarks/tpu_compile/compile_step.py",
    "benchmarks/tpu_compile/compiled_program.py",
    "benchmarks/tpu_compile/lower.py",
    "benchmarks/tpu_compile/one_replica.py",
    "benchmarks/tpu_compile/replayed_step.py",
)


def fingerprint(configuration: Configuration, root: pathlib.Path = ROOT) -> str:
    """16 hexadecimal digits, from the code under `root` and a configuration.

    Comments, docstrings and a configuration's title do not count. A change
    elsewhere in these files counts, even if the program stays the same.
    """
    values = dataclasses.replace(configuration, title="")
    digest = hashlib.sha256(repr((values, REPLICAS, TOPOLOGIES)).encode())
    preset = root / "labse" / "configs" / f"{configuration.preset}.yaml"
    digest.update(preset.read_bytes())
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\n{_code(path)}\n".encode())
    return digest.hexdigest()[:16]


def _files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for source in _SOURCES:
        path = root / source
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _code(path: pathlib.Path) -> str:
    """The syntax tree without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(
            node,
            ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
        ) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return ast.dump(tree)
