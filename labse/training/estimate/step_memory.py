"""Memory of a device in a training step, by part, at the moment of its peak.

Weights and the optimizer's slots are always there. Beyond them there are three
moments, and the largest decides:

    loss        all activations, and the logits
    gradients   all activations, and what the last block's gradient works with
    update      all gradients, that of the word table as a whole table

With a gradient cache the activations are those of a chunk, but the gradients
are there from the start. With rematerialisation they are the inputs of the
blocks, and all activations of one block. A TPU then has a fourth moment:

    forward     the random bits of all dropouts, which are drawn at the start

For TPU the compiler lays out the memory of the whole step, and computes again
what does not fit. So there are two answers, without and with that.
"""

from typing import NamedTuple

from labse.configs.schema import ExperimentConfig
from labse.losses.block_size import BLOCK_LOGITS
from labse.training.estimate.activations import (
    FLOAT_BYTES,
    Activations,
    compute_bytes,
)
from labse.training.estimate.compiled_activations import CompiledActivations
from labse.training.estimate.gradients import is_cached, row_bytes
from labse.training.estimate.hardware import Hardware
from labse.training.estimate.parameters import parameters, trained_parameters

# Tensors of the size of the logits that exist together in the loss.
_LOGIT_TENSORS = 9
# Of temporary memory, what is not used. TensorFlow's allocator gives tensors
# chunks of up to twice their size: 15 and 16 % in steps on a CPU
# (docs/estimating.md). The TPU compiler's layout has gaps: 12 to 15 % in its
# programs for 3 and 5 blocks.
_UNUSED_IN_CHUNKS, _UNUSED_IN_LAYOUT = 0.15, 0.14
# Where it has to save, it packs them closer: 4 % in the program for 256
# rematerialised pairs.
_UNUSED_IN_SAVED_LAYOUT = 0.04
# Where random bits of two sizes are most of it: 28 to 30 % in three programs,
# of 5, 12 and 24 blocks (docs/estimating.md).
_UNUSED_BETWEEN_BITS = 0.29
# Copies of all gradients in the update on several TPU devices: a program with
# 2 blocks for 32 took 3, and 2 of them lived at once: a device's own, and the
# sum. That of an averaging network added them up in place.
_SUMMED_COPIES, _LEAST_SUMMED_COPIES = 3, 2
_INPUTS = 3  # int32: pieces, mask, types


class Peak(NamedTuple):
    """The parts of the memory at the moment of its peak, in bytes."""

    moment: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.parts.values())


