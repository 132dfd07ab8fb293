"""sentence-transformers' StaticEmbedding, which is our averaging network.

The vector of a text is the mean of its pieces' rows in one table: an encoder
without blocks and with the pooling mean. `tokenizer.json` is used as it is and
adds no [CLS] and [SEP]: in folders that we wrote its normalizer does, in others
their rows are zeros.
https://sbert.net/docs/package_reference/sentence_transformer/models.html
"""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from labse.checkpoints import stored_model
from labse.checkpoints.huggingface import modules_json, tokenizer_reader
from labse.checkpoints.huggingface.modules_json import STATIC_EMBEDDING
from labse.checkpoints.huggingface.tokenizer_reader import Tokenizer
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.checkpoints.vocabulary import table_fit
from labse.checkpoints.weights import (
    WORD_EMBEDDINGS,
    Weight,
    Zeros,
    weight_names,
)
from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.formats.model_file import shown
from labse.formats.stored_tensor import Tensor
from labse.preprocessing.packing import checked_max_length

WEIGHT = "embedding.weight"
_MODEL2VEC = "embeddings"
# Where a folder does not truncate: BERT's.
_MAX_LENGTH = 512
# Longer than any text, and within int32.
_MAX_POSITIONS = 2**30

_EMPTY = (
    "an empty text is a vector of zeros in sentence-transformers, here the "
    "direction of [CLS] and [SEP]"
)
_NOT_COUNTED = (
    "[CLS] and [SEP] do not count there: their rows are zeros here, and so is "
    "the vector of a text without pieces, which no search takes"
)


@dataclasses.dataclass(frozen=True)
class _WithZeroRows(Weight):
    """A table some of whose rows are replaced by zeros."""

    zero_rows: tuple[int, ...] = ()

    def read(self) -> np.ndarray:
        """The table in memory: float32."""
        return np.concatenate(list(self.row_blocks()))

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The table in float32 blocks of rows."""
        first = 0
        for block in super().row_blocks():
            rows = np.array(self.zero_rows) - first
            block[rows[(rows >= 0) & (rows < len(block))]] = 0.0
            first += len(block)
            yield block

    def map(self) -> np.ndarray:
        """A copy in memory in the stored type; the file has other rows."""
        value = np.array(super().map())
        value[list(self.zero_rows)] = 0
        return value


def open_static_embedding(
    path: str, paths: dict[str, pathlib.Path], options: ModelOptions
) -> StoredModel:
    """Opens a folder with the modules StaticEmbedding and maybe Normalize.

    Raises:
      InputError: a file is missing or invalid, the tokenizer is not BERT's,
        or the options name another pooling than the mean.
    """
    notes = modules_json.check_whole(pathlib.Path(path), paths)
    folder = paths[STATIC_EMBEDDING]
    tokenizer = tokenizer_reader.read_standalone_tokenizer(folder)
    table_fit.choose_vocabulary(tokenizer.vocabulary, options, path)
    table = _read_table(folder)
    notes += table_fit.fit_table(
        tokenizer.vocabulary, table.shape[0], tokenizer.origin
    )
    shape = (len(tokenizer.vocabulary), table.shape[1])
    if options.pooling not in (None, "mean"):
        raise InputError(
            f"{path} is a {STATIC_EMBEDDING}, which has the pooling mean and "
            f"weights for no other. Received: {options.pooling}. Leave it out."
        )
    recorded = _recorded(shape, tokenizer, options)
    assumed = {"tokenizer.max_length": _MAX_LENGTH}
    config, choices = stored_model.resolve_config(
        recorded, options, assumed, path
    )
    weights = {
        row.name: Zeros(row.shape) for row in weight_names(config.encoder)
    }
    vocabulary = tokenizer.vocabulary
    if tokenizer.adds_special:
        weights[WORD_EMBEDDINGS] = Weight(table, shape)
    else:
        weights[WORD_EMBEDDINGS] = _WithZeroRows(
            table, shape, zero_rows=(vocabulary.cls_id, vocabulary.sep_id)
        )
    notes += (_EMPTY if tokenizer.adds_special else _NOT_COUNTED,)
    notes += tuple(stored_model.stored_type_notes(weights))
    modules = pathlib.Path(path) / modules_json.MODULES
    return StoredModel(
        kind=f"sentence-transformers folder ({STATIC_EMBEDDING})",
        path=path,
        config=config,
        recorded=recorded,
        vocabulary=vocabulary,
        weights=weights,
        files=(modules, *tokenizer.files, table.path),
        notes=(*choices, *notes),
    )


def _read_table(folder: pathlib.Path) -> Tensor:
    """The one weight: [pieces, size of a vector]."""
    found = modules_json.find_weights(folder)
    if _MODEL2VEC in found:
        raise InputError(
            f"{folder} has the weights of model2vec ({shown(sorted(found))}). "
            f"Only {WEIGHT} is supported: save the folder again in "
            "sentence-transformers, SentenceTransformer(path).save(new)."
        )
    if found.keys() != {WEIGHT}:
        raise InputError(
            f"{folder} must hold the weight {WEIGHT} alone. Received: "
            f"{shown(sorted(found))}."
        )
    table = found[WEIGHT]
    if (
        len(table.shape) != 2
        or 0 in table.shape
        # bfloat16 is "V" to NumPy.
        or table.dtype.kind not in "fV"
    ):
        raise InputError(
            f"{table.path}: {WEIGHT} must be a table of floating-point "
            f"numbers. Received: {table.dtype} {table.shape}."
        )
    return table


def _recorded(
    shape: tuple[int, int], tokenizer: Tokenizer, options: ModelOptions
) -> dict[str, object]:
    """What the files say as `section.key`, for a table of this shape."""
    vocab_size, hidden_size = shape
    positions = tokenizer.max_length or _MAX_LENGTH
    if options.max_length is not None:
        longest = checked_max_length(options.max_length, _MAX_POSITIONS)
        positions = max(positions, longest)
    recorded = {
        "encoder.vocab_size": vocab_size,
        "encoder.hidden_size": hidden_size,
        "encoder.num_layers": 0,
        "encoder.num_heads": 1,
        "encoder.pooling": "mean",
        # Without blocks and positions any activation and length will do.
        "encoder.activation": options.activation or EncoderConfig.activation,
        "encoder.max_positions": min(positions, _MAX_POSITIONS),
        "tokenizer.lower_case": tokenizer.lower_case,
        "tokenizer.ids": "hugging_face",
    }
    if tokenizer.max_length is not None:
        recorded["tokenizer.max_length"] = min(
            tokenizer.max_length, _MAX_POSITIONS
        )
    return recorded
