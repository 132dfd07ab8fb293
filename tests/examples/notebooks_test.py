"""The notebooks of examples/, run as Jupyter does."""

import os
import pathlib
import sys

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
TRAINS = ROOT / "examples" / "train_on_your_own_pairs.ipynb"
# The command `labse`, started by the server of processes. Its outputs are
# those of this script.
COMMAND = """#!{python} -S
import json, os, socket, struct, sys

request = {{
    "arguments": ["-m", "labse.bin.cli", *sys.argv[1:]],
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "stdout": f"/proc/{{os.getpid()}}/fd/1",
    "stderr": f"/proc/{{os.getpid()}}/fd/2",
}}
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps(request).encode() + b"\\n")
    _, code = struct.unpack("2i", server.recv(8, socket.MSG_WAITALL))
sys.exit(code if code >= 0 else 128 - code)
"""


def run(path, folder, monkeypatch):
    """Runs it in `folder`/examples; returns what each cell printed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    programs = [str(folder / "bin"), os.path.dirname(sys.executable)]
    monkeypatch.setenv("PATH", ":".join([*programs, os.environ["PATH"]]))
    (folder / "examples").mkdir(exist_ok=True)
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder / "examples")}}
    nbclient.NotebookClient(notebook, timeout=300, resources=where).execute()
    return [
        "".join(
            output.get("text", output.get("data", {}).get("text/plain", ""))
            for output in cell.get("outputs", ())
        )
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, process_server):
    """The folder that the notebooks share, and what the first printed."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "bin").mkdir()
    command = folder / "bin" / "labse"
    command.write_text(
        COMMAND.format(python=sys.executable, address=process_server)
    )
    command.chmod(0o755)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TMPDIR", str(folder))
        return folder, run(TRAINS, folder, monkeypatch)


def test_training(trained):
    folder, printed = trained
    text = "\n".join(printed)
    assert '"step": 40' in text
    assert "report.html" in text and "ok, 0 FAILED" in text
    assert (folder / "runs" / "notebook" / "config.yaml").is_file()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first_vectors_and_search", "Ungültiges Datum\n    "),
        ("mine_and_filter_a_corpus", "of the better half are right"),
    ],
)
def test_with_its_model(name, expected, trained, monkeypatch):
    folder, _ = trained
    monkeypatch.setenv("TMPDIR", str(folder))
    path = ROOT / "examples" / f"{name}.ipynb"
    assert expected in "\n".join(run(path, folder, monkeypatch))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_saved_outputs_have_no_errors(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
