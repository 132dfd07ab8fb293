import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig, TrainingConfig
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.optimizer import WarmupLinearDecay, make_optimizer


@pytest.mark.parametrize(
    "step, rate",
    [
        # Warm-up of four steps to 0.8: a quarter each.
        (0, 0.2),
        (1, 0.4),
        (2, 0.6),
        (3, 0.8),
        # From step 4 to step 20 sixteen steps down: 0.05 each.
        (4, 0.8),
        (5, 0.75),
        (12, 0.4),
        (19, 0.05),
        (20, 0.0),
        (25, 0.0),
    ],
)
def test_the_learning_rate_by_hand(step, rate):
    schedule = WarmupLinearDecay(0.8, warmup_steps=4, num_steps=20)
    result = schedule(tf.constant(step, tf.int64))
    assert result.dtype == tf.float32
    assert float(result) == pytest.approx(rate, rel=1e-6, abs=1e-9)


def test_without_warm_up_the_first_step_has_the_peak():
    schedule = WarmupLinearDecay(0.5, warmup_steps=0, num_steps=10)
    assert [float(schedule(step)) for step in (0, 5, 10)] == [0.5, 0.25, 0.0]


def test_the_paper_starts_to_fall_after_500_of_50_000_steps():
    config = TrainingConfig()
    rate = make_optimizer(config)._learning_rate
    assert float(rate(499)) == pytest.approx(1e-3)
    assert float(rate(500)) == pytest.approx(1e-3)
    # Half of the 49,500 steps that are left.
    assert float(rate(500 + 24_750)) == pytest.approx(5e-4)


def test_schedule_round_trip():
    schedule = WarmupLinearDecay(0.8, warmup_steps=4, num_steps=20)
    saved = tf_keras.optimizers.schedules.serialize(schedule)
    again = tf_keras.optimizers.schedules.deserialize(saved)
    assert again.get_config() == schedule.get_config()
    assert float(again(5)) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "step, rate",
    [
        # The run's step 12 has 0.4, see above; of that 1/4, 2/4 and 3/4.
        (0, 0.1),
        (1, 0.175),  # 13: 0.35.
        (2, 0.225),  # 14: 0.3.
        (3, 0.25),  # 15: 0.25.
        (7, 0.05),
        (8, 0.0),
    ],
)
def test_a_later_stage_continues_the_learning_rate(step, rate):
    schedule = WarmupLinearDecay(0.8, 4, 20, 12, stage_warmup_steps=3)
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-6, abs=1e-9)
    again = WarmupLinearDecay.from_config(schedule.get_config())
    assert float(again(1)) == pytest.approx(0.175)


NAMES = ["dense/kernel", "dense/bias", "layer_norm/gamma", "layer_norm/beta"]
CONFIG = {
    "learning_rate": 0.8,
    "warmup_steps": 4,
    "num_steps": 20,
    "weight_decay": 0.1,
    "adam_beta_1": 0.8,
    "adam_beta_2": 0.9,
    "adam_epsilon": 1e-3,
}


def random_arrays(seed, scale):
    random = np.random.default_rng(seed)
    return [random.normal(0, scale, size=[2, 3]) for _ in NAMES]


