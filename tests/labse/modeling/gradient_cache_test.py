"""The gradient cache against a direct step that draws the same masks."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.losses import additive_margin_softmax as loss_module
from labse.modeling import dual_encoder as dual_encoder_module
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder

PAIRS = 8
LENGTH = 6
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    dropout=0.3,
    attention_dropout=0.3,
    # Weights large enough for embeddings that differ.
    initializer_range=0.1,
)
NO_DROPOUT = dataclasses.replace(ENCODER, dropout=0.0, attention_dropout=0.0)
AVERAGING = dataclasses.replace(ENCODER, num_layers=0, pooling="mean_tanh")


def texts(random, *rows):
    lengths = random.integers(3, LENGTH + 1, size=(*rows, 1))
    mask = (np.arange(LENGTH) < lengths).astype(np.int32)
    ids = random.integers(5, 50, size=mask.shape).astype(np.int32) * mask
    return dict(zip(MODEL_INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def batch(negatives=2):
    """Pairs 0 and 5 have the same source; one hard negative is absent."""
    random = np.random.default_rng(0)
    sides = {"source": texts(random, PAIRS), "target": texts(random, PAIRS)}
    for name in MODEL_INPUTS:
        sides["source"][name][5] = sides["source"][name][0]
    if negatives:
        sides["hard_negatives"] = texts(random, PAIRS, negatives)
        for name in MODEL_INPUTS:
            # The translation of pair 5, whose source pair 0 has too.
            sides["hard_negatives"][name][0, 0] = sides["target"][name][5]
            sides["hard_negatives"][name][3, 1] = 0
    return sides


def mirrored(replicas):
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def make_model(encoder=ENCODER, compute_dtype="float32", **options):
    tf_keras.utils.set_random_seed(3)
    model = DualEncoder(
        SentenceEncoder(encoder, compute_dtype), seed=4, **options
    )
    model.build()
    optimizer = tf_keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    return model


def eagerly(function):
    """In place of `tf.function`: tracing takes longer than these steps."""
    return function


def step(replicas=1, data=None, run=tf.function, **options):
    """Metrics after a step of SGD, and gradients as the change of weights."""
    strategy = mirrored(replicas)
    with strategy.scope():
        model = make_model(**options)
    before = [w.numpy() for w in model.trainable_variables]

    def local(value):
        parts = tf.split(tf.constant(value), replicas)
        if replicas == 1:
            return parts[0]
        return strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    data = tf.nest.map_structure(local, data or batch())
    run(lambda data: strategy.run(model.train_step, (data,)))(data)
    gradients = [
        start - end.numpy()
        for start, end in zip(before, model.trainable_variables, strict=True)
    ]
    assert max(np.abs(g).max() for g in gradients) > 0.01
    return [float(mean.result()) for mean in model.metrics], gradients


def direct(prepare, embed, loss_function, variables, *, chunks, chunk_shape):
    """`cached_gradients` without a cache: all chunks under one tape."""
    with tf.GradientTape() as tape:
        weights = prepare()
        embeddings = [
            embed(weights, tf.constant(number)) for number in range(chunks)
        ]
        loss = loss_function(tf.concat(embeddings, axis=0))
    return loss, tape.gradient(loss, variables)


@pytest.fixture
def direct_step(monkeypatch):
    """As `step`, without the cache and without a graph."""

    def call(**options):
        with monkeypatch.context() as patch:
            patch.setattr(dual_encoder_module, "cached_gradients", direct)
            return step(**{"run": eagerly, **options})

    return call


def assert_same(one, other, tolerance=1e-6):
    (metrics, gradients), (expected_metrics, expected) = one, other
    np.testing.assert_allclose(metrics, expected_metrics, rtol=tolerance)
    largest = max(1.0, *(np.abs(g).max() for g in expected))
    assert largest_difference(gradients, expected) < tolerance * largest


def largest_difference(gradients, expected):
    return max(
        np.abs(a - b).max() for a, b in zip(gradients, expected, strict=True)
    )


@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_gradients_are_those_of_the_direct_step(direct_step, chunk):
    """With dropout, hard negatives and duplicate masking."""
    options = {"gradient_cache_chunk": chunk}
    assert_same(step(**options), direct_step(**options))


@pytest.mark.parametrize("replicas, run", [(2, tf.function), (4, eagerly)])
def test_replicas_gather_the_embeddings_of_all_chunks(
    direct_step, replicas, run
):
    options = {"replicas": replicas, "gradient_cache_chunk": 1}
    assert_same(step(run=run, **options), direct_step(**options))


@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_give_the_gradients_of_one_batch(replicas):
    """Without dropout, whose masks differ from replica to replica."""
    options = {"encoder": NO_DROPOUT, "run": eagerly}
    whole = step(**options)
    assert_same(step(replicas, gradient_cache_chunk=1, **options), whole)


def test_other_masks_in_the_second_pass_are_seen(monkeypatch, direct_step):
    """The negative control: the loss is right, the gradients are not."""
    expected_metrics, expected = direct_step(gradient_cache_chunk=2)
    encode, passes = dual_encoder_module.encode_at_bucket, []

    def with_masks_of_the_pass(*arguments, seed, **options):
        if passes:
            seed += 1
        passes.append(seed)
        return encode(*arguments, seed=seed, **options)

    monkeypatch.setattr(
        dual_encoder_module, "encode_at_bucket", with_masks_of_the_pass
    )
    metrics, gradients = step(gradient_cache_chunk=2)
    assert len(passes) == 2
    np.testing.assert_allclose(metrics, expected_metrics, rtol=1e-6)
    assert largest_difference(gradients, expected) > 0.01


def test_chunks_and_steps_draw_masks_of_their_own():
    """Equal texts in all chunks; the embeddings of four chunks differ."""
    model = make_model(gradient_cache_chunk=2)
    data = batch(negatives=0)
    for side in data.values():
        for ids in side.values():
            ids[:] = ids[0]
    seen = []

    def loss(inputs, embeddings):
        seen.append(embeddings["source"].numpy())
        return tf.reduce_sum(embeddings["source"])

    model._loss = loss
    data = tf.nest.map_structure(tf.constant, data)
    for _ in range(2):
        model.loss_and_gradients(data)
    model.optimizer.iterations.assign_add(1)
    model.loss_and_gradients(data)
    first, again, next_step = seen
    np.testing.assert_array_equal(first, again)
    for other in (first[2:4], next_step[:2]):
        assert np.abs(first[:2] - other).min() > 0


# Of texts of 3 to 6 pieces, only the shortest chunks fit 4.
@pytest.mark.parametrize("encoder", [ENCODER, AVERAGING])
def test_chunks_are_sorted_by_length(monkeypatch, direct_step, encoder):
    options = {
        "encoder": encoder,
        "length_buckets": (4, 16),
        "length_chunks": 3,
        "gradient_cache_chunk": 2,
        "data": batch(negatives=0),
    }
    bucketed = step(**options)
    assert_same(bucketed, direct_step(**options))
    lengths = []
    encode = dual_encoder_module.encode_at_bucket

    def remember(encoder, inputs, *arguments, **options):
        lengths.append(tf.reduce_sum(inputs["input_mask"], axis=1).numpy())
        return encode(encoder, inputs, *arguments, **options)

    monkeypatch.setattr(dual_encoder_module, "encode_at_bucket", remember)
    step(run=eagerly, **options)
    first_pass, second_pass = np.split(np.concatenate(lengths), 2)
    np.testing.assert_array_equal(first_pass, np.sort(first_pass))
    np.testing.assert_array_equal(first_pass, second_pass)


def test_without_dropout_buckets_change_nothing():
    options = {"encoder": NO_DROPOUT, "run": eagerly}
    whole = step(**options)
    bucketed = step(length_buckets=(4,), gradient_cache_chunk=4, **options)
    assert_same(bucketed, whole)


def test_the_loss_in_blocks_of_rows_goes_with_it(monkeypatch, direct_step):
    expected = direct_step(gradient_cache_chunk=4)
    # 8 targets and 16 hard negatives: blocks of two rows.
    monkeypatch.setattr(loss_module, "BLOCK_LOGITS", 2 * 24)
    assert_same(step(gradient_cache_chunk=4), expected)


def test_bfloat16(direct_step):
    """Each chunk's gradients are rounded by themselves, then added up."""
    options = {"compute_dtype": "mixed_bfloat16", "gradient_cache_chunk": 2}
    assert_same(step(**options), direct_step(**options), tolerance=0.01)


