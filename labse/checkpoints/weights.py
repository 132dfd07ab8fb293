"""The one table of BERT's weights: their names and layouts in every format.

Our names are Model Garden's variables', which the checkpoints and SavedModels
of TensorFlow 2 carry. D is the hidden size, H the number of heads, I the
intermediate size.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.formats import model_file
from labse.formats.stored_tensor import StoredTensor

WORD_EMBEDDINGS = "word_embeddings/embeddings"
POOLER = ("pooler_transform/kernel", "pooler_transform/bias")


class WeightName(NamedTuple):
    """A weight's names and shapes in the three worlds."""

    name: str  # Model Garden, TensorFlow 2; ours.
    tensorflow_1: str  # google-research/bert.
    hugging_face: str  # `transformers`.
    shape: tuple[int, ...]  # Ours.
    # The matrices of dense layers are [in, out] in TensorFlow and [out, in]
    # in PyTorch.
    is_kernel: bool = False

    @property
    def matrix_shape(self) -> tuple[int, ...]:
        """TensorFlow 1's shape, where heads have no axis of their own."""
        if not self.is_kernel:
            return (int(np.prod(self.shape)),) if self._is_bias else self.shape
        if "attention_output" in self.name:
            return (self.shape[0] * self.shape[1], self.shape[2])
        return (self.shape[0], int(np.prod(self.shape[1:])))

    @property
    def _is_bias(self) -> bool:
        return self.name.endswith("/bias")

    @property
    def hugging_face_shape(self) -> tuple[int, ...]:
        """The shape in `transformers`."""
        shape = self.matrix_shape
        return shape[::-1] if self.is_kernel else shape


def weight_names(config: EncoderConfig) -> list[WeightName]:
    """Every weight of an encoder, in the order of the computation."""
    size = config.hidden_size
    words = WeightName(
        WORD_EMBEDDINGS,
        "bert/embeddings/word_embeddings",
        "embeddings.word_embeddings.weight",
        (config.vocab_size, size),
    )
    rows = [words]
    if config.num_layers:
        rows += _sums_of_bert(config)
    for layer in range(config.num_layers):
        rows += _block(config, layer)
    return rows + _dense(
        *("pooler_transform", "bert/pooler/dense", "pooler.dense"),
        *((size, size), (size,)),
    )


def _sums_of_bert(config: EncoderConfig) -> list[WeightName]:
    """What BERT adds to the words; an averaging network has none of it."""
    size, types = config.hidden_size, config.type_vocab_size
    return [
        WeightName(
            "position_embedding/embeddings",
            "bert/embeddings/position_embeddings",
            "embeddings.position_embeddings.weight",
            (config.max_positions, size),
        ),
        WeightName(
            "type_embeddings/embeddings",
            "bert/embeddings/token_type_embeddings",
            "embeddings.token_type_embeddings.weight",
            (types, size),
        ),
        *_layer_norm(
            "embeddings/layer_norm",
            "bert/embeddings/LayerNorm",
            "embeddings.LayerNorm",
            size,
        ),
    ]


