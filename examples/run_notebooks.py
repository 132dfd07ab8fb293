"""Runs the notebooks of this folder and saves their outputs.

  python examples/run_notebooks.py [NOTEBOOK]...

Needs nbclient and ipykernel. The others use the model of the one that trains,
so that one comes first.
"""

import pathlib
import sys

import nbclient
import nbformat

HERE = pathlib.Path(__file__).resolve().parent


def main(names: list[str]) -> None:
    """Runs all notebooks, or those that are named."""
    found = sorted(HERE.glob("*.ipynb"), key=lambda path: path.name[0] != "t")
    for path in map(pathlib.Path, names or found):
        print(path)
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(HERE)}}
        nbclient.NotebookClient(
            notebook, resources=where, coalesce_streams=True
        ).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # The time of day.
            if cell.cell_type == "code":
                # Logs and progress bars, different on each machine.
                cell.outputs = [
                    output
                    for output in cell.outputs
                    if output.get("name") != "stderr"
                ]
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
