"""The tasks of `labse evaluate`, an entry for each.

The task NAME is the module `labse.evaluation.tasks.NAME` with a function

    evaluate(encode_fn, data, **options) -> labse.evaluation.results.TaskResult

where `encode_fn` is a function from a list of n texts to float32 [n, dim].
It reads and checks all its data before it calls `encode_fn`, and raises
`InputError` where the data, an option or an embedding is not as it must be.
"""

import dataclasses
import importlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class EvaluationTask:
    """What --help and flags need to know about a task, without importing it.

    Attributes:
      data: what `data` is, for --help.
      paper: where the paper has it.
      options: the further arguments of its `evaluate`.
    """

    data: str
    paper: str = ""
    options: tuple[str, ...] = ()


TASKS = {
    "tatoeba": EvaluationTask(
        "LASER's folder of tatoeba.xxx-eng.*",
        "Table 5, Figure 6",
        ("languages",),
    ),
    "n_way": EvaluationTask(
        "folder of aligned files, one a language (UN, FLORES)",
        "Table 2",
        ("languages", "pivot", "pools", "file_set"),
    ),
    "bucc": EvaluationTask(
        "folder of xx-en.*.xx, .en and .gold", "Table 3", ("languages",)
    ),
    "senteval": EvaluationTask("SentEval's folder of data sets", "Table 4"),
    "sts": EvaluationTask(
        "sts-*.csv of the STS benchmark, or their folder", "Table 6"
    ),
    "pairs": EvaluationTask(
        "held-out pairs: a file or a glob (docs/file_formats.md)",
        options=("languages", "min_pairs", "options"),
    ),
}


def evaluator(name: str) -> Callable:
    """The function `evaluate` of a task in the table."""
    return importlib.import_module(f"labse.evaluation.tasks.{name}").evaluate