def _block(config: EncoderConfig, layer: int) -> Iterator[WeightName]:
    size, inner = config.hidden_size, config.intermediate_size
    heads = (config.num_heads, size // config.num_heads)
    ours = f"transformer/layer_{layer}"
    theirs = f"bert/encoder/layer_{layer}"
    torch = f"encoder.layer.{layer}"
    for part in ("query", "key", "value"):
        yield from _dense(
            f"{ours}/self_attention/{part}",
            f"{theirs}/attention/self/{part}",
            f"{torch}.attention.self.{part}",
            (size, *heads),
            heads,
        )
    yield from _dense(
        f"{ours}/self_attention/attention_output",
        f"{theirs}/attention/output/dense",
        f"{torch}.attention.output.dense",
        (*heads, size),
        (size,),
    )
    yield from _layer_norm(
        f"{ours}/self_attention_layer_norm",
        f"{theirs}/attention/output/LayerNorm",
        f"{torch}.attention.output.LayerNorm",
        size,
    )
    yield from _dense(
        f"{ours}/intermediate",
        f"{theirs}/intermediate/dense",
        f"{torch}.intermediate.dense",
        (size, inner),
        (inner,),
    )
    yield from _dense(
        f"{ours}/output",
        f"{theirs}/output/dense",
        f"{torch}.output.dense",
        (inner, size),
        (size,),
    )
    yield from _layer_norm(
        f"{ours}/output_layer_norm",
        f"{theirs}/output/LayerNorm",
        f"{torch}.output.LayerNorm",
        size,
    )


def _dense(name, tensorflow_1, hugging_face, kernel, bias) -> list[WeightName]:
    return [
        WeightName(
            f"{name}/kernel",
            f"{tensorflow_1}/kernel",
            f"{hugging_face}.weight",
            kernel,
            is_kernel=True,
        ),
        WeightName(
            f"{name}/bias",
            f"{tensorflow_1}/bias",
            f"{hugging_face}.bias",
            bias,
        ),
    ]


def _layer_norm(name, tensorflow_1, hugging_face, size) -> list[WeightName]:
    names = (("gamma", "weight"), ("beta", "bias"))
    return [
        WeightName(
            f"{name}/{ours}",
            f"{tensorflow_1}/{ours}",
            f"{hugging_face}.{torch}",
            (size,),
        )
        for ours, torch in names
    ]


@dataclasses.dataclass(frozen=True)
class Weight:
    """A float32 weight in our layout, made from what is stored when asked.

    Attributes:
      stored: where the numbers lie.
      shape: in our layout. A table may have more rows on the disk, which were
        added to round their number up.
      transposed: whether it is stored as `transformers` stores kernels.
    """

    stored: StoredTensor
    shape: tuple[int, ...]
    transposed: bool = False

    def read(self) -> np.ndarray:
        """The weight in memory: float32, of `shape`."""
        value = self.stored.read()
        value = value.T if self.transposed else value
        if self._is_in_our_layout:
            value = value[: self.shape[0]]
        return self._finite(np.reshape(value, self.shape))

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The weight in float32 blocks of rows."""
        if not self._is_in_our_layout:
            yield self.read()
            return
        start = 0
        # To the end, where the checksum is compared.
        for block in self.stored.row_blocks():
            used = block[: max(0, self.shape[0] - start)]
            start += len(block)
            if len(used):
                yield self._finite(used)

    @property
    def _is_in_our_layout(self) -> bool:
        return (
            not self.transposed
            and len(self.shape) > 0
            and self.stored.shape[1:] == self.shape[1:]
            and len(self.stored.shape) == len(self.shape)
        )

    def check(self) -> None:
        """Reads the weight once, for what is wrong with it.

        Raises:
          InputError: a checksum does not fit, or a number is not finite.
        """
        for _ in self.row_blocks():
            pass

    def _finite(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            again = model_file.refetch_hint(self.stored.path)
            raise InputError(
                f"{self.stored.path} holds a weight {self.shape} with numbers "
                "that are not finite. Its training broke, or the file is "
                "damaged: use an earlier checkpoint, or fetch it again. "
                f"{again}"
            )
        return values

    def map(self) -> np.ndarray:
        """The numbers as they are stored; only where the layout is ours."""
        if not self._is_in_our_layout:
            raise ValueError("Only what is stored in our layout can be mapped.")
        return self.stored.map()[: self.shape[0]]


@dataclasses.dataclass(frozen=True)
class Zeros:
    """A float32 weight that no file holds and no output depends on."""

    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        """The zeros in memory."""
        return np.zeros(self.shape, np.float32)

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The zeros as one block."""
        yield self.read()


def match_weights(
    found: dict[str, StoredTensor],
    config: EncoderConfig,
    naming: str,
    expected: tuple[str, ...],
    origin: str,
    optional: tuple[str, ...] = (),
    table_rows: int | None = None,
) -> dict[str, Weight | Zeros]:
    """Finds every weight of an encoder among stored tensors, strictly.

    Args:
      found: the stored tensors by their names.
      config: the encoder.
      naming: whose names and layouts: a field of `WeightName` ("name",
        "tensorflow_1" or "hugging_face").
      expected: regular expressions of names that may be there beside the
        encoder's weights.
      origin: what the tensors come from, for messages.
      optional: weights, by our names, that are zeros where none of them is
        found.
      table_rows: of the stored table of word embeddings, where it has more
        than the vocabulary has pieces.

    Returns:
      the weights by our names.

    Raises:
      InputError: a weight is missing or of another shape, or a tensor is
        neither a weight nor expected.
    """
    weights, missing, wrong = {}, [], []
    if len(found) < config.num_layers:  # Before a table of them is made.
        raise InputError(
            f"{origin} holds {len(found)} tensors, which cannot be those of "
            f"the {config.num_layers} blocks that its configuration describes."
        )
    names = weight_names(config)
    absent = [row for row in names if row.name in optional]
    if any(getattr(row, naming) in found for row in absent):
        absent = []
    for row in names:
        stored = found.get(getattr(row, naming))
        shape = {
            "name": row.shape,
            "tensorflow_1": row.matrix_shape,
            "hugging_face": row.hugging_face_shape,
        }[naming]
        if row.name == WORD_EMBEDDINGS and table_rows is not None:
            shape = (table_rows, *shape[1:])
        if row in absent:
            weights[row.name] = Zeros(row.shape)
        elif stored is None:
            missing.append(getattr(row, naming))
        elif stored.shape != shape or stored.dtype.kind not in "fV":
            wrong.append(
                f"{getattr(row, naming)} is {stored.dtype} {stored.shape}, "
                f"not {shape}"
            )
        else:
            transposed = row.is_kernel and naming == "hugging_face"
            weights[row.name] = Weight(stored, row.shape, transposed)
    known = {getattr(row, naming) for row in names}
    unexpected = [
        name
        for name in found
        if name not in known
        and not any(re.fullmatch(pattern, name) for pattern in expected)
    ]
    _complain(origin, missing, wrong, unexpected)
    return weights


def _complain(origin: str, missing, wrong, unexpected) -> None:
    problems = [
        f"{title}: {'; '.join(names[:5])}"
        + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for title, names in (
            ("missing", missing),
            ("of another shape", wrong),
            ("unexpected", unexpected),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"{origin} does not hold the weights of the BERT that its "
            f"configuration describes. {'. '.join(problems)}."
        )
