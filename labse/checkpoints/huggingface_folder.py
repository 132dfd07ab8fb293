"""Writes a sentence-transformers folder, which is a Hugging Face one as well.

The files are those of https://huggingface.co/sentence-transformers/LaBSE, with
keys and class names that every version of sentence-transformers since 2.0
reads. BERT stands in the folder itself, so that `transformers.AutoModel` loads
it, too. Weights are copied a block of rows at a time.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import numpy as np
import tokenizers
from tokenizers import decoders, normalizers, pre_tokenizers, processors

from labse.checkpoints import (
    huggingface_source,
    huggingface_tokenizer,
    safetensors_file,
    sentence_transformers_modules,
)
from labse.checkpoints.model_source import ModelSource
from labse.checkpoints.new_folder import new_folder
from labse.checkpoints.weights import (
    POOLER,
    Weight,
    WeightName,
    Zeros,
    weight_names,
)
from labse.configs.schema import EncoderConfig, TokenizerConfig
from labse.errors import InputError
from labse.modeling.transformer_encoder import LAYER_NORM_EPSILON
from labse.preprocessing.vocabulary import (
    BERT_MAX_CHARACTERS_PER_WORD,
    CLS,
    MASK,
    PAD,
    SEP,
    SPECIAL_PIECES,
    UNK,
    Vocabulary,
)

# Names that every version of transformers knows.
_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}
# So many bytes a character of UTF-8 has at most.
_BYTES_PER_CHARACTER = 4
_DENSE_NAMES = dict(zip(("linear.weight", "linear.bias"), POOLER, strict=True))
_SPECIAL_TOKENS = {
    "cls_token": CLS,
    "mask_token": MASK,
    "pad_token": PAD,
    "sep_token": SEP,
    "unk_token": UNK,
}


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


def write(source: ModelSource, out: str) -> None:
    """Writes the folder; it appears under its name when it is complete.

    Args:
      source: the model.
      out: a folder that does not exist yet, or is empty.

    Raises:
      InputError: `out` holds something, or the encoder or the tokenizer
        cannot be had there.
    """
    _check_encoder(source)
    _check_tokenizer(source)
    with new_folder(out) as folder:
        _write_bert(source, folder)
        _write_tokenizer(source, folder)
        _write_modules(source, folder)
        (folder / "README.md").write_text(_model_card(source), "utf-8")


def _check_encoder(source: ModelSource) -> None:
    """Raises where the folder's modules would give other vectors."""
    encoder = source.config.encoder
    if encoder.pooling == "mean_tanh":
        raise InputError(
            f"{source.path} has the pooling mean_tanh. A Hugging Face folder "
            "is written for a BERT pooled by cls, cls_tanh or mean. Convert "
            "it to a run (--to=labse), or export it."
        )


def _check_tokenizer(source: ModelSource) -> None:
    """Raises where Hugging Face's tokenizer would give other ids."""
    config = source.config.tokenizer
    if config.ids != "hugging_face":
        raise InputError(
            f"{source.path} has the ids of TF Hub's preprocessor "
            f"(tokenizer.ids {config.ids}), which a Hugging Face folder "
            "cannot express. Convert it with ids=hugging_face, or to a run."
        )
    least = BERT_MAX_CHARACTERS_PER_WORD * _BYTES_PER_CHARACTER
    if config.max_bytes_per_word < least:
        raise InputError(
            f"{source.path} makes words of more than "
            f"{config.max_bytes_per_word} bytes [UNK] "
            "(tokenizer.max_bytes_per_word), Hugging Face's tokenizer those "
            f"of more than {BERT_MAX_CHARACTERS_PER_WORD} characters. Only a "
            f"limit of at least {least} can be expressed there."
        )


def _write_bert(source: ModelSource, folder: pathlib.Path) -> None:
    encoder = source.config.encoder
    config = _bert_config(encoder, source.vocabulary)
    _write_json(folder / huggingface_source.CONFIG, config)
    weights = {
        row.hugging_face: _TorchWeight(source.weights[row.name], row)
        for row in weight_names(encoder)
        # Not there before: not there after.
        if not isinstance(source.weights[row.name], Zeros)
    }
    safetensors_file.write(folder / safetensors_file.SINGLE, weights)


