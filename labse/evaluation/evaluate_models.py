"""Evaluates models on a task: metrics.json and report.html in a folder."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import results, task_table
from labse.evaluation.report import html_report
from labse.evaluation.results import TaskResult
from labse.evaluation.retrieval import EncodeFn
from labse.training.history import read as read_history


def evaluate_models(
    encode_fns: Mapping[str, EncodeFn],
    task: str | Callable[[EncodeFn, str], TaskResult],
    data: str,
    out: str | Path,
    history: str | Path | None = None,
    **options,
) -> dict[str, TaskResult]:
    """Evaluates models; writes metrics.json and report.html.

    Args:
      encode_fns: by the name of each model, list of n texts -> float32
        [n, dim]. Each is first called after the data have been read.
      task: a name of `task_table.TASKS`, or a function of an encode_fn and
        `data`.
      data: a path that the task reads.
      out: a folder; made if it does not exist.
      history: a run's history.jsonl, for the report's training curves.
      **options: further arguments of the task.

    Raises:
      InputError: an argument or the data is not as it must be.
    """
    if len(encode_fns) > html_report.MAX_MODELS:
        raise InputError(
            f"A report holds at most {html_report.MAX_MODELS} models. "
            f"Received: {len(encode_fns)}."
        )
    entries = read_history(history) if history else []
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"out must be a folder. Received a file: {out}.")
    evaluate = task_table.evaluator(task) if isinstance(task, str) else task
    with _new_unless_it_fails(out):
        by_model = {
            model: evaluate(encode_fn, data, **options)
            for model, encode_fn in encode_fns.items()
        }
    results.write_metrics(out / "metrics.json", data, by_model)
    html_report.write_report(out / "report.html", by_model, data, entries)
    return by_model


@contextlib.contextmanager
def _new_unless_it_fails(folder: Path) -> Iterator[None]:
    """Makes the folder; if the block fails, removes what it made and is empty.

    Made at the start, so that no hours are spent before it turns out that it
    cannot be.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in made:
            if any(each.iterdir()):  # Vectors are kept, for example.
                break
            each.rmdir()
        raise
