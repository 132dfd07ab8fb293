"""What a sentence-transformers folder computes: `modules.json` and its modules.

Each module is a Python class. Supported are those of the published LaBSE,
Transformer, Pooling, Dense (BERT's pooler, moved out of BERT) and Normalize;
and StaticEmbedding (`static_embedding.py`). No class is ever imported.
https://huggingface.co/sentence-transformers/LaBSE
"""

import dataclasses
import pathlib
import re

from labse.errors import InputError
from labse.formats import (
    json_file,
    model_file,
    pytorch_file,
    safetensors_file,
    shards,
)
from labse.formats.json_file import JsonObject
from labse.formats.model_file import shown
from labse.formats.stored_tensor import Tensor

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TRANSFORMER_SETTINGS = "sentence_bert_config.json"
PYTORCH_WEIGHTS = "pytorch_model.bin"
PYTORCH_INDEX = "pytorch_model.bin.index.json"
STATIC_EMBEDDING = "StaticEmbedding"
_SUPPORTED = (
    "Supported are Transformer, Pooling (cls or mean), after cls a Dense of "
    "the hidden size with tanh, and Normalize, in this order, or "
    "StaticEmbedding and Normalize"
)
# Older configurations have a flag for each mode instead of `pooling_mode`.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
MODULE_FOLDER = re.compile(r"\d+_(Pooling|Dense|Normalize|StaticEmbedding)")
_TANH = "torch.nn.modules.activation.Tanh"
_EMBEDDING = "sentence_embedding"
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}


@dataclasses.dataclass(frozen=True)
class Modules:
    """What the modules around a BERT say.

    Attributes:
      transformer: the folder of BERT.
      pooling: one of `schema.POOLINGS`.
      pooler: the Dense's `weight` and `bias`, if there is one.
      max_length: maximum tokens of a sentence, if recorded.
      lower_case: whether texts are lower-cased before the tokenizer.
      notes: for the user.
      files: that were read.
    """

    transformer: pathlib.Path
    pooling: str
    pooler: dict[str, Tensor]
    max_length: int | None
    lower_case: bool
    notes: tuple[str, ...]
    files: tuple[pathlib.Path, ...]


def is_sentence_transformers_folder(folder: pathlib.Path) -> bool:
    """Whether sentence-transformers wrote the folder."""
    return model_file.exists(folder / MODULES)


def check_not_lost(folder: pathlib.Path) -> None:
    """Raises `InputError` where only the list of the modules is missing.

    Read as a plain BERT, the folder would be pooled differently.
    """
    left = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name == SETTINGS or MODULE_FOLDER.fullmatch(entry.name)
    )
    if left:
        kind = "a sentence-transformers folder"
        raise model_file.lost(folder / MODULES, kind, shown(left))


def read_modules(
    folder: pathlib.Path, paths: dict[str, pathlib.Path]
) -> Modules:
    """Reads the modules around a BERT; their folders are `module_paths`'.

    Raises:
      InputError: a file is missing or invalid, or the folder computes
        something that our encoder cannot.
    """
    notes = check_whole(folder, paths)
    settings = _read_transformer_settings(paths["Transformer"])
    files = [folder / MODULES, settings.path]
    pooling = _read_pooling(paths["Pooling"])
    files.append(paths["Pooling"] / "config.json")
    pooler = {}
    if "Dense" in paths:
        if pooling != "cls":
            raise InputError(
                f"{folder / MODULES} has a Dense after {pooling} pooling, "
                f"which {files[-1]} says. {_SUPPORTED}. Fetch both files again "
                "if this is not what the model's page says."
            )
        pooling, pooler = "cls_tanh", _read_dense(paths["Dense"])
        files.append(paths["Dense"] / "config.json")
        files += sorted({tensor.path for tensor in pooler.values()})
    return Modules(
        transformer=paths["Transformer"],
        pooling=pooling,
        pooler=pooler,
        max_length=settings.integer("max_seq_length", None, least=3),
        lower_case=bool(settings.flag("do_lower_case")),
        notes=notes,
        files=tuple(file for file in files if file.is_file()),
    )


