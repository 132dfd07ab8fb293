"""Other runners of Beam give the same bytes; docs/design/corpora.md."""

import importlib.util
import os
import pathlib
import socket
import subprocess
import sys

import pytest

pytest.importorskip("apache_beam")

from labse.data.records.writer import write_records

ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = pathlib.Path(__file__).parent / "write_small_records.py"
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
SPARK = "beam_pyspark_runner.pyspark_runner.PySparkRunner"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [f"text {n}\tText {n}\tc{n % 7}\n" for n in range(500)]
    path.write_text("source\ttarget\tcorpus\n" + "".join(rows))
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def check(pairs, tmp_path, *arguments):
    write_records([pairs], tmp_path / "alone")
    done = subprocess.run(
        [sys.executable, PROGRAM, pairs, tmp_path / "out", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYSPARK_PYTHON": sys.executable,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_two_processes(pairs, tmp_path):
    check(
        pairs,
        tmp_path,
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    )


def test_a_job_server(pairs, tmp_path):
    """What Flink's and Spark's job servers are asked for, of Beam's own."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m"),
            "apache_beam.runners.portability.local_job_service_main",
            f"--port={port}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        check(
            pairs,
            tmp_path,
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{port}",
            "--environment_type=LOOPBACK",
        )
    finally:
        server.kill()
        server.wait()


@pytest.mark.skipif(
    not importlib.util.find_spec("distributed"), reason="needs dask"
)
def test_dask(pairs, tmp_path):
    check(pairs, tmp_path, f"--runner={DASK}")


@pytest.mark.skipif(
    not importlib.util.find_spec("beam_pyspark_runner"), reason="needs pyspark"
)
def test_spark(pairs, tmp_path):
    check(pairs, tmp_path, f"--runner={SPARK}")
