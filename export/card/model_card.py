"""The model card, `README.md`: what is known about the run, nothing else."""

import json
import pathlib

from export import layout
from export.card import card_text
from labse.checkpoints import run_folder
from labse.configs.schema import EncoderConfig, ExperimentConfig
from labse.modeling.sentence_encoder import SentenceEncoder

METRICS = "metrics.json"
HISTORY = "history.jsonl"

_POOLINGS = {
    "cls": "the last block's [CLS]",
    "cls_tanh": "BERT's tanh pooler over the last block's [CLS]",
    "mean": "the mean of the last block's states",
    "mean_tanh": "BERT's tanh pooler over the mean of the last block's states",
}

_IDS = {
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
      config: the run's configuration.
      encoder: the run's encoder.
    """
    origin, trained = _origin(run, checkpoint)
    dim = config.encoder.hidden_size
    summary = card_text.TRAINED if trained else card_text.UNKNOWN_TRAINING
    facts = _facts(config, encoder)
    if trained:
        facts |= _training_facts(config)
    return card_text.CARD.format(
        name=run.name,
        summary=summary.format(dim=dim, origin=origin),
        use=card_text.TRAINED_USE if trained else card_text.UNKNOWN_USE,
        dim=dim,
        max_length=config.tokenizer.max_length,
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        figures=_figures(run),
        operations=layout.OPERATIONS,
        text=layout.TEXT,
        preprocess=layout.PREPROCESS,
        encode=layout.ENCODE,
        golden=layout.GOLDEN_SENTENCES,
        vectors=layout.GOLDEN_VECTORS,
        record=layout.RECORD,
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


def _facts(config: ExperimentConfig, encoder: SentenceEncoder) -> dict:
    shape = config.encoder
    casing = "uncased" if config.tokenizer.lower_case else "cased"
    sizes = {v.name: v.shape.num_elements() for v in encoder.variables}
    table = sizes["word_embeddings/embeddings:0"]
    total = sum(sizes.values())
    return {
        "parameters": f"{total:,} ({table:,} of them word embeddings)",
        "encoder": _blocks(shape),
        "vocabulary": f"{shape.vocab_size:,} {casing} WordPiece pieces",
        "ids": f"those of {_IDS[config.tokenizer.ids]}",
        "sentence embedding": f"{_pooling(shape)}, l2-normalised",
        "longest text": f"{config.tokenizer.max_length} tokens",
    }


def _blocks(shape: EncoderConfig) -> str:
    if not shape.num_layers:
        return f"no block: a deep averaging network of {shape.hidden_size}"
    blocks = (
        "1 block" if shape.num_layers == 1 else f"{shape.num_layers} blocks"
    )
    return (
        f"{blocks}, hidden size {shape.hidden_size}, {shape.num_heads} heads, "
        f"intermediate size {shape.intermediate_size}"
    )


def _training_facts(config: ExperimentConfig) -> dict:
    training = config.training
    return {
        "loss": (
            f"additive-margin softmax, scale {config.loss.logit_scale:g}, "
            f"margin {config.loss.margin:g}"
        ),
        "training, as configured": (
            f"{training.num_steps:,} steps, global batch size "
            f"{training.global_batch_size:,}, learning rate "
            f"{training.learning_rate:g}, {training.compute_dtype}, texts of "
            f"at most {config.training_length} tokens"
        ),
    }


def _pooling(shape: EncoderConfig) -> str:
    text = _POOLINGS[shape.pooling]
    if not shape.num_layers:
        text = text.replace("last block's states", "pieces' embeddings")
    return f"{text} (`{shape.pooling}`)"


def _figures(run: pathlib.Path) -> str:
    """The run's own figures: evaluation and the last validation."""
    parts = []
    if (run / METRICS).is_file():
        metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
        parts += _evaluation(metrics, run.name)
    if (run / HISTORY).is_file():
        lines = (run / HISTORY).read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        validations = [r for r in records if "validation" in r]
        if validations:
            last = validations[-1]
            figures = {"step": last["step"], **last["validation"]}
            rows = "\n".join(
                f"| {name} | {_number(value)} |"
                for name, value in figures.items()
                # Objects, such as the figures by language, are left out.
                if isinstance(value, int | float)
            )
            parts.append(
                f"The run's last validation:\n\n| | |\n|---|---|\n{rows}"
            )
    return "\n\n".join(parts) or "The run recorded none."


def _evaluation(metrics: dict, name: str) -> list[str]:
    """A table of the averages of the model `name` by `labse evaluate`.

    The file may have other models too, and has a row for each language.
    """
    averages = [
        (group, average)
        for model in metrics.get("models", ())
        if pathlib.PurePath(model["model"]).name == name
        for group, average in model["averages"].items()
    ]
    if not averages:
        return []
    rows = [
        f"| {group} ({average['num_rows']}) | {key} | "
        f"{_number(figure['value'])} | {_number(figure['low'])} to "
        f"{_number(figure['high'])} |"
        for group, average in averages
        for key, figure in average.items()
        if key != "num_rows"
    ]
    return [
        f"Averages of the task `{metrics['task']}` on `{metrics['data']}`,\n"
        f"from the run's `{METRICS}`, which has each row:\n\n"
        "| rows | figure | value | 95 % interval |\n|---|---|---|---|\n"
        + "\n".join(rows)
    ]


def _number(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
