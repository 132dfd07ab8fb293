"""The wheel and the sdist, and the wheel used in an environment of its own."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import numpy as np
import pytest

import labse

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("labse", "export", "data_pipeline")


def run(*command, cwd, **environment):
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={
            name: value
            for name, value in (os.environ | environment).items()
            if name != "PYTHONPATH"
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(source, out):
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", out),
        *("--sdist", "--wheel", source),
        cwd=out.parent,
    )
    [wheel], [sdist] = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources, so that building leaves nothing beside them."""
    folder = tmp_path_factory.mktemp("sources")
    for name in (*PACKAGES, "README.md", "setup.py", "pyproject.toml"):
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(copy, tmp_path_factory):
    """Wheel and sdist."""
    return build(copy, tmp_path_factory.mktemp("built"))


def members(wheel):
    """Contents by name, without the record, whose order is free."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith("/RECORD")
        }


def test_the_wheel_holds_every_file_of_the_packages(built):
    in_wheel = {name for name in members(built[0]) if ".dist-info/" not in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_wheel == expected
    assert "labse/configs/labse_base.yaml" in expected
    assert "export/golden_sentences.json" in expected
    assert {f"{package}/py.typed" for package in PACKAGES} <= expected


def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    again, _ = build(source, tmp_path / "built")
    assert members(again) == members(wheel)


def test_the_metadata(built):
    files = members(built[0])
    [metadata] = [
        text.decode()
        for name, text in files.items()
        if name.endswith("/METADATA")
    ]
    assert f"\nVersion: {labse.__version__}\n" in metadata
    [versions] = re.findall(r"^Requires-Python: (.*)$", metadata, re.M)
    assert set(versions.split(",")) == {">=3.10", "<3.14"}
    extras = set(re.findall(r"^Provides-Extra: (.*)$", metadata, re.M))
    assert {"docs", "evaluation", "mining", "quickstart", "test"} <= extras


def test_the_wheel_in_a_new_environment(built, small_run, tmp_path):
    # The packages that labse needs are seen, an editable labse among them is
    # not: a .pth file in a folder that a .pth file names does nothing.
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install"),
        *("--quiet", "--no-deps", "--no-index", "--ignore-installed"),
        built[0],
        cwd=tmp_path,
    )
    where = "import labse; print(labse.__file__, labse.__version__)"
    assert run(python, "-c", where, cwd=tmp_path).split() == [
        str(site / "labse" / "__init__.py"),
        labse.__version__,
    ]
    command = tmp_path / "venv" / "bin" / "labse"
    assert "usage: labse PROGRAM" in run(command, "--help", cwd=tmp_path)
    lines = ["hello", "the world"]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    run(
        *(command, "encode", f"--model={small_run}", "--input=lines.txt"),
        "--out=vectors.npy",
        cwd=tmp_path,
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "vectors.npy"),
        labse.load(small_run).encode(lines),
        atol=1e-5,
    )