def module_paths(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Reads `modules.json`: class name -> folder.

    Raises:
      InputError: it is invalid, or its modules are not supported.
    """
    path = folder / MODULES
    modules = json_file.read_json(path)
    if not isinstance(modules, list) or not all(
        isinstance(module, dict) for module in modules
    ):
        raise model_file.damaged(path, "must hold a list of objects")
    paths = {}
    for number, values in enumerate(modules):
        module = JsonObject(path, values, f"[{number}].")
        module.must_be("kwargs")
        name, place = module.text("type"), module.text("path")
        package, _, kind = name.rpartition(".")
        if package.split(".")[0] != "sentence_transformers":
            raise InputError(
                f"{path} names the class {shown(name)}, which is code of the "
                f"model's author. It was not run. {_SUPPORTED}."
            )
        parts = pathlib.PurePosixPath(place.replace("\\", "/")).parts
        if place.startswith("/") or ".." in parts or set(place) & set(":\0"):
            raise InputError(
                f"{path}: the path {shown(place)} must stay in the folder. "
                "Do not use this model."
            )
        paths.setdefault(kind, folder.joinpath(*parts))
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    dense, normalize = (
        [kind] * (kind in kinds) for kind in ("Dense", "Normalize")
    )
    if kinds not in (
        ["Transformer", "Pooling", *dense, *normalize],
        [STATIC_EMBEDDING, *normalize],
    ):
        raise InputError(
            f"{path} has the modules {shown(kinds)}. {_SUPPORTED}."
        )
    return paths


def check_whole(
    folder: pathlib.Path, paths: dict[str, pathlib.Path]
) -> tuple[str, ...]:
    """Checks settings around the modules; returns notes.

    Raises:
      InputError: texts would be changed before the modules, or vectors after
        them.
    """
    notes = list(_check_settings(folder))
    if "Normalize" in paths:
        path = paths["Normalize"] / "config.json"
        _check_names(json_file.read_optional_object(path))
    else:
        notes.append(
            "the folder has no Normalize: our vectors have length 1 and the "
            "directions of its own"
        )
    return tuple(notes)


def _check_settings(folder: pathlib.Path):
    """Yields notes; raises where texts would be changed before the model."""
    settings = json_file.read_optional_object(folder / SETTINGS)
    settings.must_be("model_type", "SentenceTransformer")
    settings.must_lack("default_prompt_name", "truncate_dim")
    prompts = settings.child("prompts").values
    used = sorted(name for name, prompt in prompts.items() if prompt)
    if used:
        yield (
            f"the folder has the prompts {shown(used)}, which are not put "
            "before texts here: write them yourself where you want them"
        )


def _read_transformer_settings(folder: pathlib.Path) -> JsonObject:
    """`sentence_bert_config.json`: nothing in it may change the vectors."""
    settings = json_file.read_optional_object(folder / TRANSFORMER_SETTINGS)
    harmless = ("max_seq_length", "do_lower_case", "unpad_inputs")
    only = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": _TEXT},
        "module_output_name": "token_embeddings",
    }
    unsupported = (
        *("processing_kwargs", "query_length", "document_length"),
        *("query_expansion", "tokenizer_name_or_path"),
        *("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs"),
        *("config_args", "config_kwargs"),
    )
    settings.must_have_no_others(*harmless, *only, *unsupported)
    settings.must_hold(**only)
    settings.must_lack(*unsupported)
    return settings


def _read_pooling(folder: pathlib.Path) -> str:
    """The pooling: cls or mean."""
    config = json_file.read_object(folder / "config.json")
    config.must_have_no_others(
        *("embedding_dimension", "word_embedding_dimension", "pooling_mode"),
        *("include_prompt", *_FLAGS),
    )
    modes = config.values.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _FLAGS.items() if config.flag(key)]
        modes = modes or ["mean"]  # Its default.
    modes = [modes] if isinstance(modes, str) else modes
    if modes not in (["cls"], ["mean"]):
        raise InputError(
            f"{config.path} has the pooling {shown(modes)}. {_SUPPORTED}."
        )
    return modes[0]


def _read_dense(folder: pathlib.Path) -> dict[str, Tensor]:
    """The layer's `weight` and `bias`; shapes are checked later."""
    config = json_file.read_object(folder / "config.json")
    config.must_have_no_others(
        *("in_features", "out_features", "bias", "activation_function"),
        *("module_input_name", "module_output_name", "use_residual"),
    )
    config.must_hold(bias=True, activation_function=_TANH, use_residual=False)
    _check_names(config)
    if config.integer("in_features") != config.integer("out_features"):
        raise config.wrong(
            "out_features", "in_features: no other Dense is supported"
        )
    names = {"linear.weight": "weight", "linear.bias": "bias"}
    found = find_weights(folder)
    if found.keys() != names.keys():
        raise InputError(
            f"{folder} must hold the weights {', '.join(names)}. Received: "
            f"{shown(sorted(found))}."
        )
    return {names[name]: tensor for name, tensor in found.items()}


def find_weights(folder: pathlib.Path) -> dict[str, Tensor]:
    """The tensors of a folder, in safetensors or PyTorch's format, by name.

    Raises:
      InputError: there are none, or a file is invalid.
    """
    names = (safetensors_file.SINGLE, safetensors_file.INDEX)
    if any(model_file.exists(folder / name) for name in names):
        return safetensors_file.read_sharded_header(folder)
    if model_file.exists(folder / PYTORCH_WEIGHTS):
        return pytorch_file.load_state_dict(folder / PYTORCH_WEIGHTS)
    if model_file.exists(folder / PYTORCH_INDEX):
        return shards.read_shards(
            folder / PYTORCH_INDEX, pytorch_file.load_state_dict
        )
    entries = sorted(entry.name for entry in folder.iterdir())
    raise InputError(
        f"{folder} has no weights: none of {', '.join(names)}, "
        f"{PYTORCH_WEIGHTS} and {PYTORCH_INDEX}. Its files: "
        f"{', '.join(map(repr, entries[:20]))}. Fetch what is missing. "
        "TensorFlow's and Flax's weights are not supported: save them with "
        "transformers as safetensors. "
        f"{model_file.refetch_hint(folder)}".rstrip()
    )


def _check_names(config: JsonObject) -> None:
    config.must_hold(
        module_input_name=_EMBEDDING, module_output_name=_EMBEDDING
    )
