"""Tensors in several files of one folder, by an index as Hugging Face's.

The index is JSON: `weight_map` gives each tensor's file. Its format is one for
`model.safetensors.index.json` and `pytorch_model.bin.index.json`.
https://huggingface.co/docs/transformers/big_models#sharded-checkpoints
"""

import pathlib
from collections.abc import Callable

from labse.errors import InputError
from labse.formats import json_file, model_file
from labse.formats.model_file import shown
from labse.formats.stored_tensor import Tensor

_MAX_INDEX_BYTES = 100_000_000  # The safetensors library's limit of a header.


def read_shards(
    index: pathlib.Path, read: Callable[[pathlib.Path], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors of all files that an index names.

    Args:
      index: the index.
      read: finds the tensors of one file by name.

    Raises:
      InputError: a file is invalid, or index and shards disagree.
    """
    shard_of = _read_index(index)
    tensors = {}
    for shard in sorted(set(shard_of.values())):
        found = read(index.parent / shard)
        named = {name for name, where in shard_of.items() if where == shard}
        for name in sorted(named ^ found.keys()):
            raise model_file.damaged(
                index,
                f"and {index.parent / shard} disagree: only "
                f"{'the index' if name in named else 'the shard'} has the "
                f"tensor {shown(name)}. Both must be of one model",
            )
        tensors.update(found)
    return tensors


def _read_index(path: pathlib.Path) -> dict[str, str]:
    """Tensor -> shard."""
    index = json_file.read_json(path, _MAX_INDEX_BYTES)
    shard_of = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shard_of, dict) or not shard_of:
        raise model_file.damaged(
            path, "must have a weight_map of tensors to files"
        )
    for name, shard in shard_of.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise InputError(
                f"{path}: the tensor {shown(name)} lies in "
                f"{shown(shard)}. A shard must be a file of the same "
                "folder, named without a path. Do not use this model."
            )
    return shard_of


def _is_plain_name(name: str) -> bool:
    """Whether the name stays in its folder, on every system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")
