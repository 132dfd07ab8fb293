"""The flag --model: anything that labse.load takes, or a Python function."""

import hashlib
import importlib
import inspect
import os
import sys

from labse.checkpoints.kinds import KINDS
from labse.errors import InputError

PYTHON = "python:"
# The help of flags that name a model.
MODEL_HELP = (
    f"The model: {KINDS}. Names on Hugging Face's hub are not downloaded: "
    "pass the folder."
)
MODEL_OR_FUNCTION_HELP = (
    f"{MODEL_HELP} Or {PYTHON}module.function: list of n strings -> float32 "
    "[n, dim]."
)


def import_function(name: str, flag: str):
    """The function that python:module.function names.

    Raises:
      InputError: it cannot be imported.
    """
    module, dot, function = name.removeprefix(PYTHON).rpartition(".")
    if not dot:
        raise InputError(
            f"{flag} has the form {PYTHON}module.function. Received: {name}."
        )
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # Whatever the user's module raises.
        raise InputError(
            f"{flag}={name} could not be imported: {error}. Modules are "
            "imported from the current folder and Python's path."
        ) from error
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise InputError(
            f"{flag}={name} must be a function. Received: {found!r:.80}."
        )
    return found


def counting(encode_fn, encoder, count):
    """An encode_fn that counts truncated texts.

    It also counts those whose vectors `encode_fn` takes from a cache.

    Args:
      encode_fn: the function to call.
      encoder: a `ModelEncoder`, or a Python function, which reports nothing.
      count: the `TruncationCount`.
    """
    truncated = getattr(encoder, "truncated", lambda texts: None)

    def encode(texts):
        count.add(truncated(texts))
        return encode_fn(texts)

    return encode


class Encoder:
    """Loads a model when it is called; can be sent to other processes."""

    def __init__(self, model: str, compute_dtype: str):
        """Takes --model and --compute_dtype; loads nothing."""
        self.model = model
        self.compute_dtype = compute_dtype

    def __repr__(self):
        return f"{self.model}, {self.compute_dtype}"

    def __call__(self):
        """Returns an encode_fn and its fingerprint.

        The fingerprint of a Python function is that of its module's source;
        changes in what it imports are not noticed.
        """
        if self.model.startswith(PYTHON):
            function = import_function(self.model, "--model")
            try:
                module = inspect.getsource(inspect.getmodule(function))
            except (TypeError, OSError) as error:
                raise InputError(
                    "The fingerprint of a function is that of its module's "
                    f"source. --model={self.model} has none ({error}). Write a "
                    "module with a function that calls it."
                ) from error
            digest = hashlib.sha256(module.encode()).hexdigest()
            return function, f"{self.model} {digest}"
        import labse
        from labse.inference.model_encoder import ModelEncoder

        loaded = labse.load(self.model, self.compute_dtype)
        return ModelEncoder(loaded), loaded.fingerprint
