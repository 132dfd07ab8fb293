"""Runs what docs/web_service.md and docs/using_a_model.md show."""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

import labse

DOCS = pathlib.Path(__file__).parents[2] / "docs"
# Without a server of its own.
WSGIREF = """
import sys
from wsgiref.simple_server import make_server
from app import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


def blocks(page, language):
    text = (DOCS / page).read_text("utf-8")
    return re.findall(f"^```{language}\n(.*?)^```", text, re.M | re.S)


def block(page, language, words):
    [found] = [one for one in blocks(page, language) if words in one]
    return found


@pytest.fixture
def folder(small_run, tmp_path):
    """Where the page's commands are run, runs/quickstart inside."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "quickstart").symlink_to(small_run)
    for name, words in [
        ("app.py", "environ"),
        ("service.py", "FastAPI"),
        ("pool.py", "Pool"),
    ]:
        source = block("web_service.md", "python", words)
        (tmp_path / name).write_text(source)
    (tmp_path / "serve.py").write_text(WSGIREF)
    return tmp_path


def environment():
    root = str(DOCS.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path}


@pytest.fixture
def run(run_python, folder):
    """Runs Python with its arguments in the folder, which must succeed."""

    def call(*arguments):
        result = run_python(*arguments, cwd=folder, env=environment())
        assert result.returncode == 0, result.stderr

    return call


def post(url, texts, server, log):
    """Status and answer; waits until the server is there."""
    request = urllib.request.Request(url, json.dumps(texts).encode())
    request.add_header("Content-Type", "application/json")
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            time.sleep(1)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("name", ["wsgiref", "gunicorn", "uwsgi", "uvicorn"])
def test_the_servers(folder, small_run, name):
    if name == "wsgiref":
        command = [sys.executable, "serve.py", "8000"]
    else:
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
        commands = "".join(blocks("web_service.md", "sh")).split("\n")
        [command] = [
            shlex.split(one) for one in commands if one.startswith(f"{name} ")
        ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [part.replace("8000", port) for part in command]
    log = folder / "log.txt"
    with open(log, "w") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        for _ in range(4):  # So that each worker may have its turn.
            status, answer = post(url, ["hello", "the"], server, log)
            assert status == 200
            expected = labse.load(small_run).encode(["hello", "the"])
            np.testing.assert_allclose(answer, expected, atol=1e-5)
        if name != "uvicorn":
            status, answer = post(url, {"hello": "the"}, server, log)
            assert status == 400 and "a row (dict)" in answer
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_model_loaded_when_it_is_needed(run):
    source = block("web_service.md", "python", "functools")
    run("-c", source + "\nassert model() is model()")


def test_pools(folder, run):
    source = (folder / "pool.py").read_text()
    check = "    assert [len(part) for part in vectors] == [2, 2]\n"
    (folder / "pool.py").write_text(source + check)
    run("-c", "import runpy; runpy.run_path('pool.py', run_name='other')")
    run("pool.py")


def test_using_a_model(run):
    pytest.importorskip("sklearn")
    source = "".join(blocks("using_a_model.md", "python"))
    assert "model.truncated(texts)" in source
    check = "assert model.truncated(texts).tolist() == [False, True]\n"
    check += "assert short.fingerprint == model.fingerprint\n"
    run("-c", source + check)
