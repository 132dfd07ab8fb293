import io
import json

import pytest
import tensorflow as tf
import tf_keras

from labse.modeling.trainable_model import TrainableModel
from labse.training import progress
from labse.training.task import Task


class Stage(Task):
    unit = "sequences"
    counts = ("tokens",)

    def __init__(self, num_steps, step_cost):
        self.num_steps = num_steps
        self.step_cost = step_cost

    def make_model(self):
        model = TrainableModel(("loss", "tokens", "tlm_loss"))
        optimizer = tf_keras.optimizers.SGD(0.5)
        model.compile(optimizer=optimizer)
        return model

    def make_optimizer(self):
        raise NotImplementedError

    def batches(self, steps, batch_size, replicas):
        raise NotImplementedError


STAGES = [Stage(10, 1.0), Stage(20, 2.0), Stage(5, 4.0)]


@pytest.mark.parametrize(
    "step, seconds_per_step, expected",
    [
        # 10 steps of cost 1, 20 of 2 and 5 of 4 are 70 times 0.5 seconds.
        (0, 0.5, 35.0),
        (4, 0.5, 33.0),
        # At the end of a stage the last step was still of that one.
        (10, 0.5, 30.0),
        # 19 of 2 and 5 of 4 are 58, that is 29 times a step of 2.
        (11, 1.0, 29.0),
        (30, 1.0, 10.0),
        (33, 2.0, 4.0),
        (35, 2.0, 0.0),
    ],
)
def test_the_time_left_by_hand(step, seconds_per_step, expected):
    found = progress.seconds_left(STAGES, step, seconds_per_step)
    assert found == pytest.approx(expected)


def test_the_bar_shows_the_time_left():
    shown = io.StringIO()
    with progress._StepBar(
        STAGES, total=35, initial=0, file=shown, mininterval=0
    ) as bar:
        assert "<?, " in str(bar)
        bar.start_t -= 5  # As if five seconds had passed
        bar.n = 10
        # 10 steps in 5 seconds; the other 60 take 30.
        assert "[00:05<00:30" in str(bar)


def test_rates_of_what_is_counted(tmp_path, monkeypatch):
    clock = iter([100.0, 100.0, 104.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stage = STAGES[0]
    model = stage.make_model()
    model.means["tokens"].update_state([30.0, 50.0])
    model.means["loss"].update_state([0.0], [2.0])
    # As of pairs, where no sequence is one.
    model.means["tlm_loss"].update_state([5.0, 6.0], [0.0, 0.0])
    with progress.TrainingProgress(tmp_path, STAGES, 8, True) as logs:
        logs.start(0)
        logs.log_metrics(2, stage, model)
    [record] = map(
        json.loads, (tmp_path / "history.jsonl").read_text().splitlines()
    )
    assert record["loss"] == 0.0
    assert "tlm_loss" not in record
    # Two steps of 8 sequences of 40 tokens in 4 seconds.
    assert record["sequences_per_second"] == pytest.approx(4.0)
    assert record["tokens_per_second"] == pytest.approx(160.0)
    # 8 of cost 1, 20 of 2, 5 of 4: 68 times 2 seconds.
    assert record["seconds_left"] == pytest.approx(136.0)
    [events] = (tmp_path / "logs").iterdir()
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert {"loss", "tokens_per_second", "seconds_left"} <= tags
    assert "tlm_loss" not in tags
