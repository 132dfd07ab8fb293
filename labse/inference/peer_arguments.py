"""Keyword arguments of sentence-transformers' and MTEB's `encode`.

Those that ask for what is done anyway are taken, so that code written for
these runs as it is. Any other value is refused, with what to do instead.
"""

import numpy as np
import tensorflow as tf

from labse.errors import InputError

# https://github.com/embeddings-benchmark/mteb, EncoderProtocol.encode: what
# it says about its task. No vector depends on it.
MTEB = ("task_metadata", "hf_split", "hf_subset", "prompt_type")

# The values that are taken, and what to do instead of the others.
_PEER = {
    "normalize_embeddings": (
        (True, None),
        "Vectors have length 1. Those before are `pooled_output` of an "
        "export's encode/",
    ),
    "convert_to_numpy": (
        (True, None),
        "The result is a NumPy array: torch.from_numpy(vectors) or "
        "tf.constant(vectors) makes it a tensor",
    ),
    "convert_to_tensor": (
        (False, None),
        "The result is a NumPy array: torch.from_numpy(vectors) or "
        "tf.constant(vectors) makes it a tensor",
    ),
    "output_value": (
        ("sentence_embedding",),
        "Vectors of the pieces are `sequence_output` of an export's encode/",
    ),
    "precision": (
        ("float32", None),
        "Vectors are float32; quantize them afterwards, such as "
        "vectors.astype(numpy.float16). Matmuls in bfloat16: "
        'labse.load(path, "bfloat16")',
    ),
    "prompt": (
        (None, ""),
        "Put it before each sentence: encode([prompt + s for s in sentences])",
    ),
    "prompt_name": (
        (None,),
        "A model has no prompts. Put yours before each sentence: "
        "encode([prompt + s for s in sentences])",
    ),
    "pool": (
        (None,),
        "For several processes load the model in each (docs/web_service.md)",
    ),
    "chunk_size": (
        (None,),
        "It belongs to pool. For several processes load the model in each "
        "(docs/web_service.md)",
    ),
}


def check(arguments: dict[str, object], dimension: int) -> None:
    """Checks what `encode` received beside its own arguments.

    Raises:
      InputError: an argument is unknown, or asks for something else than is
        done.
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
                "Cut the vectors: v = vectors[:, :n], then v / "
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
                f"encode takes {name}={accepted[0]!r}, which is what it does. "
                f"Received: {value!r}. {remedy}."
            )


def check_batch_size(batch_size) -> None:
    """Raises InputError unless it is a number of sentences, or None."""
    if batch_size is None:
        return
    is_number = isinstance(batch_size, int | np.integer)
    if isinstance(batch_size, bool) or not is_number or batch_size < 1:
        raise InputError(
            "batch_size must be a whole number, at least 1, or None. "
            f"Received: {batch_size!r}."
        )


def _is(value, one) -> bool:
    """Equal, and not only as 1 and True are; NumPy's scalars by value."""
    if isinstance(value, np.generic):
        value = value.item()
    return type(value) is type(one) and value == one


def _check_device(device) -> None:
    """Takes the kind of device that TensorFlow uses in this process."""
    used = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    asked = str(device).lower().lstrip("/").removeprefix("device:")
    kind = asked.partition(":")[0].replace("cuda", "gpu")
    if device is not None and kind != used:
        raise InputError(
            "encode runs where TensorFlow does: on a GPU that it sees, else "
            f"on the CPU. Received: device={device!r}, and here it is the "
            f"{used.upper()}. Leave device out. Environment "
            'CUDA_VISIBLE_DEVICES="" at the start hides the GPUs.'
        )
