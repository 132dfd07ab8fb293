"""Tasks other than the dual encoder, through the same `Run`."""

import dataclasses
import json
import os
import pathlib
import signal
import sys
import weakref

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.schema import TrainingConfig
from labse.errors import InputError, LostWorkerError
from labse.files.remote_path import as_path
from labse.modeling.cross_replica import num_replicas
from labse.modeling.trainable_model import TrainableModel
from labse.training.checkpoints import RunCheckpoints, best_figures
from labse.training.optimizer import make_optimizer
from labse.training.run import Run
from labse.training.task import Task

CONFIG = TrainingConfig(
    global_batch_size=8,
    num_steps=20,
    learning_rate=0.3,
    warmup_steps=2,
    weight_decay=0.0,
    # It would hold for the whole process, and so for all later tests.
    deterministic=False,
    log_every=2,
    checkpoint_every=4,
    validate_every=4,
)


class Line(TrainableModel):
    """y = slope * x, by least squares."""

    def __init__(self):
        super().__init__(("loss", "dropout"))
        self.slope = tf.Variable(0.0)

    def predict_y(self, x):
        return self.slope * x

    def replica_loss(self, inputs, training):
        errors = (self.predict_y(inputs["x"]) - inputs["y"]) ** 2
        self.means["loss"].update_state(errors)
        if training:
            # What dropout would be made of.
            random = tf.random.stateless_uniform([], self.seed_of_step(5))
            self.means["dropout"].update_state(random)
        return tf.reduce_mean(errors) / num_replicas()


def batch_of_step(step, batch_size):
    x = tf.random.stateless_uniform([batch_size], [0, step], -1, 1)
    return {"x": x, "y": 3 * x + 2 * x**2}


class LineTask(Task):
    num_steps = 20

    def make_model(self):
        return Line()

    def make_optimizer(self):
        return make_optimizer(CONFIG)

    def batches(self, steps, batch_size, replicas):
        dataset = tf.data.Dataset.range(steps.start, steps.stop)
        return dataset.map(lambda step: batch_of_step(step, batch_size))


class Parabola(Line):
    """y = slope * x + curvature * x^2."""

    def __init__(self):
        super().__init__()
        self.curvature = tf.Variable(0.0)

    def predict_y(self, x):
        return super().predict_y(x) + self.curvature * x**2


class ParabolaTask(LineTask):
    """The second stage: the line, grown by a term."""

    score = "fit"

    def __init__(self):
        self.started_with = []

    def make_model(self):
        return Parabola()

    def initialize(self, model, previous):
        model.slope.assign(previous.slope)
        self.started_with.append(float(previous.slope))

        self.smaller = weakref.ref(previous)

    def validate(self, model):
        return {"fit": -abs(float(model.curvature) - 2)}


class Killed(Exception):
    """What ends a run in these tests as a kill would."""


def stopping_at(task, step, stop):
    """The task, with `stop` called when this step of the run is logged."""

    def check_metrics(logged_step, metrics):
        if logged_step == step:
            stop()

    task.check_metrics = check_metrics
    return task


def killed():
    raise Killed


def train(folder, tasks, config=CONFIG):
    return Run(folder, config, tf.distribute.get_strategy()).train(tasks)


