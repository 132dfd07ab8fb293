"""AdamW with warm-up and linear decay to zero (section 3.2)."""

from collections.abc import Iterable

import tensorflow as tf
import tf_keras

from labse.configs.schema import TrainingConfig

# Variables without weight decay, by parts of their names, as in BERT. The norm
# of the masked-LM head has Model Garden's name.
NOT_DECAYED = ("layer_norm", "LayerNorm", "bias")


@tf_keras.utils.register_keras_serializable(package="labse")
class WarmupLinearDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then linear decay to zero.

    The first step has `peak / warmup_steps`, not 0, so that it is not lost; the
    step after the last would have 0.

    Of a later stage of a run, whose optimizer counts from 0 again, `first_step`
    is the run's step that it begins at: the learning rate continues from there.
    Its first `stage_warmup_steps` steps, n of them, have 1, 2, ... n parts in
    n + 1 of that.
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        num_steps: int,
        first_step: int = 0,
        stage_warmup_steps: int = 0,
    ):
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.num_steps = num_steps
        self.first_step = first_step
        self.stage_warmup_steps = stage_warmup_steps

    def __call__(self, step):
        """The learning rate of the optimizer's `step`, from 0: float32."""
        step = tf.cast(step, tf.float32)
        stage = tf.minimum((step + 1.0) / (self.stage_warmup_steps + 1), 1.0)
        step += self.first_step
        warmup = (step + 1.0) / max(self.warmup_steps, 1)
        decay = (self.num_steps - step) / (self.num_steps - self.warmup_steps)
        rate = self.peak * tf.maximum(tf.minimum(warmup, decay), 0.0)
        return rate * stage

    def get_config(self):
        """The arguments of `from_config`."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "num_steps": self.num_steps,
            "first_step": self.first_step,
            "stage_warmup_steps": self.stage_warmup_steps,
        }


@tf_keras.utils.register_keras_serializable(package="labse")
class AdamW(tf_keras.optimizers.AdamW):
    """Keras' AdamW with each variable's update in one pass over memory.

    Keras makes about a dozen passes, also over the table of word embeddings; on
    CPU they took longer than the rest of an averaging network's step
    (`benchmarks/optimizer.py`).

    Args:
      moments_age: the steps that the moments at its first step have behind
        them, see `copy_moments`.
    """

    def __init__(self, *args, moments_age: int = 0, **kwargs):
        super().__init__(*args, **kwargs)
        self.moments_age = moments_age

    def copy_moments(
        self,
        other: "AdamW",
        pairs: Iterable[tuple[tf.Variable, tf.Variable]],
    ) -> None:
        """Takes over another optimizer's moments.

        A moment of n steps is (1 - beta^n) times what it estimates, which
        Adam corrects for. This optimizer counts its own steps from 0, so it
        needs to know the `moments_age`: it would divide moments of thousands
        of steps by 1 - beta, and make the first steps a thousand times longer.

        Args:
          other: built, and has trained for `moments_age` steps.
          pairs: a variable of this optimizer, and one of the other.
        """
        for own, theirs in pairs:
            place = self._index_dict[self._var_key(own)]
            from_place = other._index_dict[other._var_key(theirs)]
            for name in ("_momentums", "_velocities"):
                moment = getattr(other, name)[from_place]
                getattr(self, name)[place].assign(moment)

    def get_config(self):
        """The arguments of `from_config`."""
        return {**super().get_config(), "moments_age": self.moments_age}

    def _clip_gradients(self, grads):
        # Dense first, so that a lookup's rows of equal index are added up: the
        # norm is then that of the gradient, as it is on TPU and with a gradient
        # cache. Keras would take the norm of the rows.
        return super()._clip_gradients([tf.convert_to_tensor(g) for g in grads])

    def update_step(self, gradient, variable):
        """Keras' formula, by TensorFlow's fused kernel."""
        dtype = variable.dtype
        step = tf.cast(self.iterations + self.moments_age + 1, dtype)
        beta_1, beta_2 = (
            tf.cast(self.beta_1, dtype),
            tf.cast(self.beta_2, dtype),
        )
        index = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(self.learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )


def make_optimizer(
    config: TrainingConfig,
    first_step: int = 0,
    stage_warmup_steps: int = 0,
    moments_age: int = 0,
) -> AdamW:
    """AdamW as configured; call it in the strategy's scope.

    The other arguments are of a stage that is not a run's first: see
    `WarmupLinearDecay` and `AdamW`.
    """
    optimizer = AdamW(
        learning_rate=WarmupLinearDecay(
            config.learning_rate,
            config.warmup_steps,
            config.num_steps,
            first_step,
            stage_warmup_steps,
        ),
        moments_age=moments_age,
        weight_decay=config.weight_decay,
        beta_1=config.adam_beta_1,
        beta_2=config.adam_beta_2,
        epsilon=config.adam_epsilon,
        global_clipnorm=config.gradient_clip_norm or None,
        # Keras would use XLA on GPU by default; that is the caller's choice.
        jit_compile=False,
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
