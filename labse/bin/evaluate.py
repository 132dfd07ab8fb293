"""Judges a model: how often is the nearest sentence the translation?

  labse evaluate --model=RUN --task=pairs --data=heldout.tsv --out=RUN
  labse evaluate --model=RUN --task=tatoeba --data=tatoeba/v1 --out=DIR

--task=pairs takes a TSV of held-out pairs (source, target, source_language,
target_language), --task=tatoeba LASER's folder of test files. Writes
metrics.json (every number) and report.html (the same for the eye, with
examples and, where the model is a run folder, the training curve) to --out,
and prints the averages.
"""

from pathlib import Path

from absl import flags

from labse.bin import program
from labse.errors import InputError

TASKS = ("tatoeba", "pairs")
HISTORY_NAME = "history.jsonl"


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of this program on `flag_values`."""
    flags.DEFINE_string(
        "model",
        None,
        "Run folder, export folder, SavedModel folder or TF Hub handle.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_enum(
        "task",
        None,
        TASKS,
        "What to judge the model on.",
        flag_values=flag_values,
        required=True,
    )
    flags.DEFINE_string(
        "data",
        None,
        "tatoeba: folder with tatoeba.xxx-eng.xxx and tatoeba.xxx-eng.eng. "
        "pairs: a .tsv or .tsv.gz of held-out pairs.",
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
    flags.DEFINE_list(
        "languages",
        [],
        "Judge only these, as the data names them. Default: all.",
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
        "in the --model folder, where there is one.",
        flag_values=flag_values,
    )


def main(flag_values: flags.FlagValues) -> None:
    """Judges the model and writes what was found."""
    # Imported here so that --help does not wait for it.
    from labse.evaluation import report, results

    history = _read_history(flag_values.model, flag_values.history)
    out = _make_folder(flag_values.out)
    _check_data(flag_values.data)
    result = _judge(flag_values)
    results.write_metrics(
        out / "metrics.json",
        result.metrics(flag_values.model, flag_values.data),
    )
    report.write(
        out / "report.html",
        result,
        flag_values.model,
        flag_values.data,
        history,
    )
    print(results.summary(result))
    print(f"Wrote {out / 'metrics.json'} and {out / 'report.html'}.")


def _judge(flag_values: flags.FlagValues):
    from labse.evaluation import pairs, tatoeba

    def encode_fn(texts):
        # A task asks once, after it has read its data: a mistake in a file is
        # told before TensorFlow and the model have been loaded.
        import labse

        model = labse.load(flag_values.model, flag_values.precision)
        return model.encode(texts, show_progress_bar=True)

    if flag_values.task == tatoeba.TASK:
        return tatoeba.evaluate(
            encode_fn, flag_values.data, flag_values.languages
        )
    return pairs.evaluate(
        encode_fn,
        flag_values.data,
        flag_values.languages,
        flag_values.min_pairs,
    )


def _read_history(model: str, history: str | None) -> list[dict]:
    from labse.evaluation import report

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


def _check_data(path: str) -> None:
    if not Path(path).exists():
        raise InputError(f"--data must be there. Received: {path}.")


if __name__ == "__main__":
    program.main(__name__)