def final_weights(folder):
    prefix = tf.train.latest_checkpoint(folder / "checkpoints" / "last")
    # `tf.train.load_checkpoint` takes a prefix in ram:// for a folder.
    reader = tf.compat.v1.train.NewCheckpointReader(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def records(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    for record in found:
        for name in ("examples_per_second", "seconds_left"):
            record.pop(name, None)
    return found


def assert_same_run(one, other):
    assert records(one) == records(other)
    expected, weights = final_weights(one), final_weights(other)
    assert expected.keys() == weights.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def test_another_task_is_killed_and_resumes_with_the_same_bits(
    run_python, tmp_path
):
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert train(whole, [LineTask()])
    steps = [record["step"] for record in records(whole)]
    assert steps == list(range(2, 21, 2))
    # The x^2 of the data is 2/3 on average, and no line fits it.
    slope = final_weights(whole)["model/slope/.ATTRIBUTES/VARIABLE_VALUE"]
    assert slope == pytest.approx(3, abs=0.5)
    process = run_python(__file__, out)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert records(out)[-1]["step"] == 8
    latest = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    assert latest.endswith("step-8")
    assert train(out, [LineTask()])
    assert_same_run(whole, out)


def stages():
    return [LineTask(), ParabolaTask()]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """Two stages that nothing interrupted."""
    folder = tmp_path_factory.mktemp("grown")
    assert train(folder, stages())
    return folder


def test_random_numbers_are_those_of_the_runs_step(tmp_path):
    """They do not repeat in the second stage."""
    config = dataclasses.replace(CONFIG, log_every=1)
    assert train(tmp_path, stages(), config)
    found = [each["dropout"] for each in records(tmp_path) if "loss" in each]
    seeds = tf.random.experimental.stateless_fold_in
    expected = [
        float(tf.random.stateless_uniform([], seeds([5, 0], step)))
        for step in range(40)
    ]
    assert found == pytest.approx(expected)
    assert len(set(found)) == 40


def test_a_run_is_resumed_at_whole_executions(tmp_path):
    """From step 5 in threes it would never be at a step to log, or to save."""

    def every(steps, **options):
        names = ("log_every", "checkpoint_every", "validate_every")
        options |= dict.fromkeys(names, steps)
        return dataclasses.replace(CONFIG, **options)

    with pytest.raises(Killed):
        train(tmp_path, [stopping_at(LineTask(), 10, killed)], every(5))
    threes = every(3, steps_per_execution=3)
    with pytest.raises(InputError) as error:
        train(tmp_path, [LineTask()], threes)
    assert str(error.value) == (
        "A run is resumed at a multiple of training.steps_per_execution. "
        f"Received: 3, and {tmp_path} is at step 5. Take the value with which "
        "it was stopped, or 1."
    )
    assert train(tmp_path, [LineTask()], every(5))
    assert train(tmp_path, [LineTask()], threes)  # It is finished.


def test_the_first_stages_memory_is_free_in_the_second(tmp_path):
    tasks = stages()
    alive = []
    tasks[1].check_metrics = lambda *_: alive.append(tasks[1].smaller())
    assert train(tmp_path, tasks)
    assert alive == [None] * 10


def test_the_second_stage_starts_from_the_first(grown, tmp_path):
    assert train(tmp_path, [LineTask()])
    slope = final_weights(tmp_path)["model/slope/.ATTRIBUTES/VARIABLE_VALUE"]
    tasks = stages()
    assert train(tmp_path, tasks)
    assert tasks[1].started_with == [slope]
    assert_same_run(grown, tmp_path)


# In the first stage; at its end, before the second has a checkpoint; in the
# second.
@pytest.mark.parametrize(
    "step, initialized", [(10, True), (22, True), (34, False)]
)
def test_a_run_resumes_in_the_right_stage(grown, tmp_path, step, initialized):
    tasks = [stopping_at(task, step, killed) for task in stages()]
    with pytest.raises(Killed):
        train(tmp_path, tasks)
    tasks = stages()
    assert train(tmp_path, tasks)
    assert bool(tasks[1].started_with) == initialized
    assert_same_run(grown, tmp_path)


def test_a_remote_run_is_killed_and_resumes(grown):
    """On a file system of TensorFlow's that lives in memory."""
    out = as_path("ram://bucket/runs/killed")
    with pytest.raises(Killed):
        train(out, [stopping_at(task, 34, killed) for task in stages()])
    assert train(out, stages())
    assert_same_run(grown, out)
    assert [path.name for path in (out / "checkpoints" / "best").iterdir()]
    assert any("tfevents" in path.name for path in (out / "logs").iterdir())


class Stopped(Exception):
    """What SIGTERM does in these tests, in place of ending the process."""


@pytest.fixture
def stopped_by_sigterm():
    def stop(number, frame):
        raise Stopped

    previous = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, previous)


def failing_at(step, fail):
    """The stages; `fail` is called in the validation of a step of the run."""
    tasks = stages()

    def validate(model):
        if int(model.optimizer.iterations) == step - 20:
            fail()
        return ParabolaTask.validate(tasks[1], model)

    tasks[1].validate = validate
    return tasks


@pytest.mark.parametrize("step", [28, 40])
def test_sigterm_ends_a_validation_which_the_next_start_makes_up_for(
    grown, tmp_path, stopped_by_sigterm, step
):
    tasks = failing_at(step, lambda: signal.raise_signal(signal.SIGTERM))
    for _ in range(2):  # The second time before the first step.
        with pytest.raises(Stopped):
            train(tmp_path, tasks)
        last = tf.train.latest_checkpoint(tmp_path / "checkpoints" / "last")
        assert last.endswith(f"step-{step}")
        assert "validation" not in records(tmp_path)[-1]
        assert len(tasks[1].started_with) == 1
    assert train(tmp_path, stages())
    assert_same_run(grown, tmp_path)


def test_a_kill_while_the_best_is_saved_is_made_up_for(
    grown, tmp_path, stopped_by_sigterm, monkeypatch
):
    """In the validation that is made up for after a signal."""
    tasks = failing_at(28, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped):
        train(tmp_path, tasks)
    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoints, "save_if_best", lambda *_: killed())
        with pytest.raises(Killed):
            train(tmp_path, stages())
    best = []
    tasks = stages()
    validate = tasks[1].validate

    def note_best(model):
        best.append(best_figures(tmp_path))
        return validate(model)

    tasks[1].validate = note_best
    assert train(tmp_path, tasks)
    # 28 is validated again; at 32, its checkpoint is there.
    assert [each["step"] for each in best[:2]] == [24, 28]
    assert_same_run(grown, tmp_path)


