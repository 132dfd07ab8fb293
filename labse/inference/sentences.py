"""Any container of texts to chunks of UTF-8: one item per text, or an error.

A text is a string, or bytes in UTF-8, also as a scalar of NumPy, TensorFlow or
Arrow. Nothing else is taken apart until strings come out: a dict's keys, a
table's column names and a row's fields are strings, but not sentences.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from labse.errors import InputError
from labse.files.chunks import chunked

# Sentences are tokenized and sorted by length in chunks of at most this many
# sentences and characters, so that a stream of any length fits in memory.
CHUNK_SENTENCES = 2**16
CHUNK_CHARACTERS = 2**25

# The key of a text in MTEB's batches and in rows of data sets.
TEXT = "text"
# The formats of a memoryview of bytes.
_BYTES = ("B", "c")
_RULE = "encode takes a string or an iterable of strings"


def one_text(value) -> bytes | None:
    """The UTF-8 of a value that is one text; None if it is something else.

    A row, a mapping with a text under "text", is one text.

    Raises:
      InputError: the bytes are not UTF-8.
    """
    if isinstance(value, str):
        # A surrogate is not a character; the tokenizer drops it.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, memoryview):
        # A memoryview of numbers is not a text.
        return _checked(value.tobytes()) if value.format in _BYTES else None
    if isinstance(value, bytes | bytearray):
        return _checked(bytes(value))
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return None if value is np.ma.masked else one_text(value.item())
    if isinstance(value, tf.Tensor | tf.Variable) and value.shape.rank == 0:
        return one_text(_array(value).item())
    if isinstance(value, Mapping) and TEXT in value:
        return one_text(value[TEXT])
    if hasattr(value, "as_py"):  # A scalar of Arrow.
        text = value.as_py()
        return one_text(text) if isinstance(text, str | bytes) else None
    return None


def chunks(sentences: Iterable) -> Iterator[list[bytes]]:
    """The texts in UTF-8, in chunks of bounded size.

    Raises:
      InputError: this is not an iterable of texts; the message says where.
    """
    return chunked(_texts(sentences), len, CHUNK_SENTENCES, CHUNK_CHARACTERS)


def count(sentences: Iterable) -> int | None:
    """The number of texts, if it is known in advance."""
    try:
        return len(sentences)
    except TypeError:  # A generator; a tf.data.Dataset of unknown size.
        return None


def _texts(sentences: Iterable) -> Iterator[bytes]:
    index = 0
    for item in _items(sentences):
        for part in _unbatched(item):
            try:
                text = one_text(part)
            except InputError as error:
                raise InputError(f"{error} (at index {index})") from error
            if text is None:
                raise InputError(
                    f"{_RULE}. Received at index {index}: {_described(part)}."
                )
            yield text
            index += 1


def _unbatched(item) -> Iterable:
    """The items of one of MTEB's batches; anything else as one item."""
    if not isinstance(item, Mapping) or TEXT not in item:
        return (item,)
    return (item,) if one_text(item) is not None else _items(item[TEXT])


def _items(sentences: Iterable) -> Iterable:
    """The items of a container."""
    if isinstance(sentences, Mapping) and TEXT in sentences:
        return _unbatched(sentences)
    _refuse_table_or_row(sentences)
    if tf.is_tensor(sentences):
        return _array(sentences)
    try:
        return iter(sentences)
    except TypeError:
        raise InputError(
            f"{_RULE}. Received: {_described(sentences)}."
        ) from None


def _array(tensor) -> np.ndarray:
    """The values of a string tensor."""
    if not isinstance(tensor, tf.Tensor | tf.Variable):
        raise InputError(
            f"{_RULE}. Received: {type(tensor).__name__}. Pass a string "
            "tensor [n], such as its flat_values."
        )
    if tensor.dtype != tf.string:
        raise InputError(f"{_RULE}. Received: a tensor of {tensor.dtype.name}.")
    if not hasattr(tensor, "numpy"):
        raise InputError(
            f"{_RULE}. Received a symbolic tensor, inside a graph. For a graph "
            "use hub.KerasLayer(EXPORT/text), see labse export."
        )
    return np.asarray(tensor.numpy(), object)


def _refuse_table_or_row(value) -> None:
    """Iterating over these gives column names or fields, not texts."""
    kind = type(value).__name__
    if hasattr(value, "columns"):  # pandas, Polars, Arrow, Spark, Dask.
        raise InputError(
            f"{_RULE}. Received a table ({kind}). Pass its column of texts, "
            'such as encode(table["text"]).'
        )
    index = getattr(value, "index", None)  # Of a list it is a method.
    is_row = (
        isinstance(value, Mapping)
        or hasattr(value, "_fields")  # A named tuple.
        or hasattr(value, "__fields__")  # Spark's Row.
        or isinstance(value, np.void)  # A record of NumPy.
        # sqlite3's Row; a pandas Series has keys and is a column,
        or (hasattr(value, "keys") and not hasattr(value, "dtype"))
        # unless it is a row of a table.
        or (hasattr(value, "dtype") and index is not None and TEXT in index)
    )
    if is_row:
        raise InputError(
            f"{_RULE}. Received a row ({kind}), whose fields are "
            'not all sentences. Pass its text, such as encode(row["text"]), '
            "or a list of its texts."
        )


def _checked(text: bytes) -> bytes:
    try:
        text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InputError(
            "Bytes are texts in UTF-8. Received the byte "
            f"0x{text[error.start]:02x} at byte {error.start + 1} "
            f"({error.reason}). Decode it: text.decode(ENCODING)."
        ) from error
    return text


def _described(value) -> str:
    kind = type(value).__name__
    if isinstance(value, Mapping):
        keys = ", ".join(str(key) for key in list(value)[:8])
        return (
            f"{kind} with the keys {keys or '(none)'}. A row has its text "
            f'under "{TEXT}"; otherwise pass the text itself'
        )
    if isinstance(value, np.ndarray) or tf.is_tensor(value):
        return f"{kind} of shape {tuple(value.shape)}"
    return kind
