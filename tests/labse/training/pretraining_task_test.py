"""Pre-training in stages, interrupted, on several devices, and from files."""

import dataclasses
import json
import logging
import signal

import numpy as np
import pytest
import tensorflow as tf

from labse.configs import loading
from labse.configs.pretraining import PretrainingConfig
from labse.data.pretraining_reader import PretrainingReader
from labse.data.records.writer import write_records
from labse.modeling import progressive_stacking
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training import pretraining_task
from labse.training.pretraining_task import (
    PretrainingFiles,
    PretrainingTask,
    pretrain,
    step_operations,
)
from labse.training.run import Run

SMALL = {
    "encoder.num_layers": 2,
    "encoder.num_heads": 2,
    "encoder.hidden_size": 8,
    "encoder.intermediate_size": 12,
    "encoder.max_positions": 32,
    "tokenizer.max_length": 32,
    "masking.max_masked": 7,
    "training.global_batch_size": 16,
    "training.num_steps": 12,
    "training.warmup_steps": 2,
    "training.learning_rate": 0.01,
    "training.log_every": 1,
    "training.checkpoint_every": 2,
    "training.validate_every": 12,
    # It would hold for the whole process, and so for all later tests.
    "training.deterministic": "false",
    "stacking.num_layers": "[1]",
    "stacking.num_steps": "[6]",
    "stacking.warmup_steps": 1,
}


def make_config(**overrides):
    values = {**SMALL, **overrides}
    return loading.load(
        "pretrain_tiny",
        [f"{key}={value}" for key, value in values.items()],
        PretrainingConfig,
    )


class Data:
    """Records of both kinds, read by many runs of these tests."""

    def __init__(self, files):
        vocabulary = Vocabulary.read(files / "vocab.txt")
        self.size = len(vocabulary)
        self.tokenizer = WordPieceTokenizer(vocabulary)
        self.records = []
        for kind, name in (("text", "texts.jsonl"), ("pairs", "pairs.tsv")):
            out = files / f"records-{kind}"
            manifest = write_records([files / name], out, kind=kind)
            self.records.append((str(out), manifest))

    def tasks(self, config, **options):
        config = config.with_vocab_size(self.size)
        reader = PretrainingReader(*self.records, self.tokenizer, config)
        return [
            PretrainingTask(config, stage, reader, **options)
            for stage in range(len(config.stages))
        ]


@pytest.fixture(scope="module")
def data(pretraining_files):
    return Data(pretraining_files)


def train(folder, config, tasks, strategy=None):
    strategy = strategy or tf.distribute.get_strategy()
    return Run(folder, config.training, strategy).train(tasks)


def last_step(folder):
    latest = tf.train.latest_checkpoint(folder / "checkpoints" / "last")
    return int(latest.rpartition("-")[2])


def last_weights(folder):
    prefix = tf.train.latest_checkpoint(folder / "checkpoints" / "last")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def assert_same_weights(one, other, **tolerance):
    expected, found = last_weights(one), last_weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, err_msg=name, rtol=0, **tolerance
        )


