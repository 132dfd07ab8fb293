"""The gradient cache through a `Run` that is killed and resumed."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.schema import EncoderConfig, TrainingConfig
from labse.errors import InputError
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.optimizer import make_optimizer
from labse.training.run import Run
from labse.training.task import Task

CONFIG = TrainingConfig(
    global_batch_size=8,
    gradient_cache_chunk=2,
    num_steps=6,
    warmup_steps=1,
    deterministic=False,
    log_every=1,
    checkpoint_every=2,
)
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
)


class RandomPairs(Task):
    """Pairs of random pieces, a function of the step; with dropout."""

    num_steps = CONFIG.num_steps

    def __init__(self, chunk=CONFIG.gradient_cache_chunk):
        self._chunk = chunk

    def make_model(self):
        model = DualEncoder(
            SentenceEncoder(ENCODER), gradient_cache_chunk=self._chunk
        )
        model.build()
        return model

    def make_optimizer(self):
        return make_optimizer(CONFIG)

    def batches(self, steps, batch_size, replicas):
        def side(seed, step):
            ids = tf.random.stateless_uniform(
                [batch_size, 5], [seed, step], 5, 50, tf.int32
            )
            return {
                "input_word_ids": ids,
                "input_mask": tf.ones_like(ids),
                "input_type_ids": tf.zeros_like(ids),
            }

        return tf.data.Dataset.range(steps.start, steps.stop).map(
            lambda step: {"source": side(0, step), "target": side(1, step)}
        )


class KilledPairs(RandomPairs):
    """Ends with an exception when step 3 is logged."""

    def check_metrics(self, step, metrics):
        if step == 3:
            raise KeyboardInterrupt


def train(folder, task):
    return Run(folder, CONFIG, tf.distribute.get_strategy()).train([task])


def weights(folder):
    prefix = tf.train.latest_checkpoint(folder / "checkpoints" / "last")
    assert prefix.endswith("step-6")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith("model/")
    }


def test_a_killed_run_resumes_with_the_same_bits(tmp_path):
    assert train(tmp_path / "whole", RandomPairs())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", KilledPairs())
    assert train(tmp_path / "killed", RandomPairs())
    expected = weights(tmp_path / "whole")
    found = weights(tmp_path / "killed")
    assert found.keys() == expected.keys() != set()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_chunk_divides_the_batch_of_a_replica(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    Run(tmp_path, dataclasses.replace(CONFIG, gradient_cache_chunk=4), strategy)
    with pytest.raises(InputError) as error:
        Run(
            tmp_path,
            dataclasses.replace(CONFIG, gradient_cache_chunk=8),
            strategy,
        )
    assert str(error.value) == (
        "training.gradient_cache_chunk must divide the batch of a replica, "
        "training.global_batch_size over the number of replicas. Received: 8 "
        "and 4."
    )