def steps_in_numpy(weights, gradients_of_steps, clip_norm):
    """AdamW in float64: Loshchilov and Hutter, 2019, Algorithm 2.

    Where epsilon stands is free: as at the end of section 2 of Kingma and Ba,
    2015, it is added to the root of the second moment before the correction.
    """
    rate_of = {0: 0.2, 1: 0.4, 2: 0.6}
    beta_1, beta_2, epsilon = 0.8, 0.9, 1e-3
    first = [np.zeros([2, 3]) for _ in weights]
    second = [np.zeros([2, 3]) for _ in weights]
    weights = [weight.copy() for weight in weights]
    for step, gradients in enumerate(gradients_of_steps):
        norm = np.sqrt(sum(np.sum(each**2) for each in gradients))
        factor = min(1.0, clip_norm / norm) if clip_norm else 1.0
        for i, gradient in enumerate(gradients):
            gradient = gradient * factor
            first[i] = beta_1 * first[i] + (1 - beta_1) * gradient
            second[i] = beta_2 * second[i] + (1 - beta_2) * gradient**2
            unbiased_first = first[i] / (1 - beta_1 ** (step + 1))
            correction = np.sqrt(1 - beta_2 ** (step + 1))
            root = (np.sqrt(second[i]) + epsilon) / correction
            decay = 0.1 * weights[i] if i == 0 else 0.0
            weights[i] = weights[i] - rate_of[step] * (
                unbiased_first / root + decay
            )
    return weights


def make_variables(weights):
    return [
        tf.Variable(weight.astype(np.float32), name=name)
        for name, weight in zip(NAMES, weights, strict=True)
    ]


def take_steps(optimizer, variables, gradients_of_steps):
    for gradients in gradients_of_steps:
        tensors = [tf.constant(each, tf.float32) for each in gradients]
        optimizer.apply_gradients(zip(tensors, variables, strict=True))


def steps_in_keras(weights, gradients_of_steps, clip_norm):
    optimizer = make_optimizer(
        TrainingConfig(**CONFIG, gradient_clip_norm=clip_norm)
    )
    variables = make_variables(weights)
    take_steps(optimizer, variables, gradients_of_steps)
    return [variable.numpy() for variable in variables]


