"""Pre-training in stages, interrupted, on several devices, and from files."""

import json
import logging
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

from labse.configs import loading
from labse.configs.pretraining import PretrainingConfig
from labse.data.pretraining_reader import PretrainingReader
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.modeling import progressive_stacking
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training.pretraining_task import (
    PretrainingFiles,
    PretrainingTask,
    pretrain,
    step_operations,
)
from labse.training.pretraining_validation import MaskedLMValidation
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
        self.readers = {}

    def tasks(self, config, **options):
        config = config.with_vocab_size(self.size)
        # A reader measures its records, which takes a second.
        reader = self.readers.get(repr(config))
        if reader is None:
            reader = PretrainingReader(*self.records, self.tokenizer, config)
            self.readers[repr(config)] = reader
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


@pytest.fixture
def assert_same_weights(run_reader):
    def check(one, other, **tolerance):
        expected = run_reader.last_weights(one)
        found = run_reader.last_weights(other)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name], value, err_msg=name, rtol=0, **tolerance
            )

    return check


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


def held_out(files):
    return PretrainingFiles(
        [str(files / "texts.jsonl")], [str(files / "pairs.tsv")]
    )


def pretrain_from_files(files, out, config=None, records=None, **options):
    return pretrain(
        config or make_config(),
        records or held_out(files),
        str(files / "vocab.txt"),
        str(out),
        distribution="none",
        **options,
    )


