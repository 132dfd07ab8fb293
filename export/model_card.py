"""The model card, `README.md`: written from the run, nothing invented."""

import json
import pathlib

from export import layout
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

_CARD = """\
# {name}

Sentence embeddings for many languages: a sentence and its translation get
nearly the same unit vector of {dim} numbers. The architecture and the training
objective are those of LaBSE (Feng et al., ACL 2022,
https://aclanthology.org/2022.acl-long.62); the weights are those of the
training run `{run}`, checkpoint `{checkpoint}`, exported in float32.

| | |
|---|---|
{facts}

## Figures

{figures}

## Intended use

Finding translations of a sentence in a large collection, judging whether two
sentences are translations of each other, search and classification across
languages, and as the start of fine-tuning. The similarity of two sentences is
the dot product of their vectors.

## Limits

- Texts are cut at {max_length} tokens ([CLS] and [SEP] included); the
  signature `serving_default` of `text` says of each text whether it was.
- It compares meaning across languages as its training pairs taught it. Quality
  differs between languages and domains; measure it on your own data
  (`labse evaluate`) before you rely on a threshold.
- Similar is not true: vectors of contradicting sentences can be close. The
  model repeats biases of the texts it was trained on.

## Use

The three folders are TensorFlow SavedModels. `text` and `preprocess` hold
operations of `tensorflow_text`: import it before you load them.

### In a Keras model

```python
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401
import tf_keras

embed = tf_keras.Sequential(
    [hub.KerasLayer("{folder}/text", input_shape=[], dtype=tf.string)]
)
vectors = embed(tf.constant(["dog", "Hund"]))  # [2, {dim}], of length 1
```

To fine-tune, put the preprocessor before the encoder, as for google/LaBSE/2:

```python
texts = tf_keras.Input([], dtype=tf.string)
inputs = hub.KerasLayer("{folder}/preprocess")(texts)
outputs = hub.KerasLayer("{folder}/encode", trainable=True)(inputs)
classes = tf_keras.layers.Dense(2)(outputs["default"])
model = tf_keras.Model(texts, classes)
```

With Keras 3: `keras.layers.TFSMLayer("{folder}/text",
call_endpoint="serving_default")`.

### In Python

```python
import labse

model = labse.load("{folder}")
vectors = model.encode(["hello", "bonjour"])
```

Without this package: `hub.load("{folder}/text")(tf.constant(["hello"]))`.

### With TensorFlow Serving

```sh
docker run -p 8501:8501 -e MODEL_NAME=labse \\
  -v "$PWD/{folder}/text:/models/labse/1" tensorflow/serving:2.20.0
curl http://localhost:8501/v1/models/labse:predict \\
  -d '{{"inputs": {{"text": ["hello", "bonjour"]}}}}'
```

The answer holds `embedding`, `num_tokens` and `truncated`. `{operations}` lists
the operations that any other server must have.

## What is in the folder

- `{text}`: strings to vectors. Signatures `serving_default`, `preprocess`,
  `encode`.
- `{preprocess}`: strings to `input_word_ids`, `input_mask`, `input_type_ids`;
  TF Hub's preprocessor API.
- `{encode}`: model inputs to `default` (the unit vector), `pooled_output` (the
  same before normalisation), `sequence_output` and `encoder_outputs`; TF Hub's
  transformer encoder API.
- `{golden}`, `{vectors}`: sentences with the ids and vectors that the
  training run itself gives them. `labse verify {folder}` compares.
- `{record}`: the configuration, and the SHA-256 of every file and variable.
"""


def render(
    run: pathlib.Path,
    checkpoint: str,
    config: ExperimentConfig,
    encoder: SentenceEncoder,
) -> str:
    """The card as Markdown.

    Args:
      run: the run folder; its `metrics.json` and `validation.jsonl` are
        quoted where they exist.
      checkpoint: which checkpoint was exported.
      config: the run's configuration.
      encoder: the run's encoder.
    """
    facts = _facts(config, encoder)
    return _CARD.format(
        name=run.name,
        run=run.name,
        checkpoint=checkpoint,
        dim=config.encoder.hidden_size,
        max_length=config.tokenizer.max_length,
        facts="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        figures=_figures(run),
        folder="DIR",
        operations=layout.OPERATIONS,
        text=layout.TEXT,
        preprocess=layout.PREPROCESS,
        encode=layout.ENCODE,
        golden=layout.GOLDEN_SENTENCES,
        vectors=layout.GOLDEN_VECTORS,
        record=layout.RECORD,
    )


def _facts(config: ExperimentConfig, encoder: SentenceEncoder) -> dict:
    shape, training = config.encoder, config.training
    casing = "uncased" if config.tokenizer.lower_case else "cased"
    sizes = {v.name: v.shape.num_elements() for v in encoder.variables}
    table = sizes["word_embeddings/embeddings:0"]
    total = sum(sizes.values())
    return {
        "parameters": f"{total:,} ({table:,} of them word embeddings)",
        "encoder": (
            f"{shape.num_layers} blocks, hidden size {shape.hidden_size}, "
            f"{shape.num_heads} heads, intermediate size "
            f"{shape.intermediate_size}"
            if shape.num_layers
            else f"no block: a deep averaging network of {shape.hidden_size}"
        ),
        "vocabulary": f"{shape.vocab_size:,} {casing} WordPiece pieces",
        "ids": f"those of {_IDS[config.tokenizer.ids]}",
        "sentence embedding": f"{_pooling(shape)}, l2-normalised",
        "longest text": f"{config.tokenizer.max_length} tokens",
        "loss": (
            f"additive-margin softmax, scale {config.loss.logit_scale:g}, "
            f"margin {config.loss.margin:g}"
        ),
        "training, as configured": (
            f"{training.num_steps:,} steps, global batch size "
            f"{training.global_batch_size:,}, learning rate "
            f"{training.learning_rate:g}, {training.precision}, texts of at "
            f"most {config.training_length} tokens"
        ),
    }


def _pooling(shape: EncoderConfig) -> str:
    text = _POOLINGS[shape.pooling]
    if not shape.num_layers:
        text = text.replace("last block's states", "pieces' embeddings")
    return f"{text} (`{shape.pooling}`)"


def _figures(run: pathlib.Path) -> str:
    """What the run itself measured: evaluation and the last validation."""
    parts = []
    if (run / METRICS).is_file():
        metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
        # Of each language there is a row in the file itself.
        values = {k: v for k, v in metrics.items() if k != "languages"}
        parts.append(_table(f"From the run's `{METRICS}`:", values))
    if (run / HISTORY).is_file():
        lines = (run / HISTORY).read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        validations = [r for r in records if "validation" in r]
        if validations:
            last = validations[-1]
            figures = {"step": last["step"], **last["validation"]}
            figures.pop("languages", None)
            parts.append(_table("The run's last validation:", figures))
    return "\n\n".join(parts) or "The run recorded none."


def _table(title: str, values: dict) -> str:
    rows = "\n".join(
        f"| {key} | {_number(value)} |" for key, value in _flat("", values)
    )
    return f"{title}\n\n| | |\n|---|---|\n{rows}"


def _flat(prefix: str, value) -> list[tuple[str, object]]:
    """Nested dicts as `outer.inner` keys."""
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [
        row
        for key, inner in value.items()
        for row in _flat(f"{prefix}.{key}" if prefix else key, inner)
    ]


def _number(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
