"""The model card, `README.md`: what is known about the run, nothing else.

The text is that of `model_card.md.j2`.
"""

import json
import pathlib

import jinja2

from export import layout
from labse.checkpoints import run_folder
from labse.configs.schema import ExperimentConfig
from labse.modeling.sentence_encoder import SentenceEncoder

METRICS = "metrics.json"
HISTORY = "history.jsonl"

_POOLINGS = {
    "cls": "the last block's [CLS]",
    "cls_tanh": "BERT's tanh pooler over the last block's [CLS]",
    "mean": "the mean of the last block's states",
    "mean_tanh": "BERT's tanh pooler over the mean of the last block's states",
}

_TOKENIZERS = {
    "hugging_face": "Hugging Face's BERT tokenizer",
    "tensorflow_hub": (
        "TF Hub's preprocessors (`tensorflow_text.BertTokenizer`)"
    ),
}


def render_card(
    run: pathlib.Path,
    checkpoint: str,
    config: ExperimentConfig,
    encoder: SentenceEncoder,
) -> str:
    """The card as Markdown.

    Args:
      run: the run folder. The averages of its `metrics.json` and
        `history.jsonl` are quoted if they exist; a `source.json` means that
        its weights were not trained there.
      checkpoint: the one that was exported.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("export.card", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = _number
    environment.filters["commas"] = "{:,}".format
    origin, trained = _origin(run, checkpoint)
    sizes = {v.name: v.shape.num_elements() for v in encoder.variables}
    pooling = _POOLINGS[config.encoder.pooling]
    if not config.encoder.num_layers:
        pooling = pooling.replace("last block's states", "pieces' embeddings")
    metrics = _read_metrics(run)
    return environment.get_template("model_card.md.j2").render(
        name=run.name,
        origin=origin,
        trained=trained,
        config=config,
        num_parameters=sum(sizes.values()),
        table_size=sizes["word_embeddings/embeddings:0"],
        pooling=pooling,
        tokenizer=_TOKENIZERS[config.tokenizer.ids],
        metrics=metrics,
        averages=_averages(metrics, run.name),
        validation=_last_validation(run),
        layout=layout,
    )


def _origin(run: pathlib.Path, checkpoint: str) -> tuple[str, bool]:
    """Where the weights come from, and whether a training run is known.

    A run folder of `labse convert`, `prune-vocab` or `grow-vocab` has a
    `source.json`. The training in its configuration never took place, unless
    the original model comes from a training run.
    """
    path = run / run_folder.SOURCE_RECORD
    if not path.is_file():
        return (
            f"The weights are\nthose of the training run `{run.name}`, "
            f"checkpoint\n`{checkpoint}`, exported in float32."
        ), True
    source = json.loads(path.read_text(encoding="utf-8"))
    # Records of older versions do not name the run that trained the weights.
    trained_by = source.get("trained_by")
    lines = [
        f"The weights were made from `{source['path']}` "
        f"({source['made_from']}) and exported in float32."
    ]
    if trained_by:
        lines.append(
            f"They were trained by the run `{trained_by['run']}`, checkpoint "
            f"`{trained_by['checkpoint']}`."
        )
    lines += [f"{note[0].upper()}{note[1:]}." for note in source["notes"]]
    return "\n".join(lines), bool(trained_by)


def _read_metrics(run: pathlib.Path) -> dict:
    if not (run / METRICS).is_file():
        return {}
    return json.loads((run / METRICS).read_text(encoding="utf-8"))


def _averages(metrics: dict, name: str) -> dict[str, dict]:
    """The averages of the model `name`; the file may have other models too."""
    return {
        group: average
        for model in metrics.get("models", ())
        if pathlib.PurePath(model["model"]).name == name
        for group, average in model["averages"].items()
    }


def _last_validation(run: pathlib.Path) -> dict:
    if not (run / HISTORY).is_file():
        return {}
    lines = (run / HISTORY).read_text(encoding="utf-8").splitlines()
    for record in map(json.loads, reversed(lines)):
        if "validation" in record:
            return {"step": record["step"], **record["validation"]}
    return {}


def _number(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
