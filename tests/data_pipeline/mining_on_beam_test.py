"""`labse mine --runner` against the same without: byte for byte."""

import os
import pathlib
import random
import subprocess
import sys

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


@pytest.fixture
def folder(tmp_path):
    generator = random.Random(0)
    words = [a + b + "o" for a in "bcdfghklmnprstvw" for b in "aeiouäëïöü"]
    lines = [" ".join(generator.choices(words, k=7)) for _ in range(300)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    generator.shuffle(lines)
    (tmp_path / "b.txt").write_text("\n".join(f"{x} boo" for x in lines))
    (tmp_path / "hashed.py").write_text(ENCODER)
    return tmp_path


def mine(folder, out, *flags):
    return subprocess.run(
        [
            *(sys.executable, "-m", "labse.bin.cli", "mine"),
            "--chunk=64",
            "--model=python:hashed.encode",
            "--source=a.txt",
            "--target=b.txt",
            f"--out={out}",
            *flags,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    "beam",
    [
        ["--beam=--direct_running_mode=in_memory"],
        [
            "--beam=--direct_running_mode=multi_processing",
            "--beam=--direct_num_workers=2",
        ],
    ],
    ids=["one process", "two processes"],
)
def test_beam_gives_the_same_bytes(folder, beam):
    alone = mine(folder, "alone.tsv")
    assert alone.returncode == 0, alone.stderr
    together = mine(
        folder, "together.tsv", "--shards=3", "--runner=DirectRunner", *beam
    )
    assert together.returncode == 0, together.stderr
    content = (folder / "alone.tsv").read_bytes()
    assert content.count(b"\n") > 250
    assert (folder / "together.tsv").read_bytes() == content


def test_a_worker_s_bad_input_is_one_clear_error(folder):
    (folder / "hashed.py").write_text(
        ENCODER + "\ngood = encode\n"
        "encode = lambda texts: good(texts) * float('nan')\n"
    )
    done = mine(
        folder,
        "out.tsv",
        "--index=exact",
        "--runner=DirectRunner",
        "--beam=--direct_running_mode=in_memory",
    )
    assert done.returncode == 2
    assert "is not finite" in done.stderr.splitlines()[-1]
    assert not (folder / "out.tsv").exists()
