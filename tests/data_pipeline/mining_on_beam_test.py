"""`labse mine --runner` against the same without: byte for byte."""

import os
import pathlib
import random

import pytest

pytest.importorskip("apache_beam")

ROOT = pathlib.Path(__file__).parents[2]
ENCODER = """
import zlib
import numpy as np

def encode(texts):
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        for word in ["", *text.split()]:
            seed = zlib.crc32(word.encode())
            vectors[row] += np.random.default_rng(seed).normal(size=64)
    return vectors
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    generator = random.Random(0)
    words = [a + b + "o" for a in "bcdfghklmnprstvw" for b in "aeiouäëïöü"]
    lines = [" ".join(generator.choices(words, k=7)) for _ in range(300)]
    (folder / "a.txt").write_text("\n".join(lines))
    generator.shuffle(lines)
    (folder / "b.txt").write_text("\n".join(f"{x} boo" for x in lines))
    (folder / "hashed.py").write_text(ENCODER)
    (folder / "broken.py").write_text(
        "import hashed\n"
        "encode = lambda texts: hashed.encode(texts) * float('nan')\n"
    )
    return folder


@pytest.fixture(scope="module")
def mine(folder, run_python):
    """Runs `labse mine` in the folder."""

    def run(out, *flags, model="hashed"):
        return run_python(
            *("-m", "labse.bin.cli", "mine"),
            "--chunk=64",
            f"--model=python:{model}.encode",
            "--source=a.txt",
            "--target=b.txt",
            f"--out={out}",
            *flags,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
        )

    return run


@pytest.fixture(scope="module")
def alone(folder, mine):
    """The bytes that are mined without Beam."""
    done = mine("alone.tsv")
    assert done.returncode == 0, done.stderr
    return (folder / "alone.tsv").read_bytes()


@pytest.mark.parametrize(
    "beam",
    [
        ["--beam=--direct_running_mode=in_memory"],
        pytest.param(
            [
                "--beam=--direct_running_mode=multi_processing",
                "--beam=--direct_num_workers=2",
            ],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["one process", "two processes"],
)
def test_beam_gives_the_same_bytes(mine, alone, beam, tmp_path):
    out = tmp_path / "together.tsv"
    done = mine(out, "--shards=3", "--runner=DirectRunner", *beam)
    assert done.returncode == 0, done.stderr
    assert alone.count(b"\n") > 250
    assert out.read_bytes() == alone


def test_a_worker_s_bad_input_is_one_clear_error(mine, tmp_path):
    out = tmp_path / "out.tsv"
    done = mine(
        out,
        "--index=exact",
        "--runner=DirectRunner",
        "--beam=--direct_running_mode=in_memory",
        model="broken",
    )
    assert done.returncode == 2
    assert "is not finite" in done.stderr.splitlines()[-1]
    assert not out.exists()
