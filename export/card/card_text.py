"""The text of the model card; `model_card` fills in what is known."""

TRAINED = """\
Sentence embeddings for many languages: trained so that a sentence and its
translation get nearly the same unit vector of {dim} numbers, which is the
objective of LaBSE (Feng et al., ACL 2022,
https://aclanthology.org/2022.acl-long.62). {origin}"""

UNKNOWN_TRAINING = """\
Sentence embeddings: a unit vector of {dim} numbers for each text. {origin} How
they were trained is not recorded here: see the card of the original model."""

TRAINED_USE = """\
Finding translations of a sentence in a large collection, deciding whether two
sentences are translations of each other, search and classification across
languages, and fine-tuning."""

UNKNOWN_USE = """\
That of the original model: its own card names the languages and tasks it was
made for."""

CARD = """\
# {name}

{summary}

| | |
|---|---|
{facts}

## Figures

{figures}

## Intended use

{use}
The similarity of two sentences is the dot product of their vectors.

## Limits

- Texts are truncated at {max_length} tokens ([CLS] and [SEP] included); the
  output `truncated` of `text`'s signature `serving_default` says which ones.
- Quality differs between languages and domains; measure it on your own data
  (`labse evaluate`) before you rely on a threshold.
- Similar does not mean true: vectors of contradictory sentences can be close.
  The model reproduces biases of its training texts.

## Use

The three folders are TensorFlow SavedModels. `text` and `preprocess` hold
operations of `tensorflow_text`: import it before you load them. `DIR` is this
folder.

### In a Keras 2 model

```python
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401
import tf_keras

embed = tf_keras.Sequential(
    [hub.KerasLayer("DIR/text", input_shape=[], dtype=tf.string)]
)
vectors = embed(tf.constant(["dog", "Hund"]))  # [2, {dim}], of length 1
```

To fine-tune, put the preprocessor before the encoder, as for google/LaBSE/2:

```python
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401
import tf_keras

texts = tf_keras.Input([], dtype=tf.string)
inputs = hub.KerasLayer("DIR/preprocess")(texts)
outputs = hub.KerasLayer("DIR/encode", trainable=True)(inputs)
classes = tf_keras.layers.Dense(2)(outputs["default"])
model = tf_keras.Model(texts, classes)
model.compile(
    tf_keras.optimizers.Adam(2e-5),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(tf.constant(["good", "bad"]), tf.constant([1, 0]))
```

### In a Keras 3 model

As fixed features; fine-tuning needs Keras 2.

```python
import keras
import tensorflow as tf
import tensorflow_text  # noqa: F401

texts = keras.Input([], dtype="string")
embed = keras.layers.TFSMLayer(
    "DIR/text", call_endpoint="serving_default", trainable=False
)
classes = keras.layers.Dense(2)(embed(texts)["embedding"])
model = keras.Model(texts, classes)
model.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(tf.constant(["good", "bad"]), tf.constant([1, 0]))
```

### In Python

```python
import labse

model = labse.load("DIR")
vectors = model.encode(["hello", "bonjour"])
```

Without this package:

```python
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401

vectors = hub.load("DIR/text")(tf.constant(["hello", "bonjour"]))
```

### With TensorFlow Serving

```sh
docker run -p 8501:8501 -e MODEL_NAME=labse \\
  -v "$PWD/DIR/text:/models/labse/1" tensorflow/serving:2.20.0
curl http://localhost:8501/v1/models/labse:predict \\
  -d '{{"inputs": {{"text": ["hello", "bonjour"]}}}}'
```

The response has `embedding`, `num_tokens` and `truncated`. Let a server batch
strings: they need no padding. If it batches ids for `encode`, it pads the
shorter rows; `encode` masks padding that is [PAD] (0 in most vocabularies) or
the row's first token, [CLS], whatever `input_mask` holds there.
`{operations}` lists the operations that any other server must have.

## What is in the folder

- `{text}`: strings to vectors. Signatures `serving_default`, `preprocess`,
  `encode`.
- `{preprocess}`: strings to `input_word_ids`, `input_mask`, `input_type_ids`;
  TF Hub's preprocessor API.
- `{encode}`: model inputs to `default` (the unit vector), `pooled_output` (the
  same before normalisation), `sequence_output` and `encoder_outputs`; TF Hub's
  transformer encoder API.
- `{golden}`, `{vectors}`: sentences with the ids and vectors that the exported
  run itself gives them. `labse verify DIR` compares the models with them.
- `{record}`: the configuration, and the SHA-256 of every file and variable.
"""
