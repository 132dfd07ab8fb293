"""Opens Hugging Face's BERT folders and sentence-transformers folders.

Files are read as data: code in a folder is never run, and of
`pytorch_model.bin` PyTorch loads nothing but weights.
https://huggingface.co/docs/transformers/model_doc/bert
"""

import pathlib
import re

from labse.checkpoints import (
    head_weights,
    pooler,
    stored_model,
    wrapped_names,
)
from labse.checkpoints.bert_config import PROBABILITIES, SIZES
from labse.checkpoints.head_weights import FoundHead
from labse.checkpoints.huggingface import (
    modules_json,
    static_embedding,
    tokenizer_reader,
)
from labse.checkpoints.huggingface.modules_json import STATIC_EMBEDDING, Modules
from labse.checkpoints.huggingface.tokenizer_reader import Tokenizer
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.checkpoints.vocabulary import table_fit
from labse.checkpoints.weights import POOLER, match_weights
from labse.configs.loading import Config
from labse.errors import InputError
from labse.formats import json_file, model_file
from labse.formats.json_file import JsonObject
from labse.formats.model_file import shown
from labse.formats.stored_tensor import Tensor
from labse.modeling.transformer_block import LAYER_NORM_EPSILON

CONFIG = "config.json"
_ADAPTER = "adapter_config.json"
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
# Of `transformers`, for what config.json leaves out.
_DEFAULTS = {
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
}
_DENSE = {"weight": "pooler.dense.weight", "bias": "pooler.dense.bias"}
_POSITION_IDS = "embeddings.position_ids"  # A constant; old folders have it.
_HEADS = r"cls\..*"  # Pre-training's.
_TABLE = "embeddings.word_embeddings.weight"
_PREFIX = "bert."  # Of the encoder in a model with heads: not worth a note.
# Names of conversions made before 2020.
_OLD_NAMES = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
}


def is_huggingface_folder(path: str) -> bool:
    """Whether `path` looks like a BERT or sentence-transformers folder."""
    folder = pathlib.Path(path)
    return model_file.exists(
        folder / CONFIG
    ) or modules_json.is_sentence_transformers_folder(folder)


def open_folder(path: str, options: ModelOptions) -> StoredModel:
    """Opens a BERT folder or a sentence-transformers folder.

    A BERT folder does not record its pooling; the options must, unless it has
    a masked-LM head.

    Raises:
      InputError: a file is missing or invalid, or says something that our
        encoder or tokenizer cannot do, or something is recorded nowhere.
    """
    folder, modules = pathlib.Path(path), None
    if modules_json.is_sentence_transformers_folder(folder):
        paths = modules_json.module_paths(folder)
        if STATIC_EMBEDDING in paths:
            return static_embedding.open_static_embedding(path, paths, options)
        modules = modules_json.read_modules(folder, paths)
    else:
        modules_json.check_not_lost(folder)
    bert = modules.transformer if modules else folder
    config = _read_config(bert)
    tokenizer = tokenizer_reader.read_tokenizer(
        bert, config, options.vocabulary
    )
    vocabulary = tokenizer.vocabulary
    table_fit.choose_vocabulary(vocabulary, options, path)
    recorded, notes = _recorded(config, tokenizer, modules)
    rows = config.integer("vocab_size")
    notes += table_fit.fit_table(vocabulary, rows, tokenizer.origin)
    found, name_notes = _read_names(bert)
    _check_layers(config, found)
    notes += name_notes + _take_dense(found, modules, config)
    head = head_weights.find_head(
        found,
        "hugging_face",
        len(vocabulary),
        config.integer("hidden_size"),
        rows,
        is_tied=config.flag("tie_word_embeddings") is not False,
    )
    resolved, choices = stored_model.resolve_config(
        *(recorded, options, {}, path),
        head=head,
        has_pooler=bool(set(_DENSE.values()) & found.keys()),
    )
    _check_casing(bert, resolved, modules)
    weights = match_weights(
        found,
        resolved.encoder,
        "hugging_face",
        (re.escape(_POSITION_IDS), _HEADS),
        path,
        optional=POOLER,
        table_rows=rows,
    )
    notes += _weight_notes(found, weights, head, resolved)
    files = [config.path, *tokenizer.files, *(modules.files if modules else ())]
    files += sorted({tensor.path for tensor in found.values()})
    kind = "sentence-transformers" if modules else "Hugging Face BERT"
    return StoredModel(
        kind=f"{kind} folder",
        path=path,
        config=resolved,
        recorded=recorded,
        vocabulary=vocabulary,
        weights=weights,
        files=tuple(dict.fromkeys(files)),
        notes=(*choices, *notes),
        head=head.weights,
    )


def _check_casing(
    bert: pathlib.Path, config: Config, modules: Modules | None
) -> None:
    """Raises `InputError` where the folder cannot give what is configured."""
    if modules and modules.lower_case and not config.tokenizer.lower_case:
        raise InputError(
            f"{bert} has a cased tokenizer and do_lower_case in "
            f"{modules_json.TRANSFORMER_SETTINGS}: lower case with accents "
            "kept, which is not supported."
        )


