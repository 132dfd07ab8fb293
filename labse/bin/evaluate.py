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

from absl import flags

from labse.bin.flags import file_flags, program
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


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program on `flag_values`."""
    flags.DEFINE_multi_string(
        "model",
        None,
        f"{MODEL_OR_FUNCTION_HELP} Repeatable.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "task",
        None,
        f"One of {', '.join(TASKS)}, or python:module.function.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "data",
        None,
        "What the task reads; see above.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "out",
        None,
        "Folder for metrics.json and report.html; made if it is not there.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "cache",
        None,
        "Folder of embeddings by model and text. Default: OUT/embeddings.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "languages",
        [],
        "tatoeba, pairs, n_way: judge only these, as the data names them.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "min_pairs",
        30,
        "pairs: a language counts in the average from so many distinct "
        "strings on.",
        lower_bound=1,
        flag_values=flag_values,
    )
    file_flags.define_pair_flags(flag_values)
    flags.DEFINE_string(
        "pivot",
        None,
        "n_way: judge only pairs with this language.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "file_set",
        None,
        "n_way: which set, where --data holds several: the names of its files "
        "with * for the language, as in 'test.*'.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "pool",
        [],
        "n_way: LANGUAGE=FILE, lines that are further candidates; repeatable.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["float32", "bfloat16"],
        "Of the matmuls.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "history",
        None,
        f"Training history for the report's curve. Default: {HISTORY_NAME} "
        "in the first --model's folder, where there is one.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Judges the models and writes what was found."""
    # Imported here so that --help does not wait for it.
    from labse.evaluation import results
    from labse.evaluation.report import report

    task = _task(flag_values)
    models = flag_values.model
    if len(set(models)) != len(models):
        raise InputError(f"--model names one twice: {', '.join(models)}.")
    if len(models) > report.MAX_MODELS:
        raise InputError(
            f"At most {report.MAX_MODELS} models fit in one report. Received: "
            f"{len(models)}."
        )
    history = _read_history(models[0], flag_values.history)
    out = _make_folder(flag_values.out)
    # Of pairs it may be a glob.
    if flag_values.task != "pairs" and not Path(flag_values.data).exists():
        raise InputError(f"--data must be there. Received: {flag_values.data}.")
    reports = {}
    judged = {
        model: task(_encode_fn(model, flag_values, reports), flag_values.data)
        for model in models
    }
    results.write_metrics(out / "metrics.json", flag_values.data, judged)
    report.write(out / "report.html", judged, flag_values.data, history)
    for model, result in judged.items():
        print(model)
        print(results.summary(result))
        if model in reports:
            print(reports[model]())
    print(f"Wrote {out / 'metrics.json'} and {out / 'report.html'}.")


def _task(flag_values: flags.FlagValues):
    """The task as a function (encode_fn, data) -> TaskResult."""
    name = flag_values.task
    if name.startswith(PYTHON):
        return import_function(name, "--task")
    if name not in TASKS:
        raise InputError(
            f"--task must be one of {', '.join(TASKS)}, or {PYTHON}"
            f"module.function. Received: {name}."
        )
    options = {
        "tatoeba": {"languages": flag_values.languages},
        "n_way": {
            "languages": flag_values.languages,
            "pivot": flag_values.pivot,
            "pools": _pools(flag_values.pool),
            "file_set": flag_values.file_set,
        },
        "pairs": {
            "languages": flag_values.languages,
            "min_pairs": flag_values.min_pairs,
            "options": file_flags.options(flag_values),
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


def _encode_fn(model: str, flag_values: flags.FlagValues, reports: dict):
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

        encoder, fingerprint = Encoder(model, flag_values.precision)()
        folder = flag_values.cache or Path(flag_values.out) / "embeddings"
        count = TruncationCount()
        if encoder.tells_truncation:
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