class Step:
    """The parts of a step by operations."""

    _unused_share = _UNUSED_IN_CHUNKS

    def __init__(self, config: ExperimentConfig, hardware: Hardware):
        self._config = config
        self._devices = hardware.devices
        training = config.training
        self._pairs = training.global_batch_size // hardware.devices
        self._per_pair = self._texts_of_pair()
        self._texts = self._pairs * self._per_pair
        self._is_cached = is_cached(config, hardware.devices)
        at_once = self._pairs
        if self._is_cached:
            at_once = training.gradient_cache_chunk
        self._row_bytes = row_bytes(config, hardware)
        self._activations = self._make_activations(at_once * self._per_pair)
        self._parameters = parameters(config.encoder)
        self._trained = FLOAT_BYTES * trained_parameters(config.encoder)

    def _texts_of_pair(self) -> int:
        return 2 + self._config.data.hard_negatives

    def _make_activations(self, texts: int) -> Activations:
        return Activations(self._config, texts)

    def peak(self) -> Peak:
        """The largest of the moments."""
        moments = [
            Peak("in the loss", self.in_loss()),
            Peak("when gradients begin", self.in_gradients()),
            Peak("at the update", self.in_update()),
        ]
        return max(moments, key=lambda moment: moment.total)

    def in_loss(self) -> dict[str, int]:
        """All embeddings are there; with a gradient cache, no activations."""
        parts = self._always()
        if not self._is_cached:
            parts |= self._of_encoder()
        return self._with_unused(parts | {"logits": self._logits()})

    def in_gradients(self) -> dict[str, int]:
        """The last block's gradient, before the others free anything."""
        parts = self._always() | self._of_encoder()
        parts["working memory"] = self._activations.working()
        if self._config.training.rematerialize:
            parts["working memory"] += self._activations.block()
        parts["gradients"] = self._block_weights(FLOAT_BYTES)
        if self._is_cached:
            parts["gradients"] += self._trained
        if self._is_cached or not self._config.encoder.num_layers:
            parts["working memory"] += self._table_copy()
        return self._with_unused(parts)

    def in_update(self) -> dict[str, int]:
        """All gradients, and what the word table's update works with.

        That is weight decay, which copies the table and writes a new one; and
        the gradient's rows, while they are made a table. Gradients are clipped
        in place. Tensors of a table's size have chunks of their own size.
        """
        table = FLOAT_BYTES * self._parameters["word embeddings"]
        working = self._table_copy() + table + self._row_bytes
        parts = {"gradients": self._trained, "working memory": working}
        return self._always() | parts

    def _table_copy(self) -> int:
        """What weight decay reads, a copy because of the lookups.

        It is made early and waits for the last lookup: with a gradient cache
        that of the last chunk. An averaging network is little more than one.
        """
        return FLOAT_BYTES * self._parameters["word embeddings"]

    def _with_unused(self, parts: dict[str, int]) -> dict[str, int]:
        persistent = ("weights", "optimizer's slots", "input", "unused")
        temporary = sum(v for k, v in parts.items() if k not in persistent)
        return parts | {"unused": int(self._unused_share * temporary)}

    def _always(self) -> dict[str, int]:
        numbers = sum(self._parameters.values())
        tokens = self._texts * self._config.training_length
        return {
            "weights": FLOAT_BYTES * numbers,
            "optimizer's slots": 2 * self._trained,
            "gathered embeddings": self._embeddings(),
            # As batches of sides, and joined.
            "input": 2 * _INPUTS * FLOAT_BYTES * tokens,
        }

    def _of_encoder(self) -> dict[str, int]:
        """What a pass with gradients keeps."""
        kept = self._activations.embeddings()
        if self._config.training.rematerialize:
            kept += self._activations.block_inputs()
        else:
            kept += self._activations.all_blocks()
        copies = self._config.encoder.num_layers * self._block_copies()
        return {"activations": kept, "weights to compute with": copies}

    def _block_weights(self, number_bytes: int) -> int:
        """Of one block."""
        blocks = self._config.encoder.num_layers
        if not blocks:
            return 0
        return number_bytes * self._parameters["blocks"] // blocks

    def _block_copies(self) -> int:
        """Of one block's weights: in bfloat16, or query, key, value joined."""
        number_bytes = compute_bytes(self._config)
        if number_bytes < FLOAT_BYTES:
            return self._block_weights(number_bytes)
        return FLOAT_BYTES * 3 * self._config.encoder.hidden_size**2

    def _embeddings(self) -> int:
        """The global batch's embeddings and their gradients."""
        texts = self._texts * self._devices
        return 2 * FLOAT_BYTES * texts * self._config.encoder.hidden_size

    def _logits(self) -> int:
        batch = self._config.training.global_batch_size
        columns = batch * (1 + self._config.data.hard_negatives)
        block = max(columns, min(self._pairs * columns, BLOCK_LOGITS))
        return _LOGIT_TENSORS * FLOAT_BYTES * block


class CompiledStep(Step):
    """The parts of a step that is compiled for TPU."""

    _unused_share = _UNUSED_IN_LAYOUT

    def __init__(
        self,
        config: ExperimentConfig,
        hardware: Hardware,
        is_least: bool = False,
    ):
        """`is_least`: the compiler computes again what it can."""
        self._is_least = is_least
        if is_least:
            self._unused_share = _UNUSED_IN_SAVED_LAYOUT
        super().__init__(config, hardware)

    def _make_activations(self, texts: int) -> Activations:
        return CompiledActivations(self._config, texts, is_least=self._is_least)

    def peak(self) -> Peak:
        """The largest of the moments.

        Nothing that a random bit depends on keeps the compiler from drawing
        those of all blocks before the first one. Where blocks keep their
        activations, the bits are among them. It draws them later if it must.
        """
        found = super().peak()
        if self._is_least or not self._config.training.rematerialize:
            return found
        forward = Peak("when the forward pass begins", self.in_forward())
        return max(found, forward, key=lambda moment: moment.total)

    def in_forward(self) -> dict[str, int]:
        """Random bits, and the first block."""
        copies = self._config.encoder.num_layers * self._block_copies()
        parts = {
            "random bits": self._activations.random_bits(),
            "working memory": self._activations.first_block(),
            "weights to compute with": copies,
        }
        parts["unused"] = int(_UNUSED_BETWEEN_BITS * sum(parts.values()))
        return self._always() | parts

    def _table_copy(self) -> int:
        return 0  # Weight decay is one operation with the update.

    def in_update(self) -> dict[str, int]:
        """All gradients; on several devices, also their sums.

        As in the compiled programs, which update in place.
        """
        copies = 1
        if self._devices > 1 and self._config.encoder.num_layers:
            copies = _LEAST_SUMMED_COPIES if self._is_least else _SUMMED_COPIES
        return self._always() | {"gradients": copies * self._trained}
