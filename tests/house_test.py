"""Keeps the rules of the house: imports go one way, and so on."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("labse", "export", "data_pipeline")

# A file may import its own folder and what stands in a lower layer.
LAYERS = [
    {
        "charts",
        "errors",
        "features",
        "languages",
        "lazy_names",
        "progress",
        "version",
        "xla",
    },
    {"files"},
    {"configs"},
    {"preprocessing", "losses", "search", "formats"},
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
        "charts",
        "errors",
        "features",
        "languages",
        "lazy_names",
        "progress",
        "version",
        "configs",
        "files",
        "preprocessing",
    },
    "export": {name for name, level in LEVEL.items() if level <= 6},
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
        if parts[:2] == ("labse", "bin"):
            continue  # Programs may import all three packages.
        if parts[0] == "labse":
            assert package == "labse", f"{path} imports {name}"
            if len(parts) == 2 and parts[1] == "__init__":
                continue
            own, other = LEVEL[parts[1]], LEVEL[rest.split(".")[0]]
            same_folder = parts[1] == rest.split(".")[0]
            assert other < own or same_folder, f"{path} imports {name}"
        elif package == "labse":
            folder = rest.split(".")[0]
            assert folder in OUTSIDE[parts[0]], f"{path} imports {name}"
        else:
            assert package in (parts[0], "labse"), f"{path} imports {name}"


@pytest.mark.parametrize("path", product_files(), ids=name_of)
def test_only_programs_know_flags_and_nobody_knows_keras_3(path):
    names = set(imports(path))
    if path.relative_to(ROOT).parts[:2] != ("labse", "bin"):
        assert not {"absl.flags", "absl.app"} & names
    if path.relative_to(ROOT).parts[0] != "data_pipeline":
        assert not any(name.startswith("apache_beam") for name in names)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr == "keras":
            is_tf = isinstance(node.value, ast.Name) and node.value.id == "tf"
            assert not is_tf, f"{path}:{node.lineno}: tf.keras is Keras 3"
    assert not any(name.startswith("tensorflow.keras") for name in names)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def test_no_file_imports_itself_by_way_of_others():
    """Imports inside functions count as well."""
    files = {module_of(path): path for path in product_files()}
    graph = {
        module: {
            found
            for name in imports(path)
            for found in (name, name.rpartition(".")[0])
            if found in files and found != module
        }
        for module, path in files.items()
    }
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


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


EXPORTING = ["configs", "evaluation", "files", "inference", "modeling"]


def test_importing_packages_imports_no_tensorflow():
    code = f"""
import sys
from labse import {", ".join(EXPORTING)}
assert not {{"numpy", "tensorflow"}} & set(sys.modules), sys.modules.keys()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("package", EXPORTING)
def test_named_exports(package, run_python):
    """They are there, whichever package is the first."""
    code = f"""
import labse.{package} as package
assert package.__all__ == dir(package) == sorted(package.__all__)
for name in package.__all__:
    assert getattr(package, name).__name__ == name
    assert not hasattr(package, name + "x")
"""
    result = run_python("-c", code, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_every_program_has_help_without_tensorflow():
    code = """
import contextlib, importlib, io, sys
from labse.bin import cli
from labse.bin.flags import program
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
