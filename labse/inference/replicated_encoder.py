"""A `SentenceEncoder` in training, run on all devices of its strategy."""

import numpy as np
import tensorflow as tf

from labse.features import MODEL_INPUTS
from labse.inference.encoder_model import EncoderModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.tokenizer import WordPieceTokenizer

# Of one replica in one step. A TPU compiles a program for each shape, so the
# last batch is filled up, and lengths are rounded up to powers of two.
_ROWS = 64
_LEAST_LENGTH = 8


class ReplicatedEncoder(EncoderModel):
    """An encoder of `MirroredStrategy` or `TPUStrategy`.

    `EncoderModel` alone would run on one device, and with a TPU on the CPU of
    the coordinator. It reads the variables at each call, so it may be kept
    while training goes on; a TPU then compiles each shape once.
    """

    def __init__(
        self,
        encoder: SentenceEncoder,
        tokenizer: WordPieceTokenizer,
        max_length: int,
        strategy: tf.distribute.Strategy,
    ):
        """Takes a built encoder, whose variables belong to the strategy."""
        self._strategy = strategy
        self._batch_rows = _ROWS * strategy.num_replicas_in_sync
        super().__init__(encoder, tokenizer, max_length)

    def _embedding_graph(self, encoder):
        @tf.function(autograph=False)
        def embed(inputs):
            """Takes and returns a value for each replica."""
            return self._strategy.run(
                lambda own: encoder(own, training=False), (inputs,)
            )

        return embed

    def _encode_chunk(self, texts, batch_size, *how):
        batch_size = batch_size or self._batch_rows
        return super()._encode_chunk(texts, batch_size, *how)

    def _embed(self, prepared, rows):
        vectors = [
            self._embed_batch(prepared, rows[start : start + self._batch_rows])
            for start in range(0, len(rows), self._batch_rows)
        ]
        return np.concatenate(vectors)

    def _embed_batch(self, prepared, rows: np.ndarray) -> np.ndarray:
        """Vectors of at most `_ROWS` texts a replica: float32 [k, dim]."""
        inputs = self._pack()(
            *prepared.data, tf.constant(rows), tf.constant(self.max_length)
        )
        longest = int(prepared.lengths[rows].max())
        length = _LEAST_LENGTH
        while length < longest:
            length *= 2
        shape = [self._batch_rows, min(length, self.max_length)]
        filled = {
            name: _filled_up(inputs[name].numpy(), shape)
            for name in MODEL_INPUTS
        }

        def of_replica(context) -> dict:
            start = context.replica_id_in_sync_group * _ROWS
            return {
                name: tf.constant(values[start : start + _ROWS])
                for name, values in filled.items()
            }

        vectors = self._embed_inputs(
            self._strategy.experimental_distribute_values_from_function(
                of_replica
            )
        )
        parts = self._strategy.experimental_local_results(vectors)
        return np.concatenate([part.numpy() for part in parts])[: len(rows)]


def _filled_up(values: np.ndarray, shape: list[int]) -> np.ndarray:
    """int32 [rows, length] with zeros below and to the right."""
    filled = np.zeros(shape, np.int32)
    filled[: len(values), : values.shape[1]] = values
    return filled
