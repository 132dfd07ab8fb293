"""Opens models of the TensorFlow world from their files alone.

TensorFlow 1's BERT checkpoints, Model Garden's encoders and pre-trainers,
SavedModels of the google/LaBSE/2 kind and our own exports. No graph is loaded
and no code of the model's author runs.
"""

import glob
import os
import pathlib
import re
from collections.abc import Iterable

from labse.checkpoints import (
    bert_config,
    head_weights,
    pooler,
    stored_model,
    wrapped_names,
)
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.checkpoints.vocabulary import table_fit
from labse.checkpoints.vocabulary.vocab_txt import read_vocabulary
from labse.checkpoints.weights import WORD_EMBEDDINGS, match_weights
from labse.configs import loading
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.errors import InputError
from labse.formats import (
    json_file,
    model_file,
    saved_model_graph,
    tensor_bundle,
)
from labse.formats.stored_tensor import StoredTensor
from labse.preprocessing.vocabulary import Vocabulary

EXPORT_RECORD = "export.json"
EXPORTED = ("text", "encode")  # Folders of an export that hold weights.
_PART_OF_CHECKPOINT = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
_VARIABLES = pathlib.Path("variables", "variables")

# What training leaves in a checkpoint beside the encoder.
_EXPECTED_1 = (
    r"cls/.*",
    r"global_step",
    r".*/(adam|lamb)_[mv]",
    r".*/(Adam|LAMB|AdamWeightDecayOptimizer)(_\d+)?",
)
_EXPECTED_2 = (
    r"(.*/)?cls/predictions/.*",
    r"(.*/)?next_sentence/.*",
    # Model Garden's converter calls TensorFlow 1's next-sentence head so.
    r"predictions/transform/logits/.*",
)
# Keys of TensorFlow 2's checkpoints that are not weights; their variables are
# merely called "Variable".
_COUNTERS = re.compile(r"(save_counter|global_step|do_lower_case)(/|$)")

# Where TF Hub's preprocessors truncate: https://tfhub.dev/google/LaBSE/2
_HUB_MAX_LENGTH = 128


def open_saved_model(path: str, options: ModelOptions) -> StoredModel:
    """Opens a SavedModel of an encoder, such as google/LaBSE/2.

    Raises:
      InputError: it does not hold BERT's weights and a vocabulary, or
        something is recorded nowhere.
    """
    folder = pathlib.Path(path).absolute()
    if folder.name in EXPORTED and is_export(str(folder.parent)):
        # The SavedModel alone does not say how it pools.
        return open_export(str(folder.parent), options)
    graph = saved_model_graph.read_graph(folder)
    prefix = pathlib.Path(path) / _VARIABLES
    variables = tensor_bundle.read_variables(prefix)
    found = _by_name(variables)
    recorded = _encoder_from_shapes(found, path)
    flag = next(
        (
            tensor
            for key, tensor in variables.values()
            if key.startswith("do_lower_case/")
        ),
        None,
    )
    if flag is not None:
        recorded["tokenizer.lower_case"] = bool(flag.read())
    if graph.activation is not None:
        recorded["encoder.activation"] = graph.activation
    assumed = {
        "encoder.activation": "gelu_tanh",  # Model Garden's.
        "tokenizer.max_length": min(
            _HUB_MAX_LENGTH, recorded["encoder.max_positions"]
        ),
    }
    if graph.is_keras_model and not graph.is_pretrainer:
        # As Model Garden exports it: "default" is the pooler's output.
        assumed["encoder.pooling"] = "cls_tanh"
    assets = sorted((pathlib.Path(path) / "assets").glob("*vocab*.txt"))
    return stored_tensors_model(
        "SavedModel of an encoder",
        path,
        prefix,
        found,
        ("name", _EXPECTED_2),
        recorded,
        assumed,
        options,
        assets,
    )


def is_export(path: str) -> bool:
    """Whether `path` is an export folder of ours."""
    return model_file.exists(pathlib.Path(path) / EXPORT_RECORD)


def open_export(path: str, options: ModelOptions) -> StoredModel:
    """Opens an export folder, whose record says everything.

    Raises:
      InputError: it is incomplete, or the record does not fit the weights.
    """
    folder = pathlib.Path(path)
    record = json_file.read_object(folder / EXPORT_RECORD)
    if not record.child("config").values:
        raise model_file.damaged(record.path, "has no config")
    try:
        config = loading.from_dict(record.child("config").values)
    except InputError as error:
        raise model_file.damaged(
            record.path,
            f"holds no valid configuration: {str(error).rstrip('.')}",
        ) from error
    prefix = folder / "encode" / _VARIABLES
    return stored_tensors_model(
        "export folder",
        path,
        prefix,
        _by_name(tensor_bundle.read_variables(prefix)),
        ("name", _EXPECTED_2),
        stored_model.config_values(config),
        {},
        options,
        sorted((folder / "encode" / "assets").glob("*vocab*.txt")),
        config,
    )


