"""The notebooks of examples/, run as Jupyter does."""

import os
import pathlib
import shutil
import sys

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
TRAINS = ROOT / "examples" / "train_on_your_own_pairs.ipynb"


def run(path, folder, monkeypatch):
    """Runs it in `folder`/examples; returns what each cell printed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    programs = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", programs + os.pathsep + os.environ["PATH"])
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
def trained(tmp_path_factory):
    """What the notebook about training printed, and the model it left."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TMPDIR", str(folder))
        printed = run(TRAINS, folder, monkeypatch)
    [model] = folder.glob("*/run")
    return printed, model


def test_training(trained):
    printed, model = trained
    text = "\n".join(printed)
    assert '"step": 60' in text
    assert "report.html" in text and "All checks passed" in text
    assert (model.parent / "exported" / "text" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    "name", ["first_vectors_and_search", "mine_and_filter_a_corpus"]
)
def test_with_a_model(name, trained, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    shutil.copytree(trained[1], tmp_path / "runs" / "quickstart")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    text = "\n".join(
        run(ROOT / f"examples/{name}.ipynb", tmp_path, monkeypatch)
    )
    expected = {
        "first_vectors_and_search": "Mein Passwort ändern\n    ",
        "mine_and_filter_a_corpus": "of the better half are right",
    }
    assert expected[name] in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_saved_outputs_have_no_errors(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