def _read_config(folder: pathlib.Path) -> JsonObject:
    """config.json; raises `InputError` unless it describes BERT."""
    config = json_file.read_object(folder / CONFIG)
    kind = config.text("model_type")
    if kind != "bert":
        raise InputError(
            f"{config.path} describes a model of the type {shown(kind)}. Only "
            "BERT (model_type bert) can be read."
        )
    if model_file.exists(folder / _ADAPTER):
        raise InputError(
            f"{folder / _ADAPTER}: the folder holds an adapter, which is "
            "not supported. Merge it into the model in PyTorch first "
            "(merge_and_unload), and save that."
        )
    config.must_lack("auto_map", "quantization_config", "pruned_heads")
    config.must_hold(
        is_decoder=False,
        add_cross_attention=False,
        is_encoder_decoder=False,
        position_embedding_type="absolute",
    )
    config.must_be("hidden_act", *ACTIVATIONS)
    if config.number("layer_norm_eps", LAYER_NORM_EPSILON) != (
        LAYER_NORM_EPSILON
    ):
        raise config.wrong("layer_norm_eps", f"{LAYER_NORM_EPSILON}, BERT's")
    if config.integer("num_hidden_layers", least=0) == 0:
        raise InputError(
            f"{config.path}: num_hidden_layers must be at least 1. Received: "
            "0. A BERT without blocks adds positions and types to its words "
            "and normalises them; an averaging network does not. Save the "
            "table of word embeddings alone, and train it again, as "
            f"sentence-transformers' {STATIC_EMBEDDING}."
        )
    heads = config.integer("num_attention_heads")
    if config.integer("hidden_size") % heads:
        raise config.wrong("hidden_size", f"a multiple of the {heads} heads")
    return config


def _recorded(
    config: JsonObject, tokenizer: Tokenizer, modules: Modules | None
) -> tuple[dict[str, object], tuple[str, ...]]:
    """What the files say as `section.key`, and notes."""
    positions = config.integer("max_position_embeddings", 512, least=3)
    config = JsonObject(config.path, _DEFAULTS | config.values)
    recorded = {
        **{ours: config.integer(key) for key, ours in SIZES.items()},
        **{
            ours: config.probability(key) for key, ours in PROBABILITIES.items()
        },
        "encoder.vocab_size": len(tokenizer.vocabulary),
        "encoder.activation": ACTIVATIONS[config.text("hidden_act", "gelu")],
        "tokenizer.ids": "hugging_face",
    }
    notes = tokenizer.notes + (modules.notes if modules else ())
    longest = modules.max_length if modules else None
    if longest is None and tokenizer.max_length is not None:
        # 1e30 means no limit.
        longest = max(3, int(min(tokenizer.max_length, positions)))
    if longest is not None and longest > positions:
        notes += (
            f"tokenizer.max_length: {positions}, the number of positions; "
            f"recorded is {longest}",
        )
    recorded["tokenizer.max_length"] = min(longest or positions, positions)
    if tokenizer.lower_case is not None:
        recorded["tokenizer.lower_case"] = tokenizer.lower_case
    if modules:
        recorded["encoder.pooling"] = modules.pooling
    return recorded, notes


def _read_names(
    folder: pathlib.Path,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Every tensor by BertModel's current names; notes on other names."""
    stored = modules_json.find_weights(folder)
    names, wrapped = {}, False
    for stored_name in stored:
        name = wrapped_names.without_torch_wrappers(stored_name)
        wrapped |= name != stored_name
        for old, new in _OLD_NAMES.items():
            name = name.replace(old, new)
        names[stored_name] = name
    names, prefix = wrapped_names.unwrap(names, _TABLE, ".", str(folder))
    notes = ()
    if wrapped or prefix not in ("", _PREFIX):
        first = next(name for name in names if names[name] == _TABLE)
        notes = (f"names of weights: {first} is read as {_TABLE}, and so on",)
    return {names[name]: tensor for name, tensor in stored.items()}, notes


def _take_dense(
    found: dict[str, Tensor], modules: Modules | None, config: JsonObject
) -> tuple[str, ...]:
    """Puts the Dense in the pooler's place; returns notes."""
    if not modules or not modules.pooler:
        return ()
    replaced = found.keys() & set(_DENSE.values())
    size = config.integer("hidden_size")
    for part, tensor in modules.pooler.items():
        if set(tensor.shape) != {size}:
            raise InputError(
                f"{tensor.path}: linear.{part} is {tensor.shape}. A Dense of "
                f"another size than the hidden size, {size}, is not supported."
            )
        found[_DENSE[part]] = tensor
    if not replaced:
        return ()
    return (
        "left out: BERT's own pooler, which the folder replaces by a Dense",
    )


def _check_layers(config: JsonObject, found: dict[str, Tensor]) -> None:
    """Checks the number of layers before a table of them is made."""
    layers = {
        match_[1]
        for match_ in map(re.compile(r"encoder\.layer\.(\d+)\.").match, found)
        if match_
    }
    if config.integer("num_hidden_layers") != len(layers):
        raise config.wrong(
            "num_hidden_layers", f"{len(layers)}, the number that have weights"
        )


def _weight_notes(
    found: dict[str, Tensor],
    weights: dict,
    head: FoundHead,
    config: Config,
) -> tuple[str, ...]:
    notes = []
    heads = [name for name in found if re.fullmatch(_HEADS, name)]
    heads = sorted(set(heads) - head.names)
    if heads:
        notes.append(f"left out: {', '.join(heads)}, the heads of pre-training")
    notes += stored_model.head_notes(head, config)
    notes += stored_model.stored_type_notes(weights)
    return (*notes, *pooler.notes(weights, config))