def checkpoint_prefix(path: str) -> str | None:
    """The checkpoint that `path` names: a prefix, or a folder with one.

    Raises:
      InputError: the folder holds several.
    """
    if model_file.exists(f"{path}.index") or _data_files(path):
        return path
    folder = pathlib.Path(path)
    found = {
        _PART_OF_CHECKPOINT.sub("", entry.name)
        for entry in (folder.iterdir() if os.path.isdir(path) else ())
        if _PART_OF_CHECKPOINT.search(entry.name)
    }
    if len(found) > 1:
        names = sorted(found)
        raise InputError(
            f"{path} holds several checkpoints: {', '.join(names)}. Name one, "
            f"e.g. {folder / names[-1]}."
        )
    return str(folder / found.pop()) if found else None


def _data_files(prefix: str) -> list[pathlib.Path]:
    path = pathlib.Path(prefix)
    return list(
        path.parent.glob(f"{glob.escape(path.name)}.data-?????-of-?????")
    )


def open_checkpoint(prefix: str, options: ModelOptions) -> StoredModel:
    """Opens a BERT checkpoint of TensorFlow 1 or Model Garden (TensorFlow 2).

    Beside it bert_config.json (TensorFlow 1 needs it) and vocab.txt are read.

    Raises:
      InputError: see `weights.match_weights` and `stored_model.resolve_config`.
    """
    folder = pathlib.Path(prefix).parent
    found = tensor_bundle.read_header(prefix)
    recorded, notes = {}, ()
    if model_file.exists(folder / bert_config.NAME):
        recorded = bert_config.read_bert_config(folder / bert_config.NAME)
    if any(f"/{name}".endswith(f"/{_TABLE_1}") for name in found):
        kind, naming = "TensorFlow 1 checkpoint", ("tensorflow_1", _EXPECTED_1)
        if not recorded:
            raise InputError(
                f"A checkpoint of TensorFlow 1 needs {bert_config.NAME} beside "
                f"it, which gives the number of heads. {folder} has none. Copy "
                "it from where the checkpoint comes from."
            )
        found, notes = _unwrap_1(found, prefix)
    else:
        kind, naming = "Model Garden checkpoint", ("name", _EXPECTED_2)
        found = _model_gardens(found, prefix)
        shapes = _encoder_from_shapes(found, prefix)
        bert_config.check_agreement(folder / bert_config.NAME, recorded, shapes)
        recorded |= shapes
    assumed = {
        "encoder.activation": "gelu_tanh",
        "tokenizer.max_length": recorded.get("encoder.max_positions", 512),
    }
    vocabularies = sorted(folder.glob("*vocab*.txt"))
    return stored_tensors_model(
        kind,
        prefix,
        pathlib.Path(prefix),
        found,
        naming,
        recorded,
        assumed,
        options,
        vocabularies,
        notes=notes,
    )


# TensorFlow 1's table of word embeddings, and its encoder's scope.
_TABLE_1 = "embeddings/word_embeddings"
_SCOPE_1 = "bert/"


def _unwrap_1(
    found: dict[str, StoredTensor], origin: str
) -> tuple[dict[str, StoredTensor], tuple[str, ...]]:
    """TensorFlow 1's weights in the scope `bert`; notes on another."""
    names, scope = wrapped_names.unwrap(
        {name: name for name in found}, _TABLE_1, "/", origin
    )
    if scope == _SCOPE_1:
        return found, ()
    inside = {
        names[name]: _SCOPE_1 * name.startswith(scope) + names[name]
        for name in found
    }
    return {inside[names[name]]: found[name] for name in found}, (
        f"names of weights: their prefix {scope!r} was read as {_SCOPE_1!r}",
    )


def _model_gardens(
    found: dict[str, StoredTensor], prefix: str
) -> dict[str, StoredTensor]:
    """Model Garden's weights, saved by their names or as objects."""
    names = {name: tensor_bundle.inner_name(name) for name in found}
    if WORD_EMBEDDINGS not in names.values():
        return _by_name(tensor_bundle.read_variables(prefix))
    inner = {names[name]: tensor for name, tensor in found.items()}
    if len(inner) < len(found):
        raise InputError(
            f"{prefix} holds two encoders: several weights are called "
            f"{WORD_EMBEDDINGS} or the like. Save one of them alone."
        )
    return inner


