"""Training steps with `rematerialize`, beside those without."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.features import MODEL_INPUTS
from labse.modeling import transformer_block
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder

PAIRS, LENGTH = 8, 6
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=2,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    dropout=0.3,
    attention_dropout=0.3,
    initializer_range=0.5,
)


def batch():
    random = np.random.default_rng(0)

    def side():
        lengths = random.integers(3, LENGTH + 1, size=(PAIRS, 1))
        mask = (np.arange(LENGTH) < lengths).astype(np.int32)
        ids = random.integers(5, 50, size=mask.shape).astype(np.int32) * mask
        values = (ids, mask, np.zeros_like(ids))
        return dict(zip(MODEL_INPUTS, values, strict=True))

    return {"source": side(), "target": side()}


def step(rematerialize, replicas=1, compute_dtype="float32", **options):
    """Loss, and the gradients by the variables' names: one step of SGD."""
    tf_keras.utils.set_random_seed(3)
    strategy = tf.distribute.get_strategy()
    if replicas > 1:
        strategy = tf.distribute.MirroredStrategy(
            [f"CPU:{i}" for i in range(replicas)],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    with strategy.scope():
        encoder = SentenceEncoder(ENCODER, compute_dtype, rematerialize)
        model = DualEncoder(encoder, seed=1, **options)
        model.build()
        optimizer = tf_keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer)

    def of_replica(value):
        parts = tf.split(tf.constant(value), replicas)
        if replicas == 1:
            return parts[0]
        return strategy.experimental_distribute_values_from_function(
            lambda replica: parts[replica.replica_id_in_sync_group]
        )

    data = tf.nest.map_structure(of_replica, batch())
    before = {w.name: w.numpy() for w in model.trainable_variables}
    tf.function(lambda: strategy.run(model.train_step, (data,)))()
    gradients = {
        w.name: before[w.name] - w.numpy() for w in model.trainable_variables
    }
    return model.metrics[0].result().numpy(), gradients


@pytest.fixture
def unfused():
    """TensorFlow fuses a product with its bias and activation.

    It does where nothing else needs what is in between, so not where that is
    kept for gradients, and a fused operation rounds differently.
    """
    tf.config.optimizer.set_experimental_options({"remapping": False})
    yield
    tf.config.optimizer.set_experimental_options({"remapping": True})


def test_gradients_are_the_same_bits(unfused):
    loss, gradients = step(False, compute_dtype="mixed_bfloat16")
    loss_again, again = step(True, compute_dtype="mixed_bfloat16")
    assert loss == loss_again
    assert gradients.keys() == again.keys()
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, again[name], err_msg=name)


def assert_close(one, other, tolerance):
    (loss, gradients), (loss_again, again) = one, other
    np.testing.assert_allclose(loss, loss_again, rtol=1e-6)
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    for name, gradient in gradients.items():
        difference = np.abs(gradient - again[name]).max()
        assert difference < tolerance * largest, name


@pytest.mark.slow
def test_two_replicas_and_buckets(unfused):
    """TensorFlow reorders sums in the branches of the buckets."""
    options = {"replicas": 2, "length_buckets": (4, 5)}
    assert_close(step(False, **options), step(True, **options), 1e-6)


def test_the_gradient_cache(unfused):
    """Its second pass is computed a third time, block by block."""
    options = {"gradient_cache_chunk": 4, "length_buckets": (4,)}
    assert_close(step(False, **options), step(True, **options), 1e-6)


@pytest.fixture(scope="module")
def plain():
    """Of a step that keeps its activations."""
    return step(False)


def test_fused_operations_change_the_rounding_only(plain):
    assert_close(plain, step(True), 1e-5)


def test_other_masks_the_second_time_would_be_seen(monkeypatch, plain):
    """The negative control: the counter of masks is not reset."""
    _, gradients = plain
    num_calls = iter(range(100))

    class Forgetful(transformer_block.Dropout):
        def __init__(self, seed, _=0):
            super().__init__(seed, next(num_calls))

    monkeypatch.setattr(transformer_block, "Dropout", Forgetful)
    _, again = step(True)
    largest = max(np.abs(gradient).max() for gradient in gradients.values())
    difference = max(
        np.abs(gradient - again[name]).max()
        for name, gradient in gradients.items()
    )
    assert difference > 0.01 * largest


def test_it_is_part_of_the_configuration():
    encoder = SentenceEncoder(ENCODER, rematerialize=True)
    assert SentenceEncoder.from_config(encoder.get_config()).rematerialize
