"""BERT's weights: one table of their names and layouts in every format.

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
from labse.formats.stored_tensor import Tensor

WORD_EMBEDDINGS = "word_embeddings/embeddings"
POOLER = ("pooler_transform/kernel", "pooler_transform/bias")


class WeightName(NamedTuple):
    """A weight's names and shapes in the three worlds."""

    name: str  # Model Garden, TensorFlow 2; ours.
    tensorflow_1: str  # google-research/bert.
    shape: tuple[int, ...]  # Ours.

    @property
    def hugging_face(self) -> str:
        """The name in `transformers`, which follows TensorFlow 1's."""
        path, _, part = self.tensorflow_1.removeprefix("bert/").rpartition("/")
        if part not in _HUGGING_FACE_PARTS:  # A table.
            path, part = f"{path}/{part}", "table"
        path = path.replace("layer_", "layer.").replace("/", ".")
        return f"{path}.{_HUGGING_FACE_PARTS[part]}"

    @property
    def is_kernel(self) -> bool:
        """Whether it is a matrix of a dense layer.

        It is [in, out] in TensorFlow and [out, in] in PyTorch.
        """
        return self.name.endswith("/kernel")

    @property
    def matrix_shape(self) -> tuple[int, ...]:
        """TensorFlow 1's shape, where heads have no axis of their own."""
        if self.name.endswith("/bias"):
            return (int(np.prod(self.shape)),)
        if not self.is_kernel:
            return self.shape
        if "attention_output" in self.name:
            return (self.shape[0] * self.shape[1], self.shape[2])
        return (self.shape[0], int(np.prod(self.shape[1:])))

    @property
    def hugging_face_shape(self) -> tuple[int, ...]:
        """The shape in `transformers`."""
        shape = self.matrix_shape
        return shape[::-1] if self.is_kernel else shape

    def shape_in(self, naming: str) -> tuple[int, ...]:
        """The shape in one of the worlds, named by a field."""
        return {
            "name": self.shape,
            "tensorflow_1": self.matrix_shape,
            "hugging_face": self.hugging_face_shape,
        }[naming]


# The last part of a name in TensorFlow 1 -> in `transformers`.
_HUGGING_FACE_PARTS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "table": "weight",
    "output_bias": "bias",  # Of the masked-LM head.
}


def weight_names(config: EncoderConfig) -> list[WeightName]:
    """Every weight of an encoder, in the order of the computation."""
    size = config.hidden_size
    tables = [("word_embeddings", "word_embeddings", config.vocab_size)]
    if config.num_layers:  # An averaging network adds nothing to the words.
        tables += [
            ("position_embedding", "position_embeddings", config.max_positions),
            (
                "type_embeddings",
                "token_type_embeddings",
                config.type_vocab_size,
            ),
        ]
    rows = [
        WeightName(f"{ours}/embeddings", f"bert/embeddings/{theirs}", (n, size))
        for ours, theirs, n in tables
    ]
    if config.num_layers:
        rows += _layer("embeddings/layer_norm", "embeddings/LayerNorm", (size,))
    for layer in range(config.num_layers):
        rows += _block(config, layer)
    rows += _layer("pooler_transform", "pooler/dense", (size,), (size, size))
    return rows


