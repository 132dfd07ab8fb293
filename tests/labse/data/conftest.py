"""Fixtures of tests of datasets."""

import socket

import pytest

SERVER = """
import sys
import tensorflow as tf
cluster = tf.train.ClusterSpec({"worker": [sys.argv[1]]})
tf.distribute.Server(cluster, job_name="worker", task_index=0).join()
"""


@pytest.fixture
def worker(start_python):
    """The address of a host that has nothing but TensorFlow and the files."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        address = f"localhost:{found.getsockname()[1]}"
    server = start_python("-c", SERVER, address)
    yield address
    server.kill()
    server.wait()


@pytest.fixture
def run_client(worker, run_python):
    """Runs a program in a process of its own, which gets the address first."""

    def run(program, *arguments):
        client = run_python("-c", program, worker, *arguments)
        assert client.returncode == 0, client.stderr
        return client.stdout.strip()

    return run
