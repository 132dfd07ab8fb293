"""A run: tasks trained into a run folder, stopped and resumed at any step.

A run is a pure function of its configuration, files and seed. A checkpoint
holds the weights, the optimizer and the step; the data of a step and its
dropout follow from seed and step alone. So a run that is killed and started
again ends with the same bits as one that was not.
"""

import gc
from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from absl import logging

from labse.configs.schema import TrainingConfig
from labse.errors import InputError
from labse.files.remote_path import AnyPath
from labse.modeling.trainable_model import TrainableModel
from labse.training import history
from labse.training.checkpoints import RunCheckpoints, best_figures, last_step
from labse.training.distribution import Workers
from labse.training.lost_workers import lost_workers_reported
from labse.training.progress import TrainingProgress
from labse.training.step_loop import Stage, StepLoop, Stop
from labse.training.task import Task


class Run:
    """Trains one task, or several as stages, into a run folder."""

    def __init__(
        self,
        folder: AnyPath,
        config: TrainingConfig,
        strategy: tf.distribute.Strategy,
    ):
        """Checks that the devices fit the batch.

        Args:
          folder: the run folder; `run_folder.create` makes it.
          config: of all stages, except for `num_steps` and the optimizer's
            values, which are the tasks' own.

        Raises:
          InputError: the global batch does not divide by the replicas, or a
            replica's by `gradient_cache_chunk`.
        """
        replicas = strategy.num_replicas_in_sync
        if config.global_batch_size % replicas:
            raise InputError(
                "training.global_batch_size must be a multiple of the number "
                f"of replicas. Received: {config.global_batch_size} and "
                f"{replicas}."
            )
        config.check_chunk(replicas)
        self._folder = folder
        self._config = config
        self._strategy = strategy
        self._workers = Workers(strategy)

    def train(self, tasks: Sequence[Task]) -> bool:
        """Trains the stages to the last step, a signal, or an early stop.

        SIGTERM and SIGINT take effect after the step in progress is saved.

        Returns:
          whether training is finished. False: a signal stopped it, here or on
          another worker.

        Raises:
          InputError: the loss was not finite, or a checkpoint does not fit.
          LostWorkerError: another worker, or a host of the TPU, is gone.
        """
        with lost_workers_reported():
            return self._train(tasks)

    def _train(self, tasks: Sequence[Task]) -> bool:
        step = last_step(self._folder)
        last = sum(task.num_steps for task in tasks)
        if step is not None:
            logging.info("Resuming from step %d.", step)
            self._check_resumed(step, last)
        if self._workers.is_chief:
            history.truncate(self._folder, step or 0)
        with TrainingProgress(
            self._folder,
            tasks,
            self._config.global_batch_size,
            writes=self._workers.is_chief,
        ) as progress:
            stage, stop = self._train_stages(tasks, step or 0, progress)
        finished = stop.early or stage.current_step() == last
        if finished and self._workers.is_chief:
            self._log_what_is_loaded(stage)
        return finished

    def _check_resumed(self, step: int, last: int) -> None:
        """Checks that steps are left at which to log, validate and save."""
        at_once = self._config.steps_per_execution
        if step < last and step % at_once:
            raise InputError(
                "A run is resumed at a multiple of "
                f"training.steps_per_execution. Received: {at_once}, and "
                f"{self._folder} is at step {step}. Take the value with which "
                "it was stopped, or 1."
            )

    def _train_stages(
        self, tasks: Sequence[Task], step: int, progress: TrainingProgress
    ) -> tuple[Stage, Stop]:
        """Trains from `step` on; returns the last stage, and why it stopped."""
        start, previous = 0, None
        for task in tasks:
            steps = range(start, start + task.num_steps)
            start = steps.stop
            # A stage that ends where the run resumes has no step left, but the
            # next one starts from its weights.
            if step > steps.stop:
                continue
            is_final = steps.stop == sum(each.num_steps for each in tasks)
            stage = self._make_stage(task, steps, previous, is_final)
            # Its weights and moments would take the device's memory.
            previous = None
            gc.collect()  # Keras' models refer to themselves.
            stop = self._fit(stage, progress)
            if any(stop):
                break
            previous = stage.model
        return stage, stop

    def _make_stage(
        self,
        task: Task,
        steps: range,
        previous: TrainableModel | None,
        is_final: bool,
    ) -> Stage:
        """The stage with its model, restored or initialized."""
        # For each stage anew: its random initialization must not depend on
        # how much of the stage before ran in this process.
        tf_keras.utils.set_random_seed(self._config.seed)
        if self._config.deterministic:
            tf.config.experimental.enable_op_determinism()
        with self._strategy.scope():
            model = task.make_model()
            model.first_step = steps.start
            optimizer = task.make_optimizer()
            optimizer.build(model.trainable_variables)
            model.compile(
                optimizer=optimizer,
                steps_per_execution=self._config.steps_per_execution,
            )
        checkpoints = RunCheckpoints(
            self._folder, task.checkpointed(model), optimizer
        )
        # A checkpoint belongs to the stage that took its last step.
        if (last_step(self._folder) or 0) > steps.start:
            checkpoints.restore_last()
        else:
            task.initialize(model, previous)
        return Stage(task, model, checkpoints, steps, is_final)

    def _fit(self, stage: Stage, progress: TrainingProgress) -> Stop:
        """Trains the rest of a stage; returns why it stopped before the end."""
        loop = StepLoop(
            stage, self._folder, self._config, self._workers, progress
        )
        steps = loop.remaining_steps
        with loop.signals:
            loop.validate_if_missed()
            if steps and not loop.stops_before_first_step():
                progress.start(steps.start)
                try:
                    stage.model.fit(
                        self._batches(stage.task, steps),
                        steps_per_epoch=len(steps),
                        epochs=1,
                        verbose=0,
                        callbacks=[loop],
                    )
                except tf.errors.OpError as error:
                    stage.task.check_data(loop.next_step, error)
                    raise
        return loop.stop

    def _batches(self, task: Task, steps: range):
        """The batches of `steps` for `fit`, spread over the replicas."""
        replicas = self._strategy.num_replicas_in_sync
        batch_size = self._config.global_batch_size // replicas

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * count
            return task.batches(steps, batch_size, range(first, first + count))

        if replicas == 1:
            return of_worker(tf.distribute.InputContext())
        return self._strategy.distribute_datasets_from_function(of_worker)

    def _log_what_is_loaded(self, stage: Stage) -> None:
        best = best_figures(self._folder)
        opens = stage.task.opened_by.format(run=self._folder)
        step, score = stage.current_step(), stage.task.score
        if best is None:
            logging.info(
                "Finished at step %d. %s opens this checkpoint; with "
                "validation data it would open the best one.",
                step,
                opens,
            )
        elif score is None:
            logging.info(
                "Finished at step %d. %s opens the checkpoint of step %d, the "
                "best one of earlier validations.",
                step,
                opens,
                best["step"],
            )
        else:
            logging.info(
                "Finished at step %d. %s opens the checkpoint with the best "
                "validation %s, that of step %d: %.4f.",
                step,
                opens,
                score,
                best["step"],
                best[score],
            )
