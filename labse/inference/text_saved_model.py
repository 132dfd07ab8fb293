"""SavedModels that turn strings into vectors, wrapped for inference."""

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from labse.errors import InputError
from labse.features import MODEL_INPUTS, TRUNCATED
from labse.formats import tensor_bundle
from labse.inference import fingerprint
from labse.inference.sentence_model import Prepared, SentenceModel

# Strings [n] -> vectors [n, dimension], and bool [n], whether truncated.
TextFunction = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]


class TextSavedModel(SentenceModel):
    """A SavedModel that takes strings.

    It has a signature `serving_default` from `text` to `embedding`, as written
    by `labse export`, or is called with strings, as TF Hub's models are.
    """

    def __init__(self, folder: str, path: str):
        """Loads the SavedModel.

        `path` is as the user named it, for messages.

        Raises:
          InputError: it does not exist, is damaged, or does not take strings.
        """
        # Registers the ops of tokenizers in SavedModels.
        import tensorflow_text  # noqa: F401

        self._path = path
        self._model = _load_saved_model(folder, path)
        self._function = _text_function(self._model, path)
        self._preprocess = getattr(self._model, "signatures", {}).get(
            "preprocess"
        )
        self._max_length = None
        if self._preprocess is not None:
            self._max_length = self._mask([b"a " * 10_000]).shape[1]
        vectors, truncated = self._function(tf.constant([""]))
        self._dimension = int(vectors.shape[-1])
        self._reports_truncation = truncated is not None
        self._fingerprint = fingerprint.of_saved_model(folder)

    @property
    def reports_truncation(self) -> bool:
        """Whether `serving_default` has an output `truncated`."""
        return self._reports_truncation

    def _set_max_length(self, value):
        raise InputError(
            f"{self._path} is a SavedModel that takes strings: its max_length "
            f"is fixed ({self._max_length or 'not known'}). Received: "
            f"max_length={value!r}. Load the run folder that it was exported "
            "from, or export that again."
        )

    def _num_tokens(self, texts):
        raise InputError(
            f"{self._path} is a SavedModel that takes strings, and does not "
            "count the tokens that it drops. Load the run folder that it was "
            "exported from; or use model.truncated(texts)."
        )

    def _truncated(self, texts):
        if not self.reports_truncation:
            raise InputError(
                f"{self._path} is a SavedModel that does not report truncation "
                "(serving_default has no output `truncated`)."
            )
        rows = np.arange(len(texts))
        if self._preprocess is not None:
            # Only a text that fills its row may have been truncated.
            rows = np.flatnonzero(self._mask(texts).all(axis=1))
        truncated = np.zeros(len(texts), bool)
        for some in np.array_split(rows, -(-len(rows) // 64) or 1):
            if len(some):
                given = tf.constant([texts[row] for row in some], tf.string)
                truncated[some] = self._function(given)[1].numpy()
        return truncated

    def _mask(self, texts: list[bytes]) -> np.ndarray:
        """The mask of the signature `preprocess`: int32 [n, length]."""
        inputs = self._preprocess(text=tf.constant(texts, tf.string))
        mask = inputs.get(MODEL_INPUTS[1], inputs[MODEL_INPUTS[0]])
        return mask.numpy()

    def _prepare(self, texts):
        # The model tokenizes by itself; the number of bytes is good enough for
        # putting texts of similar length together. A token has about four.
        longest = self.max_length or 512  # BERT's.
        lengths = [min(len(text) // 4 + 2, longest) for text in texts]
        return Prepared(
            np.array(lengths, np.int64),
            np.zeros(len(texts), bool) if self.reports_truncation else None,
            np.array(texts, object),
        )

    def _embed(self, prepared, rows):
        vectors, truncated = self._function(
            tf.constant(prepared.data[rows], tf.string)
        )
        if truncated is not None:
            prepared.truncated[rows] = truncated.numpy()
        return tf.math.l2_normalize(tf.cast(vectors, tf.float32), -1).numpy()


def _load_saved_model(folder: str, path: str):
    try:
        return hub.load(folder)
    # Whatever code meets a damaged file first raises something of its own, an
    # IndexError if a file of variables is a byte too short.
    except Exception as error:
        reason = (
            _damaged_variables(folder) or f"{type(error).__name__}: {error}"
        )
        remedy = f"If a file of {folder} is damaged, "
        if "://" in path:
            remedy += f"delete that folder, and {path} is downloaded again."
        else:
            remedy += "export the folder again, or copy all of it again."
        raise InputError(
            f"{path} is not a SavedModel that can be loaded: "
            f"{reason.rstrip('.')}. {remedy}"
        ) from error


def _damaged_variables(folder: str) -> str:
    """The damage of a file of the variables; empty if there is none."""
    variables = pathlib.Path(folder) / "variables"
    if not variables.is_dir():
        return ""
    try:
        tensor_bundle.read_header(variables / "variables")
    except InputError as error:
        return str(error)
    return ""


def _text_function(model, path: str) -> TextFunction:
    """The function of `model` from strings to vectors."""
    signature = getattr(model, "signatures", {}).get("serving_default")
    if signature is not None:
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
        if list(inputs) == ["text"] and "embedding" in outputs:

            def embed(texts):
                found = signature(text=texts)
                return found["embedding"], found.get(TRUNCATED)

            return embed
    if callable(model):
        try:
            result = model(tf.constant(["a"]))
        except (ValueError, TypeError, tf.errors.OpError):
            result = None  # It takes something else: see the error below.
        if isinstance(result, tf.Tensor) and result.shape.rank == 2:
            return lambda texts: (model(texts), None)
    takes = "nothing: it does not exist"
    if signature is not None:
        takes = ", ".join(
            f"{name} ({spec.dtype.name})"
            for name, spec in signature.structured_input_signature[1].items()
        )
    raise InputError(
        "A SavedModel turns strings [n] into vectors [n, dimension], by its "
        "signature serving_default (text -> embedding) or when it is called. "
        f"Received {path}, whose serving_default takes {takes}. In an export "
        "folder this is text/; of TF Hub's models, those that need no "
        "preprocessor."
    )