# The gradients' global norm is about 0.5 * sqrt(24) = 2.4.
@pytest.mark.parametrize("clip_norm", [0.0, 0.7, 100.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_are_those_of_adamw_in_numpy(steps, clip_norm):
    weights = random_arrays(0, 1.0)
    gradients = [random_arrays(seed, 0.5) for seed in range(1, steps + 1)]
    expected = steps_in_numpy(weights, gradients, clip_norm)
    result = steps_in_keras(weights, gradients, clip_norm)
    for name, one, other in zip(NAMES, result, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6, err_msg=name)


def continued(weights, gradients, moments_age):
    """Two steps by one optimizer, the third by another with its moments."""
    config = TrainingConfig(**CONFIG, gradient_clip_norm=0.0)
    first = make_optimizer(config)
    variables = make_variables(weights)
    take_steps(first, variables, gradients[:2])
    second = make_optimizer(config, first_step=2, moments_age=moments_age)
    copies = make_variables([variable.numpy() for variable in variables])
    second.build(copies)
    second.copy_moments(first, zip(copies, variables, strict=True))
    take_steps(second, copies, gradients[2:])
    return copies


def test_copied_moments_go_on_with_their_bias_correction():
    """As if one optimizer had taken all three steps."""
    weights = random_arrays(0, 1.0)
    gradients = [random_arrays(seed, 0.5) for seed in range(1, 4)]
    expected = steps_in_numpy(weights, gradients, 0.0)
    for one, other in zip(
        continued(weights, gradients, moments_age=2), expected, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=2e-6)
    # The control: a fresh optimizer's correction would blow them up.
    wrong = continued(weights, gradients, moments_age=0)
    assert np.abs(wrong[0].numpy() - expected[0]).max() > 0.1


@pytest.mark.parametrize("clip_norm", [0.0, 0.7])
@pytest.mark.parametrize("replicas", [1, 2])
def test_rows_of_a_table_are_added_up(replicas, clip_norm):
    """A lookup's gradient: equal rows count together, the others decay.

    Also in its norm: that of the rows is 4.0 or 5.4, that of the sum 2.9 or
    5.2.
    """
    ids = np.array([[4, 1, 4], [0, 4, 1]])  # Of each replica.
    random = np.random.default_rng(3)
    rows = random.normal(size=[2, 3, 3])
    table = random.normal(size=[5, 3])
    dense = np.zeros([5, 3])
    np.add.at(dense, ids[:replicas].ravel(), rows[:replicas].reshape(-1, 3))
    if clip_norm:
        dense *= clip_norm / np.linalg.norm(dense)
    expected = table
    first, second = np.zeros([5, 3]), np.zeros([5, 3])
    for step, rate in enumerate([0.2, 0.4]):
        first = 0.8 * first + 0.2 * dense
        second = 0.9 * second + 0.1 * dense**2
        correction = np.sqrt(1 - 0.9 ** (step + 1))
        change = first / (1 - 0.8 ** (step + 1)) * correction
        change /= np.sqrt(second) + 1e-3
        expected = expected - rate * (change + 0.1 * expected)

    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{number}" for number in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        variable = tf.Variable(table.astype(np.float32))
        optimizer = make_optimizer(
            TrainingConfig(**CONFIG, gradient_clip_norm=clip_norm)
        )
        optimizer.build([variable])

    @tf.function
    def step():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        values = tf.gather(tf.constant(rows, tf.float32), number)
        gradient = tf.IndexedSlices(values, tf.gather(ids, number), [5, 3])
        optimizer.apply_gradients([(gradient, variable)])

    for _ in range(2):
        strategy.run(step)
    for each in strategy.experimental_local_results(variable):
        np.testing.assert_allclose(each, expected, atol=2e-6)


def test_clipping_and_decay_count():
    """The negative controls: the cases above are told apart."""
    weights, gradients = random_arrays(0, 1.0), [random_arrays(1, 0.5)]
    clipped = steps_in_keras(weights, gradients, 0.7)
    plain = steps_in_keras(weights, gradients, 0.0)
    assert np.abs(np.array(clipped) - np.array(plain)).max() > 1e-3
    # Nothing but decay moves a weight without a gradient.
    zeros = [[np.zeros([2, 3]) for _ in NAMES]]
    still = steps_in_keras(weights, zeros, 0.7)
    # Learning rate 0.2 times decay 0.1.
    np.testing.assert_allclose(still[0], weights[0] * 0.98, rtol=1e-6)
    for one, other in zip(still[1:], weights[1:], strict=True):
        np.testing.assert_array_equal(one, other.astype(np.float32))


@functools.lru_cache
def encoder():
    result = SentenceEncoder(
        EncoderConfig(
            vocab_size=9,
            num_layers=1,
            num_heads=1,
            hidden_size=4,
            intermediate_size=4,
            max_positions=4,
            pooling="cls_tanh",
        )
    )
    result.build()
    return result


@pytest.mark.parametrize("with_head", [False, True])
def test_only_matrices_decay(with_head):
    variables = encoder().trainable_variables
    if with_head:
        config = dataclasses.replace(encoder().config, pooling="cls")
        model = MaskedLanguageModel(SentenceEncoder(config))
        model.build()
        variables = model.trainable_variables
    optimizer = make_optimizer(TrainingConfig(**CONFIG))
    optimizer.build(variables)
    for variable in variables:
        variable.assign(tf.ones_like(variable))
    zeros = [tf.zeros_like(variable) for variable in variables]
    optimizer.apply_gradients(zip(zeros, variables, strict=True))
    decayed = {
        variable.name.removesuffix(":0")
        for variable in variables
        if np.any(variable.numpy() != 1)
    }
    block = "transformer/layer_0"
    assert decayed == {
        "word_embeddings/embeddings",
        "position_embedding/embeddings",
        "type_embeddings/embeddings",
        f"{block}/self_attention/query/kernel",
        f"{block}/self_attention/key/kernel",
        f"{block}/self_attention/value/kernel",
        f"{block}/self_attention/attention_output/kernel",
        f"{block}/intermediate/kernel",
        f"{block}/output/kernel",
        "cls/predictions/transform/dense/kernel"
        if with_head
        else "pooler_transform/kernel",
    }
