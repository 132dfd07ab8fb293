"""Bytes of the activations that a step compiled by XLA for TPU keeps.

XLA computes elementwise operations together and again where that is cheap, so
it keeps other tensors than the operations would (`activations`). Read from
programs that the TPU compiler made for v5p, whose memory is so large that it
saves nothing: 3 and 5 blocks of 768, 64 pairs of 128 tokens. D is the hidden
size, I the intermediate size, H the number of heads, L the length, c the bytes
of a number in the compute dtype, m 1 with dropout and 0 without. A token of a
block keeps

    query, key and value                                     3 c D
    attended values, bfloat16 also in float32                2 D
    scores before the softmax, float32                       4 H L
    dropout of the attention, in bfloat16: random bits
      and mask; in float32 they are drawn again              5 m H L
    inputs of two layer norms, float32                       8 D
    random bits of two dropouts                              8 m D
    input of gelu                                            c I

If that does not fit, the compiler computes more again, at the price of time: at
last only query, key and value, the attended values, the input of gelu and that
of one layer norm are kept.
"""

from labse.configs.schema import ExperimentConfig
from labse.training.estimate.activations import (
    FLOAT_BYTES,
    Activations,
)


class CompiledActivations(Activations):
    """Of an encoder for some texts that are embedded at once."""

    def __init__(
        self,
        config: ExperimentConfig,
        texts: int,
        last_rows: int | None = None,
        is_least: bool = False,
    ):
        """`is_least`: what is kept when the compiler saves all it can."""
        super().__init__(config, texts, last_rows)
        self._is_least = is_least

    def embeddings(self) -> int:
        """The input of the layer normalisation; of an averaging network none.

        Its random bits are drawn again.
        """
        if not self._config.num_layers:
            return 0
        return FLOAT_BYTES * self._tokens * self._size

    def random_bits(self) -> int:
        """Of dropouts, where the compiler draws them before the first block.

        While that computes its intermediate layer: its second dropout's, and
        those of the blocks after it, of the attention and twice of the hidden
        size; of the last block those of the tokens that it computes.
        """
        config = self._config
        if config.num_layers < 2:
            return 0
        hidden = self._has_masks * self._size
        attention = bool(config.attention_dropout) * config.num_heads
        row = 2 * hidden + attention * self._length
        rows = (config.num_layers - 2) * self._tokens + self._last_rows
        return FLOAT_BYTES * (rows * row + self._tokens * hidden)

    def first_block(self) -> int:
        """What is there while the first block computes its intermediate layer.

        That, and four tensors of the hidden size, float32.
        """
        numbers = self._bytes * self._config.intermediate_size
        return self._tokens * (numbers + 4 * FLOAT_BYTES * self._size)

    def working(self) -> int:
        """Two tensors of an averaging network; or gradients of the last block.

        Those of query, key and value, and of the input.
        """
        if not self._config.num_layers:
            return self._tokens * 2 * FLOAT_BYTES * self._size
        numbers = self._tokens * (2 * self._bytes + FLOAT_BYTES)
        numbers += self._queries(self._last_rows) * self._bytes
        return numbers * self._size

    def _block(self, rows: int) -> int:
        config, size, number = self._config, self._size, self._bytes
        row = 2 * size + number * config.intermediate_size + FLOAT_BYTES * size
        if not self._is_least:
            row += FLOAT_BYTES * (1 + 2 * self._has_masks) * size
            scores = FLOAT_BYTES
            if config.attention_dropout and number < FLOAT_BYTES:
                scores += FLOAT_BYTES + 1
            row += config.num_heads * self._length * scores
        projections = 2 * self._tokens + self._queries(rows)
        return number * size * projections + rows * row
