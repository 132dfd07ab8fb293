"""A masked language model's predictions, on all devices in use here."""

import numpy as np
import tensorflow as tf

from labse.modeling.masked_lm import MaskedLanguageModel

# Of one replica in one step: tokens, padding included.
_STEP_TOKENS = 2048


class MaskedPredictions:
    """Predicts the masked tokens of batches, without dropout.

    It reads the variables at each call, so it may be kept between validations;
    a TPU then compiles each length once.
    """

    def __init__(self, model: MaskedLanguageModel):
        """Takes a built model; its variables may belong to a strategy."""
        strategy = model.distribute_strategy
        self._replicas = 1
        # With several workers, validation is the chief's alone.
        if isinstance(
            strategy, tf.distribute.MirroredStrategy | tf.distribute.TPUStrategy
        ):
            self._replicas = strategy.num_replicas_in_sync
        self._strategy = strategy

        @tf.function(autograph=False)
        def predict(batch):
            if self._replicas == 1:
                return model.predict_masked(batch)
            return strategy.run(model.predict_masked, (batch,))

        self._graph = predict

    def __call__(
        self, rows: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The loss of each masked token, and 1 where it is predicted rightly.

        Args:
          rows: of a batch, any number of sequences of one length.

        Returns:
          two arrays, float32 [n, most masked].
        """
        count, length = rows["input_mask"].shape
        of_replica = max(_STEP_TOKENS // length, 1)
        step = of_replica * self._replicas
        parts = []
        for start in range(0, count, step):
            batch = {
                name: _filled_up(values[start : start + step], step)
                for name, values in rows.items()
            }
            found = self._predict(batch, of_replica)
            parts.append([each[: count - start] for each in found])
        loss, correct = zip(*parts, strict=True)
        return np.concatenate(loss), np.concatenate(correct)

    def _predict(
        self, batch: dict[str, np.ndarray], of_replica: int
    ) -> list[np.ndarray]:
        """`__call__` of one step: a batch for each replica, in their order."""
        if self._replicas == 1:
            found = self._graph(_tensors(batch))
            return [found[name].numpy() for name in ("loss", "correct")]

        def batch_of(context) -> dict:
            start = context.replica_id_in_sync_group * of_replica
            own = slice(start, start + of_replica)
            return _tensors({name: x[own] for name, x in batch.items()})

        strategy = self._strategy
        found = self._graph(
            strategy.experimental_distribute_values_from_function(batch_of)
        )
        return [
            np.concatenate(
                [
                    part.numpy()
                    for part in strategy.experimental_local_results(found[name])
                ]
            )
            for name in ("loss", "correct")
        ]


def _tensors(batch: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(values) for name, values in batch.items()}


def _filled_up(values: np.ndarray, count: int) -> np.ndarray:
    """The rows of a batch, with rows of zeros up to `count`."""
    missing = [(0, count - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing)
