"""Tensors of a PyTorch file (`pytorch_model.bin`), loaded by PyTorch itself.

A pickle can call any Python function. `torch.load(weights_only=True)` runs
none but those that make tensors, and maps the file, so that only what is used
takes memory. The few checks that it does not make are made here.
"""

import collections
import pathlib
import re
import zipfile
from types import ModuleType

import ml_dtypes
import numpy as np

from labse.errors import InputError
from labse.formats import model_file
from labse.formats.model_file import shown
from labse.formats.stored_tensor import MappedTensor

_ZIP = b"PK\x03\x04"  # Since PyTorch 1.6; before, a pickle and raw numbers.
TO_SAFETENSORS = (
    'python -c "import torch; from safetensors.torch import save_file; '
    "w = torch.load('pytorch_model.bin', weights_only=True); "
    "save_file({k: v.clone().contiguous() for k, v in w.items()}, "
    "'model.safetensors')\""
)


def load_state_dict(path: pathlib.Path) -> dict[str, MappedTensor]:
    """The tensors of a state dict by name, mapped where the file allows it.

    Raises:
      InputError: PyTorch is not installed, the file is damaged, or it holds
        anything but a flat state dict.
    """
    _, head = model_file.read_head(path)
    torch = _import_torch(path)
    is_zip = head.startswith(_ZIP)
    entries = _checked_entries(path) if is_zip else None
    try:
        loaded = torch.load(path, "cpu", weights_only=True, mmap=is_zip)
    except Exception as error:
        # For a damaged file PyTorch raises whatever its parts raise.
        refused = re.search(r"GLOBAL ([^\s`]+)", str(error))
        if refused:
            raise InputError(
                f"{path} refers to {shown(refused[1])}, which no state dict "
                "needs. Nothing in the file was run. Save model.state_dict() "
                "alone, or use the model's model.safetensors."
            ) from error
        raise _invalid(path, f"PyTorch raised {type(error).__name__}") from (
            error
        )
    _check_state_dict(path, loaded, torch)
    tensors = {
        name: MappedTensor(path, _array(path, name, tensor, torch))
        for name, tensor in loaded.items()
    }
    if entries is not None:
        _check_storages(path, loaded, entries)
    return tensors


def _import_torch(path: pathlib.Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} can only be read with PyTorch, which is not installed. "
            "Use the model's model.safetensors instead: most models on Hugging "
            "Face's hub have one (hf download NAME model.safetensors; if main "
            "has none, with --revision=refs/pr/N of the pull request that adds "
            "it). Or make it on a machine that has PyTorch: "
            f"{TO_SAFETENSORS}. Or install PyTorch: pip install torch."
        ) from error
    return torch


def _invalid(path: pathlib.Path, reason: str) -> InputError:
    return model_file.damaged(path, f"is not a valid PyTorch file: {reason}")


def _checked_entries(path: pathlib.Path) -> list[zipfile.ZipInfo]:
    """The archive's entries; PyTorch does not compare their checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise InputError(
                        f"{path}: the entry {shown(entry.filename)} is "
                        "compressed, which torch.save does not do. Give the "
                        "file as torch.save wrote it."
                    )
            if len({entry.filename for entry in entries}) < len(entries):
                raise _invalid(path, "two entries have one name")
            for entry in entries:
                if entry.CRC:  # torch.save can leave the checksums out.
                    with archive.open(entry) as file:
                        while file.read(2**20):
                            pass
            return entries
    except InputError:
        raise
    except Exception as error:  # As above.
        raise _invalid(
            path, f"its zip archive is damaged or truncated ({error})"
        ) from error


def _check_state_dict(path: pathlib.Path, loaded, torch) -> None:
    """Raises `InputError` unless `loaded` maps names to tensors."""
    if not isinstance(loaded, dict):
        raise InputError(
            f"{path} must hold a state dict, a mapping of names to tensors. "
            f"It holds a {type(loaded).__name__}. Save model.state_dict() "
            "instead."
        )
    for name, value in loaded.items():
        if isinstance(value, dict):
            raise InputError(
                f"{path} must hold a flat state dict. It holds a dictionary "
                f"under {shown(name)}. If that is the model's, save it alone "
                f"in PyTorch: torch.save(torch.load(path)[{shown(name)}], "
                "'pytorch_model.bin')."
            )
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(
                f"{path} must hold a flat state dict, names and tensors only. "
                f"It holds a {type(value).__name__} under {shown(name)}. Save "
                "model.state_dict() alone."
            )


def _check_storages(
    path: pathlib.Path, loaded: dict, entries: list[zipfile.ZipInfo]
) -> None:
    """Each storage must have an entry of its size.

    PyTorch does not check it: what it maps could end in the next entry.
    """
    sizes = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in loaded.values()
        if tensor.numel()
    }
    there = collections.Counter(entry.file_size for entry in entries)
    missing = collections.Counter(sizes.values()) - there
    if missing:
        raise _invalid(
            path, f"no entry has the {max(missing):,} bytes that a tensor needs"
        )


def _array(path: pathlib.Path, name: str, tensor, torch) -> np.ndarray:
    """A read-only view of a tensor's numbers."""
    tensor = tensor.detach()
    try:
        if tensor.dtype == torch.bfloat16:  # NumPy has none of its own.
            array = tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        else:
            array = tensor.numpy()
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"{path}: the tensor {shown(name)} is {tensor.layout} of "
            f"{tensor.dtype}, which NumPy does not have. Save a dense tensor "
            "of an ordinary type instead."
        ) from error
    array.flags.writeable = False
    return array
