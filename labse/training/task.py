"""What one kind of training adds to a run.

`labse.training.run.Run` has everything that all trainings share: the run
folder, checkpoints, resuming, signals, validation's best checkpoint, early
stopping, the progress bar, history.jsonl and TensorBoard. A task has the rest.
The smallest one is a model and its batches:

    class LineTask(Task):
        num_steps = 100

        def make_model(self):
            return Line()  # a TrainableModel

        def make_optimizer(self):
            return optimizer.make_optimizer(training_config)

        def batches(self, steps, batch_size, replicas):
            return tf.data.Dataset.range(steps.start, steps.stop).map(...)

    Run(folder, training_config, strategy).train([LineTask()])

Several tasks in one list are the stages of a run, trained one after another;
`initialize` gives a stage the weights of the stage before (progressive
stacking, section 3.4: 3, 6 and then 12 blocks).
"""

import abc
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras

from labse.modeling.trainable_model import TrainableModel


class Task(abc.ABC):
    """One kind of training, or one stage of it.

    A resumed run ends with the same weights as an uninterrupted one if all
    that a task does is a function of its arguments, of fixed seeds and of the
    optimizer's step.

    Attributes:
      num_steps: optimizer steps of this task.
      unit: what a batch consists of, for rates such as "pairs_per_second".
      shown_metrics: format of each metric that the progress bar shows.
      counts: metrics that count something in an example, such as "tokens",
        whose rates are logged too: "tokens_per_second".
      step_cost: how long a step takes, relative to those of other stages; for
        the time left.
      opened_by: what opens the trained model, `run` being the run folder.
      score: which of `validate`'s figures chooses the best checkpoint (higher
        is better); None where there is no validation.
    """

    num_steps: int
    unit: str = "examples"
    shown_metrics: Mapping[str, str] = {"loss": ".4f"}
    counts: Sequence[str] = ()
    step_cost: float = 1.0
    opened_by: str = "labse.load('{run}')"
    score: str | None = None

    @abc.abstractmethod
    def make_model(self) -> TrainableModel:
        """A built model; called in the strategy's scope after seeding."""

    @abc.abstractmethod
    def make_optimizer(self) -> tf_keras.optimizers.Optimizer:
        """A new optimizer; called in the strategy's scope."""

    @abc.abstractmethod
    def batches(
        self, steps: range, batch_size: int, replicas: range
    ) -> tf.data.Dataset:
        """The batches of consecutive steps.

        Args:
          steps: of the run; those of a later stage follow the earlier ones.
          batch_size: examples in one replica's batch.
          replicas: the replicas, of all in the job, that this pipeline feeds.

        Returns:
          for each step one batch for each of `replicas`, in this order.
        """

    def checkpointed(self, model: TrainableModel) -> dict:
        """The parts of the model that checkpoints hold, by name."""
        return {"model": model}

    def initialize(  # noqa: B027 (optional)
        self, model: TrainableModel, previous: TrainableModel | None
    ) -> None:
        """Sets the weights that training starts from.

        Not called where a checkpoint of this task is restored.

        `previous` is the trained model of the stage before; None in the first.
        """

    def validate(self, model: TrainableModel) -> dict:
        """Figures, and dicts of figures; called if there is a `score`."""
        raise NotImplementedError

    def check_metrics(  # noqa: B027 (optional)
        self, step: int, metrics: Mapping[str, float]
    ) -> None:
        """Warns of metrics that show a mistake in the data."""

    def check_data(  # noqa: B027 (optional)
        self, step: int, error: tf.errors.OpError
    ) -> None:
        """Raises `InputError` where damaged data ended training.

        Called when TensorFlow raised an error in training.

        Args:
          step: the first one that did not end, from 0.
          error: what TensorFlow raised.
        """
