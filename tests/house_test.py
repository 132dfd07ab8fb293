"""Keeps the rules of the house: imports go one way, and so on."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("labse", "export", "data_pipeline")

# A file may import its own folder and what stands in a lower layer.
LAYERS = [
    {"errors", "features", "languages", "version"},
    {"configs", "files"},
    {"preprocessing", "losses"},
    {"modeling"},
    {"checkpoints", "data"},
    {"inference"},
    {"training", "mining"},
    {"evaluation"},
    {"bin"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# What the other two packages may use of labse; programs also run as such.
OUTSIDE = {
    "data_pipeline": {
        "errors",
        "features",
        "languages",
        "version",
        "configs",
        "files",
        "preprocessing",
    },
    "export": {name for name, level in LEVEL.items() if level <= 5},
}
PROGRAM_IMPORTS = ("bin.program", "bin.file_flags")
PROGRAM_FILES = {
    "export/export_program.py",
    "export/verify_program.py",
    "data_pipeline/extract_gettext.py",
    "data_pipeline/split_pairs.py",
    "data_pipeline/build_vocab.py",
}


def product_files():
    return sorted(
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )


def name_of(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """Dotted names that the file imports, `from a import b` as both."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", product_files(), ids=name_of)
def test_imports_go_one_way(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    for name in imports(path):
        package, _, rest = name.partition(".")
        assert package not in ("tests", "examples", "benchmarks")
        if package not in PACKAGES or not rest:
            continue
        if parts[0] == "labse":
            assert package == "labse", f"{path} imports {name}"
            if len(parts) == 2 and parts[1] == "__init__":
                continue
            own, other = LEVEL[parts[1]], LEVEL[rest.split(".")[0]]
            same_folder = parts[1] == rest.split(".")[0]
            assert other < own or same_folder, f"{path} imports {name}"
        elif package == "labse":
            is_program = name_of(path) in PROGRAM_FILES
            if is_program and rest.startswith(PROGRAM_IMPORTS):
                continue
            folder = rest.split(".")[0]
            assert folder in OUTSIDE[parts[0]], f"{path} imports {name}"
        else:
            assert package in (parts[0], "labse"), f"{path} imports {name}"


@pytest.mark.parametrize("path", product_files(), ids=name_of)
def test_only_programs_know_flags_and_nobody_knows_keras_3(path):
    is_program = name_of(path) in PROGRAM_FILES or path.relative_to(ROOT).parts[
        :2
    ] == ("labse", "bin")
    names = set(imports(path))
    if not is_program:
        assert not {"absl.flags", "absl.app"} & names
    if path.relative_to(ROOT).parts[0] != "data_pipeline":
        assert not any(name.startswith("apache_beam") for name in names)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr == "keras":
            is_tf = isinstance(node.value, ast.Name) and node.value.id == "tf"
            assert not is_tf, f"{path}:{node.lineno}: tf.keras is Keras 3"
    assert not any(name.startswith("tensorflow.keras") for name in names)


def test_every_product_folder_has_a_level():
    folders = {
        path.relative_to(ROOT / "labse").parts[0].removesuffix(".py")
        for path in (ROOT / "labse").rglob("*.py")
    }
    assert folders - {"__init__"} <= set(LEVEL)


@pytest.mark.parametrize(
    "code",
    [
        "import labse; labse.__version__",
        "import sys; sys.argv = ['labse', '--help']\n"
        "from labse.bin import cli\n"
        "try: cli.main()\n"
        "except SystemExit as stop: assert stop.code == 0",
    ],
)
def test_import_and_help_are_free_of_tensorflow(code):
    code += "\nimport sys\nassert 'tensorflow' not in sys.modules"
    code += "\nassert 'numpy' not in sys.modules"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_every_program_has_help_without_tensorflow():
    code = """
import contextlib, importlib, io, sys
from labse.bin import cli, program
for name, (module, _) in cli.PROGRAMS.items():
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = program.run(importlib.import_module(module), ["--help"], name)
    assert code == 0
    assert "--" in text.getvalue(), name
assert "tensorflow" not in sys.modules
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
