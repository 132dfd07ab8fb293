from unittest import mock

import pytest
import tensorflow as tf

from labse.bin import train
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError, LostWorkerError
from labse.training.distribution import (
    CHOICES,
    Workers,
    is_chief,
    make_strategy,
)
from labse.training.dual_encoder_task import train_dual_encoder


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_one_device_needs_no_strategy(choice):
    if choice == "auto" and len(tf.config.list_physical_devices("GPU")) > 1:
        pytest.skip("This machine has several GPUs: auto takes them.")
    strategy = make_strategy(choice)
    assert strategy is tf.distribute.get_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert is_chief(strategy)


def test_mirrored_takes_all_devices():
    strategy = make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    assert strategy.num_replicas_in_sync == len(devices) > 1
    assert is_chief(strategy)


@pytest.mark.parametrize(
    "choice, tpu, gpus, environment, made",
    [
        ("auto", "local", 0, {}, "tpu"),
        ("auto", "local", 2, {"TF_CONFIG": "{}"}, "tpu"),
        ("auto", "", 2, {"TF_CONFIG": "{}"}, "multi_worker"),
        ("auto", "", 2, {}, "mirrored"),
        ("auto", "", 1, {}, "none"),
        ("none", "", 2, {"TF_CONFIG": "{}"}, "none"),
        ("multi_worker", "", 0, {"TF_CONFIG": "{}"}, "multi_worker"),
        ("tpu", "local", 0, {}, "tpu"),
    ],
)
def test_what_is_chosen(monkeypatch, choice, tpu, gpus, environment, made):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    distribute = mock.Mock()
    distribute.get_strategy.return_value = "none"
    distribute.MirroredStrategy.return_value = "mirrored"
    distribute.MultiWorkerMirroredStrategy.return_value = "multi_worker"
    distribute.TPUStrategy.return_value = "tpu"
    config = mock.Mock()
    config.list_physical_devices.return_value = ["GPU"] * gpus
    config.list_logical_devices.return_value = []
    monkeypatch.setattr(tf, "distribute", distribute)
    monkeypatch.setattr(tf, "config", config)
    monkeypatch.setattr(tf, "tpu", mock.Mock())
    assert make_strategy(choice, tpu) == made
    # Several workers have to be set up before TensorFlow starts, which
    # listing logical devices does.
    assert config.list_logical_devices.called == (made == "mirrored")
    if made == "tpu":
        resolver = distribute.cluster_resolver.TPUClusterResolver
        resolver.assert_called_once_with("local")


@pytest.mark.parametrize(
    "choice, message",
    [
        ("multi_worker", "needs the environment variable TF_CONFIG"),
        ("tpu", "distribution=tpu needs the TPU's name, tpu=NAME"),
        ("gpu", "must be one of auto, none, mirrored, multi_worker, tpu"),
    ],
)
def test_what_does_not_fit_is_refused(choice, message):
    with pytest.raises(InputError, match=message) as error:
        make_strategy(choice)
    assert str(error.value).startswith("distribution")
    if choice == "gpu":
        assert str(error.value).endswith("Received: 'gpu'.")


def test_the_program_offers_the_same_choices():
    assert train._DISTRIBUTIONS == CHOICES


@pytest.mark.parametrize("value", [bytes(3), bytes([0, 1, 255])])
def test_all_workers_get_the_chiefs_value(value):
    sent = []

    class One(Workers):
        def any_of_each(self, flags):
            sent.append(flags)
            return tuple(map(any, zip(*sent, strict=True)))

    chief, other = (One(tf.distribute.get_strategy()) for _ in range(2))
    other.is_chief = False
    assert chief.from_chief(value) == value
    assert other.from_chief(bytes([7, 7, 7])) == value
    assert Workers(tf.distribute.get_strategy()).from_chief(value) == value


@pytest.mark.parametrize(
    "error, reported",
    [
        (RuntimeError('TPU "x" is not yet ready; state: "CREATING"'), True),
        (tf.errors.UnavailableError(None, None, "no route"), True),
        (RuntimeError("TPU cores on each device is not the same"), False),
    ],
)
def test_a_tpu_that_is_not_there_yet(monkeypatch, error, reported):
    """Not a traceback: the loop that starts it again shall go on."""
    monkeypatch.setattr(
        tf.distribute.cluster_resolver,
        "TPUClusterResolver",
        mock.Mock(side_effect=error),
    )
    expected = LostWorkerError if reported else RuntimeError
    with pytest.raises(expected) as raised:
        train_dual_encoder(
            *(ExperimentConfig(), [], "", ""), distribution="tpu", tpu="x"
        )
    assert type(raised.value) is expected
    assert getattr(error, "message", str(error)) in str(raised.value)


def worker(jobs, task_type, task_id):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=task_type, task_id=task_id
    )
    return mock.Mock(
        spec=tf.distribute.MultiWorkerMirroredStrategy,
        cluster_resolver=resolver,
    )


WORKERS = {"worker": ["a:1", "b:1"]}
WITH_CHIEF = {"chief": ["c:1"], **WORKERS}


@pytest.mark.parametrize(
    "jobs, task_type, task_id, chief",
    [
        (WORKERS, "worker", 0, True),
        (WORKERS, "worker", 1, False),
        (WITH_CHIEF, "chief", 0, True),
        (WITH_CHIEF, "worker", 0, False),
        (WITH_CHIEF, "worker", 1, False),
        ({**WORKERS, "evaluator": ["d:1"]}, "evaluator", 0, False),
    ],
)
def test_one_worker_writes_the_run_folder(jobs, task_type, task_id, chief):
    assert is_chief(worker(jobs, task_type, task_id)) is chief