def _block(config: EncoderConfig, layer: int) -> Iterator[WeightName]:
    size, inner = (config.hidden_size,), (config.intermediate_size,)
    heads = (config.num_heads, config.hidden_size // config.num_heads)
    for ours, theirs, *shapes in (
        ("self_attention/query", "attention/self/query", heads, size + heads),
        ("self_attention/key", "attention/self/key", heads, size + heads),
        ("self_attention/value", "attention/self/value", heads, size + heads),
        (
            *("self_attention/attention_output", "attention/output/dense"),
            *(size, heads + size),
        ),
        ("self_attention_layer_norm", "attention/output/LayerNorm", size),
        ("intermediate", "intermediate/dense", inner, size + inner),
        ("output", "output/dense", size, inner + size),
        ("output_layer_norm", "output/LayerNorm", size),
    ):
        yield from _layer(
            f"transformer/layer_{layer}/{ours}",
            f"encoder/layer_{layer}/{theirs}",
            *shapes,
        )


def _layer(
    name: str,
    tensorflow_1: str,
    bias: tuple[int, ...],
    kernel: tuple[int, ...] | None = None,
) -> list[WeightName]:
    """The weights of a dense layer; without a kernel, of a layer norm."""
    shapes = {"gamma": bias, "beta": bias}
    if kernel is not None:
        shapes = {"kernel": kernel, "bias": bias}
    return [
        WeightName(f"{name}/{part}", f"bert/{tensorflow_1}/{part}", shape)
        for part, shape in shapes.items()
    ]


@dataclasses.dataclass(frozen=True)
class Weight:
    """A float32 weight in our layout, read from its file when needed.

    Attributes:
      stored: where the numbers lie.
      shape: in our layout. The stored table may have more rows, added to
        round their number up.
      transposed: whether it is stored as `transformers` stores kernels.
    """

    stored: Tensor
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
        """Reads the weight once to find damage.

        Raises:
          InputError: a checksum does not match, or a number is not finite.
        """
        for _ in self.row_blocks():
            pass

    def _finite(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            again = model_file.refetch_hint(self.stored.path)
            raise InputError(
                f"{self.stored.path} holds a weight {self.shape} with numbers "
                "that are not finite. Its training diverged, or the file is "
                "damaged: use an earlier checkpoint, or fetch it again. "
                f"{again}"
            )
        return values

    def map(self) -> np.ndarray:
        """The numbers as stored; only where the layout is ours."""
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
    found: dict[str, Tensor],
    config: EncoderConfig,
    naming: str,
    expected: tuple[str, ...],
    origin: str,
    optional: tuple[str, ...] = (),
    table_rows: int | None = None,
) -> dict[str, Weight | Zeros]:
    """Finds every weight of an encoder among stored tensors, by our names.

    Args:
      naming: whose names and layouts: a field of `WeightName` ("name",
        "tensorflow_1" or "hugging_face").
      expected: regular expressions of names that may occur beside the
        encoder's weights.
      optional: weights, by our names, that are zeros where none of them is
        found.
      table_rows: of the stored table of word embeddings, where it has more
        than the vocabulary has pieces.

    Raises:
      InputError: a weight is missing or of another shape, or a tensor is
        neither a weight nor expected.
    """
    if len(found) < config.num_layers:  # Before a table of them is made.
        raise InputError(
            f"{origin} holds {len(found)} tensors, which cannot be those of "
            f"the {config.num_layers} blocks that its configuration describes."
        )
    weights, missing, wrong = {}, [], []
    names = {getattr(row, naming): row for row in weight_names(config)}
    absent = {name for name, row in names.items() if row.name in optional}
    if absent & found.keys():
        absent = set()
    for name, row in names.items():
        stored, shape = found.get(name), row.shape_in(naming)
        if row.name == WORD_EMBEDDINGS and table_rows is not None:
            shape = (table_rows, *shape[1:])
        if name in absent:
            weights[row.name] = Zeros(row.shape)
        elif stored is None:
            missing.append(name)
        # bfloat16 is "V" to NumPy.
        elif stored.shape != shape or stored.dtype.kind not in "fV":
            wrong.append(
                f"{name} is {stored.dtype} {stored.shape}, not {shape}"
            )
        else:
            transposed = row.is_kernel and naming == "hugging_face"
            weights[row.name] = Weight(stored, row.shape, transposed)
    unexpected = [
        name
        for name in found.keys() - names.keys()
        if not any(re.fullmatch(pattern, name) for pattern in expected)
    ]
    _raise_for_mismatch(origin, missing, wrong, sorted(unexpected))
    return weights


def _raise_for_mismatch(
    origin: str, missing: list[str], wrong: list[str], unexpected: list[str]
) -> None:
    problems = [
        f"{title}: {'; '.join(names[:5])}"
        + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for title, names in (
            ("These are missing", missing),
            ("These are of another shape or type", wrong),
            ("These are unexpected", unexpected),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"{origin} does not hold the weights of the BERT that its "
            f"configuration describes. {'. '.join(problems)}."
        )