def test_the_step_is_compiled_by_xla(direct_step):
    """Which needs static shapes, as TPUs do; its random numbers are others."""
    options = {
        "run": functools.partial(tf.function, jit_compile=True),
        "encoder": AVERAGING,
        "length_buckets": (4,),
        "gradient_cache_chunk": 4,
        "data": batch(negatives=0),
    }
    assert_same(step(**options), direct_step(**options), tolerance=1e-5)


def test_gradients_of_the_word_table_do_not_grow_with_the_batch():
    model = make_model(gradient_cache_chunk=2)
    _, gradients = model.loss_and_gradients(
        tf.nest.map_structure(tf.constant, batch())
    )
    for gradient, variable in zip(
        gradients, model.trainable_variables, strict=True
    ):
        assert isinstance(gradient, tf.Tensor)
        assert gradient.shape == variable.shape


@pytest.mark.parametrize("chunk, pairs", [(3, 8), (16, 8), (4, None)])
def test_a_chunk_that_does_not_divide_the_batch(chunk, pairs):
    model = make_model(gradient_cache_chunk=chunk)
    specs = tf.nest.map_structure(
        lambda ids: tf.TensorSpec([pairs, *ids.shape[1:]], tf.int32),
        batch(negatives=0),
    )
    graph = tf.function(model.loss_and_gradients, autograph=False)
    with pytest.raises(InputError) as error:
        graph.get_concrete_function(specs)
    assert str(error.value) == (
        "gradient_cache_chunk must divide the number of pairs of a replica's "
        "batch, which must be static (drop_remainder=True). Received: "
        f"{chunk} and {pairs}."
    )


def test_configuration_round_trip():
    model = make_model(gradient_cache_chunk=2)
    again = DualEncoder.from_config(model.get_config())
    assert again.gradient_cache_chunk == 2