@pytest.fixture(scope="module")
def whole(pretraining_files, tmp_path_factory):
    """A run of two stages, from files, that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert pretrain_from_files(
        pretraining_files, out, validation=held_out(pretraining_files)
    )
    return out


def test_a_run_grows_and_its_learning_rate_continues(whole, run_reader):
    """Up to 0.01 in two steps, then down to 0 at step 12, ten steps later."""
    rates = [
        record["learning_rate"]
        for record in history(whole)
        if "learning_rate" in record
    ]
    expected = [0.005, 0.01, *(0.001 * (12 - step) for step in range(2, 12))]
    expected[6] /= 2  # The one step of warm-up after the growth.
    assert rates == pytest.approx(expected)
    weights = run_reader.last_weights(whole)
    names = " ".join(weights)
    assert "encoder/" in names and "masked_lm/" in names


def test_a_run_that_is_interrupted_everywhere_ends_with_the_same_bits(
    data,
    pretraining_files,
    whole,
    tmp_path,
    monkeypatch,
    assert_same_weights,
):
    config = make_config()
    validation = MaskedLMValidation(
        *held_out(pretraining_files),
        data.tokenizer,
        config.with_vocab_size(data.size),
    )

    def run(step=None, stop=kill):
        tasks = data.tasks(config, validation=validation)
        return train(tmp_path, config, stopping(tasks, step, stop))

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
    with pytest.raises(AssertionError):  # The negative control.
        assert_same_weights(whole, tmp_path, atol=0)
    assert run()
    assert_same_weights(whole, tmp_path, atol=0)
    assert history(whole) == history(tmp_path)


def test_copied_moments():
    config = make_config(**{"stacking.copy_moments": "true"})
    config = config.with_vocab_size(25)
    first, second = (PretrainingTask(config, stage, None) for stage in (0, 1))
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
    fresh = PretrainingTask(make_config(), 1, None).make_optimizer()
    assert fresh.moments_age == 0


def test_copied_moments_survive_a_kill_while_it_grows(
    data, tmp_path, monkeypatch, assert_same_weights
):
    short = {"training.num_steps": 4, "stacking.num_steps": "[2]"}
    config = make_config(**short, **{"stacking.copy_moments": "true"})
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert train(whole, config, data.tasks(config))
    with monkeypatch.context() as patch:
        patch.setattr(progressive_stacking, "grow", lambda *_: kill())
        with pytest.raises(Interrupted):
            train(out, config, data.tasks(config))
    assert last_step(out) == 2
    # The negative control: moments that begin anew.
    other = tmp_path / "other"
    shutil.copytree(out, other)
    anew = make_config(**short)
    assert train(other, anew, data.tasks(anew))
    with pytest.raises(AssertionError):
        assert_same_weights(whole, other, atol=0)
    assert train(out, config, data.tasks(config))
    assert_same_weights(whole, out, atol=0)


def test_two_replicas_end_as_one(data, tmp_path, assert_same_weights):
    config = make_config(
        **{
            "encoder.num_layers": 1,
            "encoder.dropout": 0,
            "encoder.attention_dropout": 0,
            "stacking.num_layers": "[]",
            "stacking.num_steps": "[]",
            "training.global_batch_size": 32,  # Two units of each kind.
            "training.num_steps": 3,
            "training.learning_rate": 0.001,
            # Adam would make steps of gradients that are 0 but for rounding,
            # such as those of the keys' biases.
            "training.adam_epsilon": 0.001,
        }
    )
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(one, config, data.tasks(config))
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:1", "CPU:2"],
        # CPU collectives keep one group for a process.
        tf.distribute.ReductionToOneDevice(),
    )
    assert train(two, config, data.tasks(config), strategy)
    assert_same_weights(one, two, atol=1e-6)


def test_the_cost_of_a_step_by_hand():
    """Hidden 8, intermediate 12, length 32, 6.4 masked of 25 pieces."""
    config = make_config().with_vocab_size(25)
    # 32 tokens: 4 * 8^2 + 2 * 8 * 12 of weights, 2 * 32 * 8 of attention.
    block = 32 * (256 + 192 + 512)
    head = 6.4 * 8 * (8 + 25)
    assert step_operations(config, 2) == pytest.approx(2 * block + head)


def test_a_run_folder_of_pretraining(whole):
    saved, _ = loading.load_saved(str(whole / "config.yaml"))
    assert saved == make_config().with_vocab_size(25)
    for kind in ("monolingual", "bilingual"):
        assert (whole / "records" / kind / "manifest.json").is_file()
        assert (whole / f"{kind}.sha256").is_file()
    validations = {
        record["step"]: record["validation"]
        for record in history(whole)
        if "validation" in record
    }
    assert list(validations) == [6, 12]
    figures = validations[12]
    assert figures["mlm"]["languages"].keys() == {"de", "de-UPPER"}
    assert figures["tlm"]["languages"].keys() == {"de-de-UPPER"}
    # That of the last stage.
    best = json.loads((whole / "checkpoints" / "best.json").read_text())
    assert (best["step"], best["accuracy"]) == (12, figures["accuracy"])


def test_a_run_is_resumed_with_the_same_texts_only(
    whole, pretraining_files, tmp_path
):
    for name in ("texts.jsonl", "pairs.tsv", "vocab.txt"):
        (tmp_path / name).write_bytes((pretraining_files / name).read_bytes())
    text = (tmp_path / "texts.jsonl").read_text("utf-8")
    more = text + text.splitlines()[0] + "\n"
    (tmp_path / "texts.jsonl").write_text(more, "utf-8")
    with pytest.raises(InputError) as error:
        pretrain_from_files(tmp_path, whole)
    assert str(error.value).startswith(
        f"The monolingual texts are not those that {whole} started with (files "
    )


def test_a_finished_run_with_its_files_elsewhere_stays(
    whole, pretraining_files, tmp_path, caplog
):
    for name in ("texts.jsonl", "pairs.tsv", "vocab.txt"):
        (tmp_path / name).write_bytes((pretraining_files / name).read_bytes())
    caplog.set_level(logging.INFO, logger="absl")
    assert pretrain_from_files(tmp_path, whole)
    assert "The files of monolingual texts have the names and" in caplog.text
    assert "The files of translation pairs have the names and" in caplog.text
    assert "Resuming from step 12." in caplog.text
    assert (
        f"Finished at step 12. labse train --init={whole} opens the checkpoint "
        "of step 12, the best one of earlier validations."
    ) in caplog.text


ONE_STAGE = {
    "stacking.num_layers": "[]",
    "stacking.num_steps": "[]",
    "encoder.num_layers": 1,
    "training.num_steps": 3,
}


def test_a_run_that_ended_before_its_first_checkpoint_begins_again(
    pretraining_files, tmp_path, monkeypatch
):
    config = make_config(**ONE_STAGE)
    with monkeypatch.context() as patch:
        patch.setattr(PretrainingTask, "check_metrics", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pretrain_from_files(pretraining_files, tmp_path, config)
    (tmp_path / "history.jsonl").write_text('{"step": 1}\n{"st')
    assert not list((tmp_path / "checkpoints").glob("last/*"))
    assert pretrain_from_files(pretraining_files, tmp_path, config)
    assert [each["step"] for each in history(tmp_path)] == [1, 2, 3]


def test_a_damaged_shard_is_named_before_training(
    data, pretraining_files, tmp_path
):
    """One byte of one record is another one."""
    folder = tmp_path / "records"
    shutil.copytree(data.records[0][0], folder)
    shard = max(
        folder.glob("*.tfrecord*"), key=lambda each: each.stat().st_size
    )
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError) as error:
        pretrain_from_files(
            pretraining_files,
            tmp_path / "run",
            make_config(**ONE_STAGE),
            PretrainingFiles([str(folder)], [data.records[1][0]]),
        )
    assert re.fullmatch(
        rf"The records could not be read: {shard}:\d+: .* Copy the folder of "
        "records again, or remove it and write it again; then the same "
        "command trains.",
        str(error.value),
    )


def test_a_batch_that_replicas_cannot_share_is_refused_before_records(
    pretraining_files, tmp_path
):
    config = make_config(**ONE_STAGE, **{"training.global_batch_size": 24})
    with pytest.raises(InputError, match="24, with 12 sequences"):
        pretrain_from_files(pretraining_files, tmp_path, config)
    assert not (tmp_path / "records").exists()
