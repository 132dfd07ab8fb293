"""Bytes of the activations that TensorFlow's operations keep for gradients.

Those of a step that XLA compiles for TPU are in `compiled_activations`. On CPU
and GPU the step is not compiled as a whole: each operation of
`labse/modeling/transformer_block.py` writes its result, and those that a
gradient reads stay until it has run. Below, D is the hidden size, I the
intermediate size, H the number of heads, L the length, c the bytes of a number
in the compute dtype, m 1 with dropout and 0 without. A token of a block keeps

    input of the products, query, key and value              4 c D
    query that is scaled                                       c D
    softmax, float32; dropout's mask; what the values
      are multiplied by                             H L (4 + m + c)
    attended values, input of the intermediate layer         2 c D
    centred values and scales of two layer norms, float32     16 D
    masks of two dropouts                                      2 m D
    gelu, 5 tensors (exact gelu: 4)                            5 c I

The last block of pre-training has queries of masked tokens only: 3 c D are kept
of all tokens, and of these the input of the query, c D.

`tests/labse/training/estimate/activations_test.py` reads the same bytes from
the graph of a training step.
"""

from labse.configs.schema import EncoderConfig, ExperimentConfig

FLOAT_BYTES = 4
_GELU_TENSORS = {"gelu_tanh": 5, "gelu": 4}


def compute_bytes(config: ExperimentConfig) -> int:
    """Of a number in the compute dtype."""
    return 4 if config.training.compute_dtype == "float32" else 2


class Activations:
    """Of an encoder for some texts that are embedded at once."""

    def __init__(
        self, config: ExperimentConfig, texts: int, last_rows: int | None = None
    ):
        """`last_rows`: tokens that the last block computes.

        The others are keys and values there. None: those that the pooling
        reads, [CLS] of each text or all.
        """
        self._config: EncoderConfig = config.encoder
        self._size = self._config.hidden_size
        self._bytes = compute_bytes(config)
        self._length = config.training_length
        self._texts = texts
        self._tokens = texts * self._length
        self._has_masks = bool(self._config.dropout)
        self._has_own_queries = last_rows is not None
        self._last_rows = last_rows or self._tokens
        if last_rows is None and self._config.pooling.startswith("cls"):
            self._last_rows = texts

    def embeddings(self) -> int:
        """Kept from the words' embeddings to the first block.

        Centred values and scales of the layer normalisation, the types as
        one-hot vectors, a mask. An averaging network only has the mask.
        """
        numbers = self._has_masks * self._size
        if self._config.num_layers:
            numbers += 2 * FLOAT_BYTES * self._size
            numbers += FLOAT_BYTES * self._config.type_vocab_size
        return self._tokens * numbers

    def all_blocks(self) -> int:
        """Kept by all blocks, if nothing is rematerialised."""
        blocks = self._config.num_layers
        if not blocks:
            return 0
        return (blocks - 1) * self.block() + self._block(self._last_rows)

    def block(self) -> int:
        """Kept by a block that is computed for all tokens."""
        return self._block(self._tokens)

    def block_inputs(self) -> int:
        """Kept by all blocks if they are rematerialised: float32 inputs."""
        numbers = self._config.num_layers * self._size
        return FLOAT_BYTES * self._tokens * numbers

    def working(self) -> int:
        """The largest memory of gradients beyond what they free meanwhile.

        In the last block, where all others' activations still exist. If it
        computes some tokens only: the gradients of query, key and value, twice,
        and of the input, while query, key and value are free again. Else: two
        tensors of the layer normalisation, or, in float32, those of the
        intermediate layer, when the layer normalisation is free again.
        """
        size, number = self._size, self._bytes
        if not self._config.num_layers:
            return 2 * FLOAT_BYTES * self._tokens * size
        if self._last_rows < self._tokens:
            gradients = self._tokens * (2 * number + FLOAT_BYTES)
            return (gradients + self._queries(self._last_rows) * number) * size
        norm = 2 * FLOAT_BYTES * size
        dense = number * (self._config.intermediate_size + size)
        dense += FLOAT_BYTES * size - norm - self._has_masks * size
        return self._tokens * max(norm, dense)

    def _block(self, rows: int) -> int:
        """Of a block that is computed for `rows` of the tokens."""
        config, size, number = self._config, self._size, self._bytes
        attention_mask = bool(config.attention_dropout)
        probabilities = FLOAT_BYTES + attention_mask
        if number < FLOAT_BYTES or attention_mask:
            probabilities += number  # Else the softmax itself.
        gelu = _GELU_TENSORS[config.activation]
        row = (
            3 * number * size
            + config.num_heads * self._length * probabilities
            + 4 * FLOAT_BYTES * size
            + 2 * self._has_masks * size
            + gelu * number * config.intermediate_size
        )
        projections = 3 * self._tokens + self._queries(rows)
        return number * size * projections + rows * row

    def _queries(self, rows: int) -> int:
        """Of a block that is computed for `rows` of the tokens.

        Those of [CLS] are one product with keys and values, for all tokens.
        """
        return rows if self._has_own_queries else self._tokens
