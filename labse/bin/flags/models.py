"""What --model names: anything that labse.load takes, or a Python function."""

import hashlib
import importlib
import inspect
import os
import sys

from labse.checkpoints.kinds import KINDS
from labse.errors import InputError

PYTHON = "python:"
# What the flags that name a model say of themselves.
MODEL_HELP = (
    f"The model: {KINDS}. A name on Hugging Face's hub is not fetched: give "
    "the folder."
)
MODEL_OR_FUNCTION_HELP = (
    f"{MODEL_HELP} Or {PYTHON}module.function: list of n strings -> float32 "
    "[n, dim]."
)


def import_function(name: str, flag: str):
    """The function that python:module.function names.

    Raises:
      InputError: there is none.
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
            f"{flag}={name} could not be imported: {error}. It is looked for "
            "in the current folder and where Python looks."
        ) from error
    finally:
        sys.path.pop(0)
    return found


class ModelEncoder:
    """An encode_fn of a model, which can say which texts it cuts."""

    def __init__(self, model):
        """Takes what `labse.load` returns."""
        self._model = model
        self.max_length = model.max_length
        self.tells_truncation = model.tells_truncation

    def __call__(self, texts):
        """float32 [n, dim]."""
        return self._model.encode(texts, on_truncation="ignore")

    def with_bar(self, texts):
        """The same, with a progress bar."""
        return self._model.encode(
            texts, show_progress_bar=True, on_truncation="ignore"
        )

    def truncated(self, texts):
        """bool [n]; None where the model does not say."""
        if not self.tells_truncation:
            return None
        return self._model.truncated(texts)


def counting(encode_fn, encoder, count):
    """An encode_fn that counts the texts that are cut.

    Those too whose vectors `encode_fn` has from elsewhere.

    Args:
      encode_fn: to be called.
      encoder: a `ModelEncoder`, or a Python function, of which nothing is
        known.
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
        """Returns an encode_fn and what changes whenever its vectors do.

        Of a Python function that is its module's text: what it imports may
        change unseen.
        """
        if self.model.startswith(PYTHON):
            function = import_function(self.model, "--model")
            module = inspect.getsource(inspect.getmodule(function)).encode()
            digest = hashlib.sha256(module).hexdigest()
            return function, f"{self.model} {digest}"
        import labse

        loaded = labse.load(self.model, self.compute_dtype)
        return ModelEncoder(loaded), loaded.fingerprint
