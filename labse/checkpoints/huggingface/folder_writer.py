"""Writes a sentence-transformers folder, also a Hugging Face BERT folder.

The files are those of https://huggingface.co/sentence-transformers/LaBSE, with
keys and class names that every version of sentence-transformers since 2.0
reads. BERT is in the folder itself, so that `transformers.AutoModel` loads it.
An encoder without blocks is the library's StaticEmbedding (since 3.2).
A pre-trainer is a BertForMaskedLM: BERT, its head and the tokenizer.
Weights are copied a block of rows at a time.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from labse.checkpoints.bert_config import PROBABILITIES, SIZES
from labse.checkpoints.head_weights import head_names
from labse.checkpoints.huggingface import (
    folder_reader,
    model_cards,
    modules_json,
    static_embedding,
    tokenizer_writer,
)
from labse.checkpoints.huggingface.modules_json import STATIC_EMBEDDING
from labse.checkpoints.stored_model import StoredModel
from labse.checkpoints.weights import (
    POOLER,
    WORD_EMBEDDINGS,
    Weight,
    WeightName,
    Zeros,
    weight_names,
)
from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.files.atomic_write import atomic_folder
from labse.formats import json_file, safetensors_file
from labse.modeling.transformer_block import LAYER_NORM_EPSILON
from labse.preprocessing.vocabulary import Vocabulary

# Names that every version of transformers knows.
_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}
_DENSE_NAMES = dict(zip(("linear.weight", "linear.bias"), POOLER, strict=True))


@dataclasses.dataclass(frozen=True)
class _TorchWeight:
    """One of our weights in the layout of `transformers`."""

    weight: Weight | Zeros
    row: WeightName

    @property
    def shape(self) -> tuple[int, ...]:
        return self.row.hugging_face_shape

    def row_blocks(self) -> Iterator[np.ndarray]:
        if self.shape == self.row.shape and not self.row.is_kernel:
            yield from self.weight.row_blocks()
            return
        value = self.weight.read().reshape(self.row.matrix_shape)
        yield value.T if self.row.is_kernel else value


def write_folder(model: StoredModel, out: str) -> None:
    """Writes the folder of a sentence encoder or a pre-trainer atomically.

    Raises:
      InputError: `out` is not empty, or such a folder cannot express the
        encoder or the tokenizer.
    """
    _check_encoder(model)
    tokenizer_writer.check_tokenizer(model)
    with atomic_folder(out) as folder:
        if model.is_pretrainer:
            _write_bert(model, folder)
            tokenizer_writer.write_tokenizer(model, folder)
        elif model.config.encoder.num_layers:
            _write_bert(model, folder)
            tokenizer_writer.write_tokenizer(model, folder)
            _write_modules(_write_pooling(model, folder), folder)
        else:
            _write_modules(_write_static_embedding(model, folder), folder)
        card = model_cards.model_card(model)
        (folder / "README.md").write_text(card, "utf-8")


def _check_encoder(model: StoredModel) -> None:
    """Raises where the folder's modules would give other vectors."""
    encoder = model.config.encoder
    if encoder.pooling == "mean_tanh" and not model.is_pretrainer:
        raise InputError(
            f"{model.path} has the pooling mean_tanh. A Hugging Face folder "
            "is written for a BERT pooled by cls, cls_tanh or mean and for an "
            "averaging network pooled by mean. Convert it to a run, or export "
            "it."
        )


