"""Judges models: every table of the paper, one task at a time.

  labse evaluate --model=RUN --task=pairs --data=heldout.tsv --out=RUN
  labse evaluate --model=RUN --task=tatoeba --data=tatoeba/v1 --out=DIR
  labse evaluate --model=A --model=B --task=n_way --data=un --pivot=en --out=DIR

  --task     --data                                               paper
  tatoeba    LASER's folder of tatoeba.xxx-eng.*                  Table 5
  n_way      folder of aligned files, one a language (UN, FLORES) Table 2
  bucc       folder of xx-en.*.xx, .en and .gold                  Table 3
  senteval   SentEval's folder of data sets                       Table 4
  sts        sts-*.csv of the STS benchmark                       Table 6
  pairs      file of held-out pairs, or a glob, of any format of
             docs/file_formats.md; the flags of files are for it
  python:module.function    your own: function(encode_fn, data) ->
             labse.evaluation.results.TaskResult

--model is whatever labse.load takes, or python:module.function: a function
from a list of n strings to float32 [n, dim], for any other encoder. With
several models the report has them side by side, and each is compared with the
first by a paired test.

Writes metrics.json (every number) and report.html (the same for the eye) to
--out, and prints the averages. Embeddings are kept in --cache by model and
text: what was killed goes on, and the next task does not encode a text again.
"""

import importlib
from pathlib import Path

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import (
    MODEL_OR_FUNCTION_HELP,
    PYTHON,
    Encoder,
    counting,
    import_function,
)
from labse.errors import InputError

TASKS = ("tatoeba", "n_way", "bucc", "senteval", "sts", "pairs")
HISTORY_NAME = "history.jsonl"


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
        "Folder for metrics.json and report.html; made if it is not there.",
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
        "tatoeba, pairs, n_way: judge only these, as the data names them.",
    )
    flags.integer(
        "min_pairs",
        30,
        "pairs: a language counts in the average from so many distinct "
        "strings on.",
        lower_bound=1,
    )
    file_flags.define_pair_flags(flags)
    flags.string("pivot", None, "n_way: judge only pairs with this language.")
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
        "in the first --model's folder, where there is one.",
    )


def main(flags: FlagSet) -> None:
    """Judges the models and writes what was found."""
    # Imported here so that --help does not wait for it.
    from labse.evaluation import results
    from labse.evaluation.report import report

    task = _task(flags)
    models = flags.model
    if len(set(models)) != len(models):
        raise InputError(f"--model names one twice: {', '.join(models)}.")
    if len(models) > report.MAX_MODELS:
        raise InputError(
            f"At most {report.MAX_MODELS} models fit in one report. Received: "
            f"{len(models)}."
        )
    history = _read_history(models[0], flags.history)
    out = _make_folder(flags.out)
    # Of pairs it may be a glob.
    if flags.task != "pairs" and not Path(flags.data).exists():
        raise InputError(f"--data must be there. Received: {flags.data}.")
    reports = {}
    judged = {
        model: task(_encode_fn(model, flags, reports), flags.data)
        for model in models
    }
    results.write_metrics(out / "metrics.json", flags.data, judged)
    report.write(out / "report.html", judged, flags.data, history)
    for model, result in judged.items():
        print(model)
        print(results.summary(result))
        if model in reports:
            print(reports[model]())
    print(f"Wrote {out / 'metrics.json'} and {out / 'report.html'}.")


def _task(flags: FlagSet):
    """The task as a function (encode_fn, data) -> TaskResult."""
    name = flags.task
    if name.startswith(PYTHON):
        return import_function(name, "--task")
    if name not in TASKS:
        raise InputError(
            f"--task must be one of {', '.join(TASKS)}, or {PYTHON}"
            f"module.function. Received: {name}."
        )
    options = {
        "tatoeba": {"languages": flags.languages},
        "n_way": {
            "languages": flags.languages,
            "pivot": flags.pivot,
            "pools": _pools(flags.pool),
            "file_set": flags.file_set,
        },
        "pairs": {
            "languages": flags.languages,
            "min_pairs": flags.min_pairs,
            "options": file_flags.options(flags),
        },
    }.get(name, {})
    evaluate = importlib.import_module(f"labse.evaluation.{name}").evaluate
    return lambda encode_fn, data: evaluate(encode_fn, data, **options)


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


def _encode_fn(model: str, flags: FlagSet, reports: dict):
    """A task asks once, after it has read its data.

    So a mistake in a file is told before TensorFlow and the model have been
    loaded. Then `reports` has a function for the model, which says how many
    texts were cut.
    """
    if model.startswith(PYTHON):
        return import_function(model, "--model")

    def encode(texts):
        from labse.evaluation.embedding_cache import cached
        from labse.inference.truncation import TruncationCount

        encoder, fingerprint = Encoder(model, flags.compute_dtype)()
        folder = flags.cache or Path(flags.out) / "embeddings"
        count = TruncationCount()
        if encoder.reports_truncation:
            reports[model] = lambda: count.report(encoder.max_length)
        encode_fn = cached(encoder.with_bar, folder, fingerprint)
        return counting(encode_fn, encoder, count)(texts)

    return encode


def _read_history(model: str, history: str | None) -> list[dict]:
    from labse.evaluation.report import report

    if history is None:
        default = Path(model) / HISTORY_NAME
        return report.read_history(default) if default.is_file() else []
    if not Path(history).is_file():
        raise InputError(
            f"--history must be a run's {HISTORY_NAME}. Received: {history}, "
            "which is not a file."
        )
    return report.read_history(history)


def _make_folder(path: str) -> Path:
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out must be a folder. Received a file: {path}.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    program.main(__name__)