def stored_tensors_model(
    kind: str,
    path: str,
    prefix: pathlib.Path,
    found: dict[str, StoredTensor],
    naming: tuple[str, tuple[str, ...]],
    recorded: dict[str, object],
    assumed: dict[str, object],
    options: ModelOptions,
    vocabularies: list[pathlib.Path],
    base: Config | None = None,
    notes: tuple[str, ...] = (),
    files: tuple[pathlib.Path, ...] = (),
) -> StoredModel:
    """The model of a checkpoint's variables.

    `naming` is the naming and the expected other names of `match_weights`; the
    rest goes to `resolve_config`. `files` is what else the model was read from.

    Raises:
      InputError: they do not fit together, or something is recorded nowhere.
    """
    own = _own_vocabulary(path, vocabularies, options)
    vocabulary = table_fit.choose_vocabulary(own, options, path)
    file = vocabularies[0] if own is not None else options.vocabulary
    rows = recorded["encoder.vocab_size"]
    if base is None:
        notes += table_fit.fit_table(vocabulary, rows, file)
        recorded = recorded | {"encoder.vocab_size": len(vocabulary)}
    else:
        table_fit.check_vocabulary(vocabulary, rows, file)
    if "tokenizer.lower_case" not in recorded and vocabulary.has_capitals:
        recorded = recorded | {"tokenizer.lower_case": False}
    head = head_weights.find_head(
        found,
        naming[0],
        len(vocabulary),
        recorded["encoder.hidden_size"],
        rows,
    )
    assumed = assumed | {"tokenizer.ids": "hugging_face"}
    config, choices = stored_model.resolve_config(
        *(recorded, options, assumed, path, base, head),
        has_pooler=base is None or pooler.is_trained(base),
    )
    notes += choices + stored_model.head_notes(head, config)
    weights = match_weights(
        *(found, config.encoder, *naming, str(prefix)), table_rows=rows
    )
    left_out = len(found) - len(weights) - len(head.names)
    if left_out:
        notes += (f"left out: {left_out} variables beside the encoder",)
    if isinstance(base, PretrainingConfig):
        weights |= pooler.zeros(config.encoder)
    if base is None or config.encoder.uses_pooler:
        notes += pooler.notes(weights, config)
    return StoredModel(
        kind=kind,
        path=path,
        config=config,
        recorded=recorded,
        vocabulary=vocabulary,
        weights=weights,
        files=(*files, *vocabularies, pathlib.Path(f"{prefix}.index")),
        notes=notes,
        head=head.weights,
    )


def _own_vocabulary(
    path: str, found: list[pathlib.Path], options: ModelOptions
) -> Vocabulary | None:
    if len(found) == 1:
        return read_vocabulary(found[0])
    if found and options.vocabulary is None:
        names = ", ".join(each.name for each in found)
        raise InputError(
            f"{path} comes with several vocabularies: {names}. State the path "
            "of the right one."
        )
    return None


def _by_name(
    variables: dict[str, tuple[str, StoredTensor]],
) -> dict[str, StoredTensor]:
    return {
        name: tensor
        for name, (key, tensor) in variables.items()
        if not _COUNTERS.match(key)
    }


def number_of_blocks(names: Iterable[str]) -> int:
    """The number of transformer blocks that variables are of."""
    matches = map(re.compile(r"transformer/layer_(\d+)/").match, names)
    return len({match[1] for match in matches if match})


def _encoder_from_shapes(
    found: dict[str, StoredTensor], origin: str
) -> dict[str, object]:
    """The encoder's configuration, from the shapes of its variables."""
    shapes = {name: tensor.shape for name, tensor in found.items()}
    first = "transformer/layer_0/"
    try:
        vocab_size, hidden_size = shapes[WORD_EMBEDDINGS]
        max_positions, _ = shapes["position_embedding/embeddings"]
        type_vocab_size, _ = shapes["type_embeddings/embeddings"]
        _, num_heads, _ = shapes[f"{first}self_attention/query/kernel"]
        _, intermediate_size = shapes[f"{first}intermediate/kernel"]
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{origin} holds no BERT encoder by Model Garden's names, such as "
            f"{WORD_EMBEDDINGS} and {first}self_attention/query/kernel: "
            f"{error}. It holds {len(shapes)} variables, the first: "
            f"{', '.join(list(shapes)[:5]) or 'none'}."
        ) from error
    return {
        "encoder.vocab_size": vocab_size,
        "encoder.hidden_size": hidden_size,
        "encoder.num_layers": number_of_blocks(found),
        "encoder.num_heads": num_heads,
        "encoder.intermediate_size": intermediate_size,
        "encoder.max_positions": max_positions,
        "encoder.type_vocab_size": type_vocab_size,
    }