def history(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    clocks = ("_per_second", "seconds_left")
    return [
        {key: x for key, x in record.items() if not key.endswith(clocks)}
        for record in records
    ]


class Interrupted(Exception):
    """What ends a run in these tests, as a kill or SIGTERM would."""


def stopping(tasks, step, stop):
    """The tasks; `stop` is called when this step of the run is logged."""

    def check_metrics(logged_step, metrics):
        if logged_step == step:
            stop()

    for task in tasks:
        task.check_metrics = check_metrics
    return tasks


def kill():
    raise Interrupted


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run of two stages that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    config = make_config()
    assert train(folder, config, data.tasks(config))
    return folder


def test_a_run_grows_and_its_learning_rate_goes_on(whole):
    """Up to 0.01 in two steps, then down to 0 at step 12, ten steps later."""
    rates = [record["learning_rate"] for record in history(whole)]
    expected = [0.005, 0.01, *(0.001 * (12 - step) for step in range(2, 12))]
    expected[6] /= 2  # The one step of warm-up after the growth.
    assert rates == pytest.approx(expected)
    weights = last_weights(whole)
    names = " ".join(weights)
    assert "encoder/" in names and "masked_lm/" in names


def test_a_run_that_is_interrupted_everywhere_ends_with_the_same_bits(
    data, whole, tmp_path, monkeypatch
):
    config = make_config()

    def run(step=None, stop=kill):
        return train(tmp_path, config, stopping(data.tasks(config), step, stop))

    with pytest.raises(Interrupted):
        run(3)  # In the first stage.
    assert last_step(tmp_path) == 2
    with monkeypatch.context() as patch:
        copied = []

        def grow_half(small, large):
            pairs = progressive_stacking.paired_variables(small, large)
            for target, source in pairs[: len(pairs) // 2]:
                target.assign(source)
                copied.append(target.name)
            raise Interrupted

        patch.setattr(progressive_stacking, "grow", grow_half)
        with pytest.raises(Interrupted):
            run()  # While it grows.
    assert copied
    assert last_step(tmp_path) == 6
    with pytest.raises(Interrupted):
        run(7)  # Between that and the first checkpoint after it.
    assert last_step(tmp_path) == 6
    previous = signal.signal(signal.SIGTERM, lambda *_: kill())
    try:
        with pytest.raises(Interrupted):
            run(9, lambda: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert last_step(tmp_path) == 9
    assert run()
    assert_same_weights(whole, tmp_path, atol=0)
    assert history(whole) == history(tmp_path)


def test_another_seed_gives_other_weights(data, whole, tmp_path):
    """The negative control."""
    config = make_config(**{"training.seed": 1})
    assert train(tmp_path, config, data.tasks(config))
    one, other = last_weights(whole), last_weights(tmp_path)
    assert any((one[name] != other[name]).any() for name in one)


def test_copied_moments(data):
    config = make_config(**{"stacking.copy_moments": "true"})
    first, second = data.tasks(config)
    models = []
    for task in (first, second):
        model, optimizer = task.make_model(), task.make_optimizer()
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer)
        models.append(model)
    small, large = models
    random = np.random.default_rng(0)
    for moment in small.optimizer._momentums + small.optimizer._velocities:
        moment.assign(random.normal(size=moment.shape))
    second.initialize(large, small)
    of_small = {
        variable.name: number
        for number, variable in enumerate(small.trainable_variables)
    }
    for number, variable in enumerate(large.trainable_variables):
        # Both of the two blocks are from the only one of the small model.
        source = of_small[variable.name.replace("/layer_1/", "/layer_0/")]
        for name in ("_momentums", "_velocities"):
            one, other = (
                getattr(large.optimizer, name)[number],
                getattr(small.optimizer, name)[source],
            )
            np.testing.assert_array_equal(one, other, err_msg=variable.name)
    assert (small.optimizer.moments_age, large.optimizer.moments_age) == (0, 6)
    assert data.tasks(make_config())[1].make_optimizer().moments_age == 0


def test_two_replicas_end_as_one(data, tmp_path):
    config = make_config(
        **{
            "encoder.dropout": 0,
            "encoder.attention_dropout": 0,
            "training.num_steps": 4,
            "training.learning_rate": 0.001,
            "stacking.num_steps": "[2]",
            # Adam would make steps of gradients that are 0 but for rounding,
            # such as those of the keys' biases.
            "training.adam_epsilon": 0.001,
        }
    )
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    assert train(one, config, data.tasks(config))
    strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    assert train(two, config, data.tasks(config), strategy)
    assert_same_weights(one, two, atol=1e-6)


def test_the_cost_of_a_step_by_hand():
    """Hidden 8, intermediate 12, length 32, 6.4 masked of 25 pieces."""
    config = make_config().with_vocab_size(25)
    # 32 tokens: 4 * 8^2 + 2 * 8 * 12 of weights, 2 * 32 * 8 of attention.
    block = 32 * (256 + 192 + 512)
    head = 6.4 * 8 * (8 + 25)
    assert step_operations(config, 2) == pytest.approx(2 * block + head)


def pretrain_from_files(files, out, config, **options):
    return pretrain(
        config,
        PretrainingFiles(
            [str(files / "texts.jsonl")], [str(files / "pairs.tsv")]
        ),
        str(files / "vocab.txt"),
        str(out),
        distribution="none",
        **options,
    )


@pytest.fixture(scope="module")
def from_files(pretraining_files, tmp_path_factory):
    """A run of `pretrain`, with validation."""
    out = tmp_path_factory.mktemp("runs") / "run"
    held_out = PretrainingFiles(
        [str(pretraining_files / "texts.jsonl")],
        [str(pretraining_files / "pairs.tsv")],
    )
    config = make_config(
        **{"training.num_steps": 4, "stacking.num_steps": "[2]"}
    )
    config = dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, validate_every=2),
    )
    assert pretrain_from_files(
        pretraining_files, out, config, validation=held_out
    )
    return out, config


def test_a_run_folder_of_pretraining(from_files):
    out, config = from_files
    saved, _ = loading.load_saved(str(out / "config.yaml"))
    assert saved == config.with_vocab_size(25)
    for kind in ("monolingual", "bilingual"):
        assert (out / "records" / kind / "manifest.json").is_file()
        assert (out / f"{kind}.sha256").is_file()
    validations = {
        record["step"]: record["validation"]
        for record in history(out)
        if "validation" in record
    }
    assert list(validations) == [2, 4]
    figures = validations[4]
    assert figures["mlm"]["languages"].keys() == {"de", "de-UPPER"}
    assert figures["tlm"]["languages"].keys() == {"de-de-UPPER"}
    best = json.loads((out / "checkpoints" / "best.json").read_text())
    assert (best["step"], best["accuracy"]) == (4, figures["accuracy"])
    [line] = [
        json.loads(line)
        for line in (out / "history.jsonl").read_text().splitlines()
        if '"step": 3, ' in line
    ]
    assert line["tokens_per_second"] == pytest.approx(
        line["tokens"] * line["sequences_per_second"]
    )


def test_a_run_is_resumed_with_the_same_texts_only(
    from_files, pretraining_files, tmp_path
):
    out, config = from_files
    changed = tmp_path / "texts.jsonl"
    text = (pretraining_files / "texts.jsonl").read_text("utf-8")
    changed.write_text(text + text.splitlines()[0] + "\n", "utf-8")
    with pytest.raises(pretraining_task.InputError) as error:
        pretrain(
            config,
            PretrainingFiles(
                [str(changed)], [str(pretraining_files / "pairs.tsv")]
            ),
            str(pretraining_files / "vocab.txt"),
            str(out),
            distribution="none",
        )
    assert str(error.value).startswith(
        f"The monolingual texts are not those that {out} started with (files "
    )


def test_a_run_with_its_files_elsewhere_is_resumed(
    from_files, pretraining_files, tmp_path, caplog
):
    out, config = from_files
    for name in ("texts.jsonl", "pairs.tsv", "vocab.txt"):
        (tmp_path / name).write_bytes((pretraining_files / name).read_bytes())
    caplog.set_level(logging.INFO, logger="absl")
    assert pretrain_from_files(tmp_path, out, config)
    assert "The files of monolingual texts have the names and" in caplog.text
    assert "The files of translation pairs have the names and" in caplog.text
    assert "Resuming from step 4." in caplog.text
