"""SavedModels that turn strings into vectors, as models to ask."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.inference import fingerprint
from labse.inference.sentence_model import SentenceModel


class TextSavedModel(SentenceModel):
    """A SavedModel that takes strings.

    Either with a signature `serving_default` from `text` to `embedding`, as
    `labse export` writes it, or called with strings, as TF Hub's models are.
    """

    def __init__(self, folder: str, path: str):
        """Loads the SavedModel.

        Args:
          folder: where it lies.
          path: what the user called it, for messages.

        Raises:
          InputError: there is none, or it does not take strings.
        """
        # Registers the ops that tokenizers in SavedModels are made of.
        import tensorflow_text  # noqa: F401

        self._model = _load_saved_model(folder, path)
        self._function = _text_function(self._model, path)
        self.max_length = _longest(self._model)
        self.dimension = int(self._function(tf.constant([""])).shape[-1])
        self.fingerprint = fingerprint.of_saved_model(folder)

    def _prepare(self, texts):
        # Tokens are the model's own affair; bytes tell well enough which
        # texts go together. A token has about four.
        longest = self.max_length or 512  # BERT's.
        lengths = [min(len(text) // 4 + 2, longest) for text in texts]
        return np.array(lengths, np.int64), np.array(texts, object)

    def _embed(self, prepared, rows):
        vectors = self._function(tf.constant(prepared[rows], tf.string))
        return tf.math.l2_normalize(tf.cast(vectors, tf.float32), -1).numpy()


def _load_saved_model(folder: str, path: str):
    try:
        return hub.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(
            f"{path} is no SavedModel that can be loaded: {error}"
        ) from error


def _text_function(model, path: str) -> Callable:
    """The function of `model` from strings [n] to vectors [n, dimension]."""
    signature = getattr(model, "signatures", {}).get("serving_default")
    if signature is not None:
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
        if list(inputs) == ["text"] and "embedding" in outputs:
            return lambda texts: signature(text=texts)["embedding"]
    if callable(model):
        try:
            result = model(tf.constant(["a"]))
        except (ValueError, TypeError, tf.errors.OpError):
            result = None  # It takes something else: said below.
        if isinstance(result, tf.Tensor) and result.shape.rank == 2:
            return model
    takes = "nothing by that name"
    if signature is not None:
        takes = ", ".join(
            f"{name} ({spec.dtype.name})"
            for name, spec in signature.structured_input_signature[1].items()
        )
    raise InputError(
        "A SavedModel that labse.load takes turns strings [n] into vectors "
        "[n, dimension], by its signature serving_default (text -> embedding) "
        f"or when it is called. Received {path}, whose serving_default takes "
        f"{takes}. Of an export folder that is text/; of TF Hub's models "
        "those that need no preprocessor."
    )


def _longest(model) -> int | None:
    """The length that the signature `preprocess` cuts a text to."""
    signature = getattr(model, "signatures", {}).get("preprocess")
    if signature is None:
        return None
    inputs = signature(text=tf.constant(["a " * 10_000]))
    return int(inputs[MODEL_INPUTS[0]].shape[-1])
