"""The training step that all models share."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from labse.modeling.cross_replica import cross_replica_concat, replica_id


class TrainableModel(tf_keras.Model):
    """A Keras model that minimises a loss over the global batch.

    A subclass implements `replica_loss` and updates `means` in it. The step
    below adds what `labse.training.run.Run` relies on: metrics that are means
    since they were last reset, and `non_finite_step`.

    Attributes:
      first_step: the run's step at which the optimizer has counted 0; not 0
        in a later stage of a run, whose dropout would repeat that of the first
        one. Set before the model is trained.
      means: the metrics by name; the first should be the loss.
      non_finite_step: int64 variable, the first step (from 0, counted by the
        optimizer) whose loss or gradients were not finite, or -1.
    """

    def __init__(self, metric_names: Sequence[str] = ("loss",), **kwargs):
        super().__init__(**kwargs)
        self.first_step = 0
        self._make_means(metric_names)
        self.non_finite_step = tf.Variable(
            -1,
            trainable=False,
            dtype=tf.int64,
            name="non_finite_step",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    # Checkpoints do not hold them: to save a metric, all workers would have to
    # save at once, and only the chief does.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _make_means(self, names: Sequence[str]) -> None:
        self.means = {name: tf_keras.metrics.Mean(name=name) for name in names}

    def replica_loss(self, inputs, training: bool) -> tf.Tensor:
        """This replica's part of the loss, a scalar; updates the metrics.

        The optimizer adds up the replicas' gradients, so the parts must add
        up to the loss of the global batch: a mean is divided by the number of
        examples (or tokens) of all replicas, not of this one.
        """
        raise NotImplementedError

    def seed_of_step(self, seed: int) -> tf.Tensor:
        """Of this step's dropout on this replica: int32 [2].

        A restored run draws the masks that an uninterrupted one would have
        drawn.
        """
        step = self.optimizer.iterations + self.first_step
        return tf.random.experimental.stateless_fold_in(
            [seed, replica_id()], tf.cast(step, tf.int32)
        )

    # To look for Python's loops and conditions takes a second, and there are
    # none that depend on tensors.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data):
        """One optimizer step; called by Keras' `fit`."""
        inputs, _, _ = tf_keras.utils.unpack_x_y_sample_weight(data)
        step = tf.identity(self.optimizer.iterations)
        loss, gradients = self.loss_and_gradients(inputs)
        self._record_non_finite(loss, gradients, step)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        return {name: mean.result() for name, mean in self.means.items()}

    def loss_and_gradients(self, inputs) -> tuple[tf.Tensor, list]:
        """`replica_loss` in training, and the trainable variables' gradients.

        The gradients are those of this replica, tensors or `tf.IndexedSlices`.
        """
        with tf.GradientTape() as tape:
            loss = self.replica_loss(inputs, training=True)
        return loss, tape.gradient(loss, self.trainable_variables)

    def _record_non_finite(self, loss, gradients, step):
        finite = tf.math.is_finite(loss + tf.linalg.global_norm(gradients))
        # One replica's NaN is in everybody's weights after this step, so all
        # replicas record the same.
        bad = cross_replica_concat(tf.cast(~finite, tf.int32)[None])
        first = (self.non_finite_step < 0) & tf.reduce_any(bad > 0)
        self.non_finite_step.assign(tf.where(first, step, self.non_finite_step))

    @tf.autograph.experimental.do_not_convert
    def test_step(self, data):
        """The metrics of a batch, without dropout; called by `evaluate`."""
        inputs, _, _ = tf_keras.utils.unpack_x_y_sample_weight(data)
        self.replica_loss(inputs, training=False)
        return {name: mean.result() for name, mean in self.means.items()}

    @property
    def metrics(self):
        """Reset by Keras at the start of each epoch."""
        return list(self.means.values())