def _write_bert(model: StoredModel, folder: pathlib.Path) -> None:
    encoder = model.config.encoder
    architecture, prefix, rows = "BertModel", "", []
    if model.is_pretrainer:
        # Inside that model, BERT's names have a prefix.
        architecture, prefix = "BertForMaskedLM", "bert."
        rows = head_names(encoder.vocab_size, encoder.hidden_size)
    config = _bert_config(encoder, model.vocabulary, architecture)
    json_file.write_json(folder / folder_reader.CONFIG, config)
    weights = {
        prefix + row.hugging_face: _TorchWeight(model.weights[row.name], row)
        for row in weight_names(encoder)
        # What the model did not have is not written.
        if not isinstance(model.weights[row.name], Zeros)
        # A BertForMaskedLM has no pooler.
        and not (model.is_pretrainer and row.name in POOLER)
    } | {
        row.hugging_face: _TorchWeight(model.head[row.name], row)
        for row in rows
    }
    safetensors_file.write_tensors(folder / safetensors_file.SINGLE, weights)


def _bert_config(
    encoder: EncoderConfig, vocabulary: Vocabulary, architecture: str
) -> dict:
    values = {
        theirs: getattr(encoder, ours.removeprefix("encoder."))
        for theirs, ours in (SIZES | PROBABILITIES).items()
    }
    values |= {
        "architectures": [architecture],
        "hidden_act": _ACTIVATIONS[encoder.activation],
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "model_type": "bert",
        "pad_token_id": vocabulary.pad_id,
        "position_embedding_type": "absolute",
        # `dtype` since transformers 4.56, which still reads this.
        "torch_dtype": "float32",
        "use_cache": True,
    }
    return dict(sorted(values.items()))


def _write_pooling(
    model: StoredModel, folder: pathlib.Path
) -> list[tuple[str, str]]:
    """What comes after BERT; returns all modules."""
    encoder = model.config.encoder
    size, pooling = encoder.hidden_size, encoder.pooling
    json_file.write_json(
        folder / modules_json.TRANSFORMER_SETTINGS,
        {
            "max_seq_length": model.config.tokenizer.max_length,
            "do_lower_case": False,  # The tokenizer sees to it.
        },
    )
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    (folder / "1_Pooling").mkdir()
    json_file.write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": size,
            "pooling_mode_cls_token": pooling != "mean",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    if pooling == "cls_tanh":
        modules.append(("Dense", "2_Dense"))
        _write_dense(model, folder / "2_Dense")
    return modules


def _write_static_embedding(
    model: StoredModel, folder: pathlib.Path
) -> list[tuple[str, str]]:
    """The table and its tokenizer; returns the one module."""
    # Not in the folder itself, where old versions expect a Transformer.
    place = f"0_{STATIC_EMBEDDING}"
    (folder / place).mkdir()
    safetensors_file.write_tensors(
        folder / place / safetensors_file.SINGLE,
        {static_embedding.WEIGHT: model.weights[WORD_EMBEDDINGS]},
    )
    tokenizer_writer.write_standalone_tokenizer(model, folder / place)
    return [(STATIC_EMBEDDING, place)]


def _write_modules(
    modules: list[tuple[str, str]], folder: pathlib.Path
) -> None:
    """Lists the modules, (class, folder) each, and Normalize after them."""
    last = f"{len(modules)}_Normalize"
    (folder / last).mkdir()
    names = modules_json
    json_file.write_json(
        folder / names.MODULES,
        [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, (kind, path) in enumerate(
                [*modules, ("Normalize", last)]
            )
        ],
    )
    json_file.write_json(
        folder / names.SETTINGS,
        {
            "default_prompt_name": None,
            "prompts": {},
            "similarity_fn_name": "cosine",
        },
    )


def _write_dense(model: StoredModel, folder: pathlib.Path) -> None:
    """BERT's pooler again, as the module that sentence-transformers uses."""
    size = model.config.encoder.hidden_size
    folder.mkdir()
    json_file.write_json(
        folder / "config.json",
        {
            "in_features": size,
            "out_features": size,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
    )
    rows = {row.name: row for row in weight_names(model.config.encoder)}
    weights = {
        name: _TorchWeight(model.weights[ours], rows[ours])
        for name, ours in _DENSE_NAMES.items()
    }
    safetensors_file.write_tensors(folder / safetensors_file.SINGLE, weights)
