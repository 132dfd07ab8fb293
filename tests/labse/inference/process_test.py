"""Forks: an error where TensorFlow would wait for ever.

Each test is a script in a process of its own, which must end in time.
"""

import subprocess
import sys

import pytest

HEAD = """
import concurrent.futures, functools, multiprocessing, os, sys
import labse

RUN = sys.argv[1]
fork = multiprocessing.get_context("fork")


def answer(function, *arguments):
    try:
        return str(function(*arguments).shape)
    except labse.errors.InputError as error:
        assert "forked" in str(error) and "spawn" in str(error), error
        return "refused"


def in_child(function):
    queue = fork.Queue()
    child = fork.Process(target=lambda: queue.put(answer(function)))
    child.start()
    print(queue.get(timeout=100))
    child.join()


def load_and_encode():
    return labse.load(RUN).encode(["hello"])
"""
LOADED = """
model = labse.load(RUN)
"""


@pytest.fixture(scope="module")
def run_imported(run_python, small_run):
    """The output of code that imports labse itself, in a new process."""

    def call(code):
        result = run_python("-c", code, small_run)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return call


@pytest.fixture(scope="module")
def run(run_imported):
    """The lines that code after `HEAD` prints, in a new process."""
    return lambda code: run_imported(HEAD + code).split("\n")[:-1]


@pytest.fixture(scope="module")
def of_loaded(run):
    """What one process that has loaded a model prints, by test."""
    code = f"""{LOADED}
def nested():
    in_child(load_and_encode)
    return load_and_encode()

print("children")
in_child(lambda: model.encode(["hello"]))
in_child(lambda: model.num_tokens(["hello"]))
in_child(lambda: model.truncated(["hello"]))
in_child(load_and_encode)
in_child(nested)  # Two: a child of the child, and the child.
print(model.encode("a").shape)  # The parent goes on.

print("pools")
with fork.Pool(1) as pool:
    print(answer(lambda: pool.map_async(model.encode, [["hello"]]).get(100)[0]))
with concurrent.futures.ProcessPoolExecutor(1, fork) as pool:
    print(answer(lambda: pool.submit(model.encode, ["hello"]).result(100)))

try:
    import joblib
except ImportError:
    sys.exit()
print("joblib")
for backend in ("multiprocessing", "loky", "threading"):
    parallel = joblib.Parallel(2, backend=backend, timeout=100)
    task = joblib.delayed(model.encode)
    print(answer(lambda: parallel(task(["hello"]) for _ in range(2))[1]))
"""
    found = {}
    for line in run(code):
        if line in ("children", "pools", "joblib"):
            lines = found[line] = []
        else:
            lines.append(line)
    return found


def test_children_of_a_process_that_loaded(of_loaded):
    assert of_loaded["children"] == ["refused"] * 6 + ["(32,)"]


def test_pools(of_loaded):
    """A pool must not wait for a worker that could not unpickle the model."""
    assert of_loaded["pools"] == ["refused", "refused"]


def test_joblib(of_loaded):
    pytest.importorskip("joblib")
    assert of_loaded["joblib"] == ["refused", "(1, 32)", "(1, 32)"]


def test_a_child_of_a_process_that_ran_tensorflow(run):
    code = "import tensorflow as tf\ntf.constant(1)\nin_child(load_and_encode)"
    assert run(code) == ["refused"]


# What follows it runs in the child.
FORK = """
import os
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
PYTHON_THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
BLAS_THREADS = "import numpy; a = numpy.ones([600, 600]); a @ a"


@pytest.mark.parametrize(
    "threads",
    ["", PYTHON_THREAD, BLAS_THREADS],
    ids=["none", "python", "blas"],
)
def test_a_child_that_imports_labse_after_the_fork(run_imported, threads):
    code = f"""
import sys
import tensorflow as tf
tf.constant(1)
{FORK}
{threads}
import labse
for _ in range(2):
    try:
        labse.load(sys.argv[1])
    except labse.errors.InputError as error:
        print(error)
"""
    found = run_imported(code)
    assert found.count("was forked from one") == 2


RAN = "tf.function(lambda x: x @ x)(tf.ones([300, 300]))"


@pytest.mark.parametrize(
    "before",
    [
        "tf.config.list_physical_devices()",
        RAN,
        f"tf.config.run_functions_eagerly(True); {RAN}",
        "tf.config.threading.set_inter_op_parallelism_threads(1)\n"
        f"tf.config.threading.set_intra_op_parallelism_threads(1)\n{RAN}",
        FORK,
        FORK + RAN,
    ],
    ids=["imported", "ran", "eagerly", "one_thread", "fork", "fork_then_ran"],
)
def test_a_process_that_imports_labse_last(run_imported, before):
    """Nothing is refused where TensorFlow has its threads."""
    assert run_imported(IMPORTS_LAST.format(before=before)) == "(1, 32)\n"


def test_a_process_that_nobody_forked(small_run):
    """The same, without `run_imported`."""
    result = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            *(IMPORTS_LAST.format(before=RAN), str(small_run)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(1, 32)\n"


IMPORTS_LAST = """
import sys
import tensorflow as tf
{before}
import labse
print(labse.load(sys.argv[1]).encode(["hello"]).shape)
"""


def test_a_child_of_a_process_that_only_imported(run):
    """As gunicorn --preload does with a model that is loaded in the worker."""
    code = """
import tensorflow, tensorflow_text, tensorflow_hub
from labse.inference import loading
in_child(load_and_encode)
print(load_and_encode().shape)
in_child(load_and_encode)
"""
    assert run(code) == ["(1, 32)", "(1, 32)", "refused"]


def test_spawn_works(small_run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"{HEAD}\nif __name__ == '__main__':\n"
        "    model = labse.load(RUN)\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        found = pool.map_async(model.encode, [['hello']]).get(100)\n"
        "    print(abs(found[0] - model.encode(['hello'])).max() < 1e-6)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(small_run)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.stdout == "True\n", result.stderr
