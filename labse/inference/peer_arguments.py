"""Keyword arguments of sentence-transformers' and MTEB's `encode`.

The values that describe what labse does anyway are accepted, so that code
written for these libraries runs unchanged. Any other value is refused, with
what to do instead.
"""

import numpy as np
import tensorflow as tf

from labse.errors import InputError

# https://github.com/embeddings-benchmark/mteb, EncoderProtocol.encode: its
# arguments about the task. No vector depends on them.
MTEB = ("task_metadata", "hf_split", "hf_subset", "prompt_type")

_TO_TENSOR = (
    "The result is a NumPy array: torch.from_numpy(vectors) or "
    "tf.constant(vectors) makes it a tensor"
)
_PROMPT = "Put it before each sentence: encode([prompt + s for s in sentences])"
_PROCESSES = (
    "For several processes load the model in each (docs/web_service.md)"
)
# The values that are accepted, and what to do instead of the others.
_PEER = {
    "normalize_embeddings": (
        (True, None),
        "Vectors have length 1. Before normalisation they are "
        "`pooled_output` of an export's encode/",
    ),
    "convert_to_numpy": ((True, None), _TO_TENSOR),
    "convert_to_tensor": ((False, None), _TO_TENSOR),
    "output_value": (
        ("sentence_embedding",),
        "Vectors of pieces are `sequence_output` of an export's encode/",
    ),
    "precision": (
        ("float32", None),
        "Vectors are float32; quantize them afterwards, such as "
        "vectors.astype(numpy.float16). Matmuls in bfloat16: "
        'labse.load(path, "bfloat16")',
    ),
    "prompt": ((None, ""), _PROMPT),
    "prompt_name": ((None,), f"Models here have no prompts. {_PROMPT}"),
    "pool": ((None,), _PROCESSES),
    "chunk_size": ((None,), f"It belongs to pool. {_PROCESSES}"),
}


def check_arguments(arguments: dict[str, object], dimension: int) -> None:
    """Checks the arguments of `encode` that are not its own.

    Raises:
      InputError: an argument is unknown, or its value is not supported.
    """
    for name, value in arguments.items():
        if name in MTEB:
            continue
        if name == "device":
            _check_device(value)
            continue
        if name == "truncate_dim":
            accepted = (None, dimension)
            remedy = (
                "Shorten the vectors: v = vectors[:, :n], then v / "
                "numpy.linalg.norm(v, axis=1, keepdims=True)"
            )
        elif name in _PEER:
            accepted, remedy = _PEER[name]
        else:
            raise InputError(
                "encode takes sentences, batch_size, show_progress_bar and "
                f"on_truncation. Received: {name}."
            )
        if not any(_is(value, one) for one in accepted):
            raise InputError(
                f"encode supports {name}={accepted[0]!r} only. Received: "
                f"{value!r}. {remedy}."
            )


def check_batch_size(batch_size) -> None:
    """Raises `InputError` unless it is a number of sentences, or None."""
    if batch_size is None:
        return
    is_number = isinstance(batch_size, int | np.integer)
    if isinstance(batch_size, bool) or not is_number or batch_size < 1:
        raise InputError(
            "batch_size must be a whole number, at least 1, or None. "
            f"Received: {batch_size!r}."
        )


def _is(value, one) -> bool:
    """Equal in value and type (1 is not True); NumPy's scalars by value."""
    if isinstance(value, np.generic):
        value = value.item()
    return type(value) is type(one) and value == one


def _check_device(device) -> None:
    """Accepts the kind of device that TensorFlow uses in this process."""
    used = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    name = str(device).lower().lstrip("/").removeprefix("device:")
    kind = name.partition(":")[0].replace("cuda", "gpu")
    if device is not None and kind != used:
        raise InputError(
            "encode runs on TensorFlow's device: a GPU if it sees one, else "
            f"the CPU. Received: device={device!r}, and here it is the "
            f"{used.upper()}. Leave device out. To hide the GPUs, start the "
            'process with CUDA_VISIBLE_DEVICES="" in its environment.'
        )