class ReplicatedLineTask(LineTask):
    """Every replica has a batch of its own."""

    def batches(self, steps, batch_size, replicas):
        count = len(replicas)
        dataset = tf.data.Dataset.range(steps.start * count, steps.stop * count)
        return dataset.map(lambda row: batch_of_step(row, batch_size))


def test_sigterm_on_several_devices(tmp_path, stopped_by_sigterm):
    """Of one process, as with a TPU, whose coordinator is one process."""
    strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert Run(whole, CONFIG, strategy).train([ReplicatedLineTask()])

    def terminate():
        signal.raise_signal(signal.SIGTERM)

    task = stopping_at(ReplicatedLineTask(), 10, terminate)
    with pytest.raises(Stopped):
        Run(stopped, CONFIG, strategy).train([task])
    last = tf.train.latest_checkpoint(stopped / "checkpoints" / "last")
    assert last.endswith("step-10")
    assert Run(stopped, CONFIG, strategy).train([ReplicatedLineTask()])
    assert_same_run(whole, stopped)


def test_metrics_are_not_saved(grown):
    """Only the chief saves, and to read a metric is for all workers."""
    parts = {name.split("/")[0] for name in final_weights(grown)}
    assert parts == {"model", "optimizer"}
    of_model = {
        name.split("/")[1]
        for name in final_weights(grown)
        if name.startswith("model/")
    }
    assert of_model == {"slope", "curvature", "non_finite_step"}


def test_a_lost_worker_keeps_the_last_checkpoint(grown, tmp_path):
    def lose():
        raise tf.errors.UnavailableError(None, None, "Socket closed\nTrace")

    with pytest.raises(LostWorkerError) as error:
        train(tmp_path, failing_at(32, lose))
    assert str(error.value) == (
        "Training stopped: another worker, a host of the TPU or the storage is "
        "gone (UnavailableError: Socket closed). The last checkpoint is kept: "
        "the same command, on all workers, resumes from it."
    )
    last = tf.train.latest_checkpoint(tmp_path / "checkpoints" / "last")
    assert last.endswith("step-28")
    assert train(tmp_path, stages())
    assert_same_run(grown, tmp_path)


def test_the_best_checkpoint_is_of_the_last_stage(grown):
    best = json.loads((grown / "checkpoints" / "best.json").read_text())
    validated = [each for each in records(grown) if "validation" in each]
    assert [each["step"] for each in validated] == [24, 28, 32, 36, 40]
    assert best["fit"] == max(each["validation"]["fit"] for each in validated)
    assert best["step"] > 20


def test_a_task_that_does_not_validate_has_no_best_checkpoint(tmp_path):
    assert train(tmp_path, [LineTask()])
    assert not (tmp_path / "checkpoints" / "best").exists()


def test_the_last_stage_stops_early_and_stays_stopped(tmp_path, caplog):
    class ConstantTask(ParabolaTask):
        def validate(self, model):
            return {"fit": 0.5}

    caplog.set_level("INFO", logger="absl")
    patient = dataclasses.replace(CONFIG, early_stopping_patience=2)
    for _ in range(2):
        # Validated at 24, the best; 28 and 32 are no better.
        assert train(tmp_path, [LineTask(), ConstantTask()], patient)
        assert records(tmp_path)[-1]["step"] == 32
        assert (
            "Stopping early at step 32: the last 2 validations" in caplog.text
        )
        assert (
            f"Finished at step 32. labse.load('{tmp_path}') opens the "
            "checkpoint with the best validation fit, that of step 24: 0.5"
        ) in caplog.text
        caplog.clear()


def test_a_damaged_checkpoint_is_refused(tmp_path):
    assert train(tmp_path, [LineTask()])
    index = tmp_path / "checkpoints" / "last" / "step-20.index"
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(InputError, match="step-20 is damaged or belongs to"):
        train(tmp_path, [LineTask()])


def test_a_loss_that_is_not_finite_is_named_by_the_step_of_the_run(tmp_path):
    class BrokenTask(ParabolaTask):
        def batches(self, steps, batch_size, replicas):
            def break_one(step, batch):
                y = tf.where(step == 25, np.nan, batch["y"])
                return {**batch, "y": y}

            numbers = tf.data.Dataset.range(steps.start, steps.stop)
            batches = super().batches(steps, batch_size, replicas)
            return tf.data.Dataset.zip(numbers, batches).map(break_one)

    with pytest.raises(InputError, match="was not finite at step 25"):
        train(tmp_path, [LineTask(), BrokenTask()])
    latest = tf.train.latest_checkpoint(tmp_path / "checkpoints" / "last")
    assert latest.endswith("step-24")


if __name__ == "__main__":
    kill = lambda: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
    train(pathlib.Path(sys.argv[1]), [stopping_at(LineTask(), 10, kill)])
