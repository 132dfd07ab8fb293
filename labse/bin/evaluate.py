"""Evaluates models: every table of the paper, one task at a time.

  labse evaluate --model=RUN --task=pairs --data=heldout.tsv --out=RUN
  labse evaluate --model=RUN --task=tatoeba --data=tatoeba/v1 --out=DIR
  labse evaluate --model=A --model=B --task=n_way --data=un --pivot=en --out=DIR

  --task     --data                                                  paper
TASKS
  python:module.function    your own: function(encode_fn, data) ->
             labse.evaluation.results.TaskResult

--model is whatever labse.load takes, or python:module.function: a function
from a list of n strings to float32 [n, dim], for any other encoder. With
several models the report has them side by side, and each is compared with the
first by a paired test.

Writes metrics.json (every number) and report.html (the same to look at, with
the paper's published figures) to --out, and prints the averages. Embeddings
are kept in --cache by model and text: a killed command resumes, and the next
task does not encode a text again.
"""

from pathlib import Path

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.lazy_encoder import LazyEncoder
from labse.bin.flags.models import (
    MODEL_OR_FUNCTION_HELP,
    PYTHON,
    import_function,
)
from labse.errors import InputError
from labse.evaluation.task_table import TASKS
from labse.files.remote_path import AnyPath, as_path

__doc__ = __doc__.replace(
    "TASKS",
    "\n".join(
        f"  {name:<10} {task.data:<55} {task.paper}".rstrip()
        for name, task in TASKS.items()
    ),
)
HISTORY_NAME = "history.jsonl"


def _tasks_with(option: str) -> str:
    return ", ".join(name for name in TASKS if option in TASKS[name].options)


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of this program."""
    flags.strings(
        "model", None, f"{MODEL_OR_FUNCTION_HELP} Repeatable.", required=True
    )
    flags.string(
        "task",
        None,
        f"One of {', '.join(TASKS)}, or python:module.function.",
        required=True,
    )
    flags.string("data", None, "What the task reads; see above.", required=True)
    flags.string(
        "out",
        None,
        "Folder for metrics.json and report.html; made if it does not exist.",
        required=True,
    )
    flags.string(
        "cache",
        None,
        "Folder of embeddings by model and text. Default: OUT/embeddings.",
    )
    flags.comma_list(
        "languages",
        [],
        f"{_tasks_with('languages')}: evaluate only these, named as in --data.",
    )
    flags.integer(
        "min_pairs",
        30,
        "pairs: the number of distinct strings from which a language counts in "
        "the average.",
        lower_bound=1,
    )
    file_flags.define_pair_flags(flags)
    flags.string(
        "pivot", None, "n_way: evaluate only pairs with this language."
    )
    flags.string(
        "file_set",
        None,
        "n_way: which set, where --data holds several: the names of its files "
        "with * for the language, as in 'test.*'.",
    )
    flags.strings(
        "pool",
        [],
        "n_way: LANGUAGE=FILE, lines that are further candidates; repeatable.",
    )
    flags.choice(
        "compute_dtype", "float32", ["float32", "bfloat16"], "Of the matmuls."
    )
    flags.string(
        "history",
        None,
        f"Training history for the report's curve. Default: {HISTORY_NAME} "
        "in the first --model's folder, if there is one.",
    )


def main(flags: FlagSet) -> None:
    """Evaluates the models, writes and prints the results."""
    task, options = _task(flags)
    models = flags.model
    if len(set(models)) != len(models):
        raise InputError(f"--model names one twice: {', '.join(models)}.")
    # A glob is allowed for pairs.
    if flags.task != "pairs" and not Path(flags.data).exists():
        raise InputError(f"--data must exist. Received: {flags.data}.")
    history = _history(flags)
    # Imported here so that --help does not wait for it.
    from labse.evaluation import results
    from labse.evaluation.evaluate_models import evaluate_models

    encode_fns = {model: _encode_fn(model, flags) for model in models}
    by_model = evaluate_models(
        encode_fns, task, flags.data, flags.out, history, **options
    )
    for model, result in by_model.items():
        print(model)
        print(results.summary(result))
        encode_fn = encode_fns[model]
        if isinstance(encode_fn, LazyEncoder) and (
            report := encode_fn.report()
        ):
            print(report)
    out = Path(flags.out)
    print(f"Wrote {out / 'metrics.json'} and {out / 'report.html'}.")


def _task(flags: FlagSet):
    """The task, by name or as a function, and its options."""
    name = flags.task
    if not name.startswith(PYTHON) and name not in TASKS:
        raise InputError(
            f"--task must be one of {', '.join(TASKS)}, or {PYTHON}"
            f"module.function. Received: {name}."
        )
    taken = TASKS[name].options if name in TASKS else ()
    options = {
        "languages": flags.languages,
        "pivot": flags.pivot,
        "pools": _pools(flags.pool),
        "file_set": flags.file_set,
        "min_pairs": flags.min_pairs,
        "options": file_flags.options(flags),
    }
    for option in options:
        flag = {"pools": "pool"}.get(option, option)
        if option not in taken and flag in flags and flags[flag].present:
            raise InputError(
                f"--{flag} is a flag of {_tasks_with(option)}. Received it "
                f"with --task={name}."
            )
    if name.startswith(PYTHON):
        return import_function(name, "--task"), {}
    return name, {option: options[option] for option in taken}


def _pools(values: list[str]) -> dict[str, str]:
    """--pool as a dict."""
    pools = {}
    for value in values:
        language, equals, path = value.partition("=")
        if not (language and equals and path):
            raise InputError(
                f"--pool has the form LANGUAGE=FILE. Received: {value}."
            )
        pools[language] = path
    return pools


def _encode_fn(model: str, flags: FlagSet):
    if model.startswith(PYTHON):
        return import_function(model, "--model")
    cache = flags.cache or Path(flags.out) / "embeddings"
    return LazyEncoder(model, flags.compute_dtype, cache, True)


def _history(flags: FlagSet) -> AnyPath | None:
    if flags.history is None:
        default = as_path(flags.model[0]) / HISTORY_NAME
        return default if default.is_file() else None
    if not as_path(flags.history).is_file():
        raise InputError(
            f"--history must be a run's {HISTORY_NAME}. Received: "
            f"{flags.history}, which is not a file."
        )
    return as_path(flags.history)


if __name__ == "__main__":
    program.main(__name__)