def _bert_config(encoder: EncoderConfig, vocabulary: Vocabulary) -> dict:
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": encoder.attention_dropout,
        "hidden_act": _ACTIVATIONS[encoder.activation],
        "hidden_dropout_prob": encoder.dropout,
        "hidden_size": encoder.hidden_size,
        "initializer_range": encoder.initializer_range,
        "intermediate_size": encoder.intermediate_size,
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "max_position_embeddings": encoder.max_positions,
        "model_type": "bert",
        "num_attention_heads": encoder.num_heads,
        "num_hidden_layers": encoder.num_layers,
        "pad_token_id": vocabulary.pad_id,
        "position_embedding_type": "absolute",
        # `dtype` since transformers 4.56, which still reads this.
        "torch_dtype": "float32",
        "type_vocab_size": encoder.type_vocab_size,
        "use_cache": True,
        "vocab_size": encoder.vocab_size,
    }


def _write_tokenizer(source: ModelSource, folder: pathlib.Path) -> None:
    config, names = source.config.tokenizer, huggingface_tokenizer
    lines = "".join(f"{piece}\n" for piece in source.vocabulary.pieces)
    # As bytes: a text file would get other ends of line on Windows.
    (folder / names.VOCABULARY).write_bytes(lines.encode())
    fast = _fast_tokenizer(source.vocabulary, config)
    fast.save(str(folder / names.TOKENIZER), pretty=False)
    _write_json(
        folder / names.CONFIG,
        {
            **_SPECIAL_TOKENS,
            "do_lower_case": config.lower_case,
            "model_max_length": config.max_length,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": "BertTokenizer",
        },
    )
    _write_json(folder / names.SPECIAL_TOKENS, _SPECIAL_TOKENS)


def _fast_tokenizer(
    vocabulary: Vocabulary, config: TokenizerConfig
) -> tokenizers.Tokenizer:
    """BERT's tokenizer, as transformers sets it up."""
    ids = {piece: number for number, piece in enumerate(vocabulary.pieces)}
    fast = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            ids,
            unk_token=UNK,
            max_input_chars_per_word=BERT_MAX_CHARACTERS_PER_WORD,
        )
    )
    fast.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=None,  # As lower case is.
        lowercase=config.lower_case,
    )
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary.cls_id), (SEP, vocabulary.sep_id)],
    )
    fast.decoder = decoders.WordPiece(prefix="##")
    fast.add_special_tokens(list(SPECIAL_PIECES))
    return fast


def _write_modules(source: ModelSource, folder: pathlib.Path) -> None:
    encoder = source.config.encoder
    size, pooling = encoder.hidden_size, encoder.pooling
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    if pooling == "cls_tanh":
        modules.append(("Dense", "2_Dense"))
    modules.append(("Normalize", f"{len(modules)}_Normalize"))
    names = sentence_transformers_modules
    _write_json(
        folder / names.MODULES,
        [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, (kind, path) in enumerate(modules)
        ],
    )
    for _, path in modules:
        (folder / path).mkdir(exist_ok=True)
    _write_json(
        folder / names.TRANSFORMER_SETTINGS,
        {
            "max_seq_length": source.config.tokenizer.max_length,
            "do_lower_case": False,  # The tokenizer sees to it.
        },
    )
    _write_json(
        folder / names.SETTINGS,
        {
            "default_prompt_name": None,
            "prompts": {},
            "similarity_fn_name": "cosine",
        },
    )
    _write_json(
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
        _write_dense(source, folder / "2_Dense")


def _write_dense(source: ModelSource, folder: pathlib.Path) -> None:
    """BERT's pooler once more, as the module that is used."""
    size = source.config.encoder.hidden_size
    _write_json(
        folder / "config.json",
        {
            "in_features": size,
            "out_features": size,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
    )
    rows = {row.name: row for row in weight_names(source.config.encoder)}
    weights = {
        name: _TorchWeight(source.weights[ours], rows[ours])
        for name, ours in _DENSE_NAMES.items()
    }
    safetensors_file.write(folder / safetensors_file.SINGLE, weights)


def _model_card(source: ModelSource) -> str:
    encoder, tokenizer = source.config.encoder, source.config.tokenizer
    kind = "uncased" if tokenizer.lower_case else "cased"
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- sentence-similarity
- labse
---

# Sentence encoder

Sentences to unit vectors of {encoder.hidden_size} numbers. BERT with \
{encoder.num_layers} blocks, {encoder.num_heads} heads and {kind} WordPiece \
of {encoder.vocab_size:,} pieces; pooling {encoder.pooling}; at most \
{tokenizer.max_length} tokens.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
vectors = model.encode(["hello", "bonjour"])
```

Written by `labse convert`.
"""


def _write_json(path: pathlib.Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", "utf-8")
