import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from labse.configs.schema import EncoderConfig, LossConfig, TrainingConfig
from labse.features import MODEL_INPUTS
from labse.losses.additive_margin_softmax import additive_margin_softmax
from labse.modeling import dual_encoder as dual_encoder_module
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.optimizer import make_optimizer

GLOBAL_BATCH = 8
LENGTH = 6
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    dropout=0.0,
    attention_dropout=0.0,
    # Weights large enough for embeddings that differ.
    initializer_range=0.1,
)


def texts(random, rows, length=LENGTH):
    lengths = random.integers(3, length + 1, size=(rows, 1))
    mask = (np.arange(length) < lengths).astype(np.int32)
    ids = random.integers(5, 50, size=(rows, length)).astype(np.int32) * mask
    return dict(zip(MODEL_INPUTS, (ids, mask, np.zeros_like(ids)), strict=True))


def batch(seed, rows=GLOBAL_BATCH, negatives=0):
    random = np.random.default_rng(seed)
    sides = {"source": texts(random, rows), "target": texts(random, rows)}
    # The first pair's source again, with another translation.
    for name in MODEL_INPUTS:
        sides["source"][name][5] = sides["source"][name][0]
    if negatives:
        flat = texts(random, rows * negatives)
        sides["hard_negatives"] = {
            name: ids.reshape(rows, negatives, LENGTH)
            for name, ids in flat.items()
        }
    return sides


def make_model(
    strategy=None, optimizer=None, compute_dtype="float32", **kwargs
):
    tf_keras.utils.set_random_seed(3)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        encoder = SentenceEncoder(ENCODER, compute_dtype)
        model = DualEncoder(encoder, **kwargs)
        model.build()
        optimizer = (optimizer or sgd)()
        # A step that makes variables is traced twice.
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer)
    return model


def sgd():
    return tf_keras.optimizers.SGD(1.0)


def adamw():
    return tf_keras.optimizers.AdamW(0.01, global_clipnorm=1.0)


def mirrored(replicas):
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        # CPU collectives keep one group for a process; groups of two and of
        # four cannot follow each other.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def trace_step(replicas, run=tf.function, **arguments):
    """Strategy, model and compiled `train_step`; a trace takes seconds."""
    strategy = mirrored(replicas)
    model = make_model(strategy, **arguments)
    step = run(lambda data: strategy.run(model.train_step, (data,)))
    return strategy, model, step


def eagerly(function):
    """In place of `tf.function`: tracing takes longer than one of the steps."""
    return function


# Plain SGD has no state, so a traced step can start from the same weights
# again and again.
sgd_step = functools.lru_cache(trace_step)


def run_steps(replicas, batches, order=None, traced=None):
    """Weights and losses after one `train_step` for each global batch."""
    strategy, model, step = traced or sgd_step(replicas)
    for variable, start in zip(
        model.trainable_variables, initial_weights(), strict=True
    ):
        variable.assign(start)
    rows = GLOBAL_BATCH // replicas
    order = order or range(replicas)

    def local(value):
        parts = tf.split(tf.constant(value), replicas)
        assert parts[0].shape[0] == rows
        return strategy.experimental_distribute_values_from_function(
            lambda context: parts[order[context.replica_id_in_sync_group]]
        )

    losses = []
    for each in batches:
        for metric in model.metrics:
            metric.reset_state()
        if replicas == 1:
            step(tf.nest.map_structure(tf.constant, each))
        else:
            step(tf.nest.map_structure(local, each))
        losses.append(model.metrics[0].result().numpy())
    return [w.numpy() for w in model.trainable_variables], losses


@functools.lru_cache
def initial_weights():
    return [w.numpy() for w in make_model().trainable_variables]


def assert_same_gradients(one, other):
    """After one SGD step with learning rate 1 from the same weights."""
    start = initial_weights()
    gradients = [a - b for a, b in zip(start, one, strict=True)]
    largest = max(np.abs(gradient).max() for gradient in gradients)
    assert largest > 0.01
    assert largest_difference(one, other) < 1e-6 * max(1.0, largest)


def largest_difference(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_give_the_loss_and_gradients_of_one_batch(replicas):
    data = [batch(0, negatives=2)]
    weights, losses = run_steps(1, data)
    spread_weights, spread_losses = run_steps(replicas, data)
    np.testing.assert_allclose(spread_losses, losses, rtol=1e-6)
    assert_same_gradients(spread_weights, weights)


def test_replicas_agree_on_hard_negatives_that_do_not_count():
    """Absent ones, and translations that another replica holds."""
    data = batch(0, negatives=2)
    whole = run_steps(1, [data])
    negatives, target = data["hard_negatives"], data["target"]
    for name in MODEL_INPUTS:
        # Of pair 1: the translation of pair 5, whose source pair 0 has too.
        negatives[name][1, 0] = target[name][5]
        negatives[name][6, 1] = 0
        negatives[name][2] = 0
    weights, losses = run_steps(1, [data])
    assert abs(losses[0] - whole[1][0]) > 0.01
    for replicas in (2, 4):
        spread_weights, spread_losses = run_steps(replicas, [data])
        np.testing.assert_allclose(spread_losses, losses, rtol=1e-6)
        assert_same_gradients(spread_weights, weights)
    result = make_model().test_on_batch(data, return_dict=True)
    # 13 of 16 are there, one of them a text that is a target too: 12 more
    # texts. Two of the eight rows have 6 other targets instead of 7.
    expected = (6 * (7 + 12) + 2 * (6 + 12)) / 8
    assert result["negatives"] == pytest.approx(expected)


def test_absent_hard_negatives_are_none_at_all():
    """The same loss and gradients as without; and no NaN from empty rows."""
    data = batch(0, negatives=2)
    for name in MODEL_INPUTS:
        data["hard_negatives"][name][:] = 0
    absent, absent_losses = run_steps(1, [data])
    weights, losses = run_steps(1, [batch(0)])
    np.testing.assert_allclose(absent_losses, losses, rtol=1e-6)
    assert_same_gradients(absent, weights)


def test_the_loss_is_that_of_the_pure_function():
    model = make_model(loss=LossConfig(mask_duplicates=False))
    data = batch(0)
    embeddings = model(data)
    expected = additive_margin_softmax(
        embeddings["source"], embeddings["target"]
    )
    result = model.test_on_batch(data, return_dict=True)
    np.testing.assert_allclose(result["loss"], np.mean(expected), rtol=1e-6)


def test_five_optimizer_steps_give_the_same_weights():
    """Without hard negatives, clipped by the norm over all replicas."""
    data = [batch(seed) for seed in range(5)]
    weights, losses = run_steps(1, data, traced=trace_step(1, optimizer=adamw))
    for replicas in (2, 4):
        traced = trace_step(replicas, optimizer=adamw)
        spread, spread_losses = run_steps(replicas, data, traced=traced)
        assert spread_losses[0] == pytest.approx(losses[0], rel=1e-6)
        np.testing.assert_allclose(spread_losses, losses, rtol=1e-5)
        assert largest_difference(spread, weights) < 1e-5
    assert largest_difference(weights, initial_weights()) > 0.03


def test_the_order_of_replicas_changes_nothing():
    data = [batch(0, negatives=2)]
    weights, losses = run_steps(4, data)
    permuted, permuted_losses = run_steps(4, data, order=[2, 0, 3, 1])
    np.testing.assert_allclose(permuted_losses, losses, rtol=1e-6)
    assert_same_gradients(permuted, weights)


def test_without_the_gather_the_loss_is_another(monkeypatch):
    """The negative control of the tests above."""
    data = [batch(0, negatives=2)]
    weights, losses = run_steps(1, data)
    monkeypatch.setattr(
        dual_encoder_module, "cross_replica_concat", lambda x: x
    )
    monkeypatch.setattr(dual_encoder_module, "replica_id", lambda: 0)
    spread_weights, spread_losses = run_steps(2, data, traced=trace_step(2))
    assert abs(spread_losses[0] - losses[0]) > 0.1
    assert largest_difference(spread_weights, weights) > 1e-3


def test_pairs_with_the_same_source_are_counted_as_no_negatives():
    model = make_model()
    result = model.test_on_batch(batch(0), return_dict=True)
    # Pairs 0 and 5 share their source: 6 negatives instead of 7.
    expected = (6 * 7 + 2 * 6) / 8
    assert result["negatives"] == pytest.approx(expected)


def test_mixed_bfloat16_is_close_and_nothing_falls_back():
    data = batch(0, negatives=2)
    _, (exact,) = run_steps(1, [data])
    model = make_model(compute_dtype="mixed_bfloat16")
    assert all(w.dtype == tf.float32 for w in model.trainable_variables)
    loss = model.test_on_batch(data, return_dict=True)["loss"]
    assert loss == pytest.approx(exact, rel=0.02)
    assert loss != exact
    graph = (
        tf.function(lambda inputs: model.train_step((inputs,)))
        .get_concrete_function(tf.nest.map_structure(tf.constant, data))
        .graph
    )
    types = {operation.type for operation in graph.get_operations()}
    # MatMul of a float32 and a bfloat16 argument becomes SparseMatMul.
    assert "SparseMatMul" not in types
    matmuls = [
        operation.inputs[0].dtype
        for operation in graph.get_operations()
        if operation.type in ("MatMul", "BatchMatMulV2")
    ]
    assert tf.bfloat16 in matmuls


@pytest.mark.parametrize("negatives", [0, 2])
def test_the_step_obeys_tpu_rules(negatives):
    """Static shapes and no strings."""
    model = make_model(length_buckets=(4,), length_chunks=3)
    model.compile(optimizer=make_optimizer(TrainingConfig()))
    model.optimizer.build(model.trainable_variables)
    specs = tf.nest.map_structure(
        lambda ids: tf.TensorSpec(ids.shape, tf.int32),
        batch(0, negatives=negatives),
    )
    graph = (
        tf.function(lambda inputs: model.train_step((inputs,)))
        .get_concrete_function(specs)
        .graph
    )
    for operation in graph.get_operations():
        for output in operation.outputs:
            assert output.dtype != tf.string, operation.name
            if output.dtype.is_floating:
                assert output.shape.is_fully_defined(), operation


def test_buckets_change_the_time_and_not_the_loss():
    data = batch(0, negatives=2)
    weights, (loss,) = run_steps(1, [data])
    padded = {
        side: {
            name: np.pad(ids, [(0, 0)] * (ids.ndim - 1) + [(0, 10)])
            for name, ids in inputs.items()
        }
        for side, inputs in data.items()
    }
    # Of lengths 3 to 6: the middle one of 4, 8 and all 16.
    traced = trace_step(2, length_buckets=(4, 8))
    bucketed, (bucketed_loss,) = run_steps(2, [padded], traced=traced)
    assert bucketed_loss == pytest.approx(loss, rel=1e-5)
    assert_same_gradients(bucketed, weights)


# 8 sources, 8 targets and 16 hard negatives: 3 chunks of 10 or 11 rows. Of one
# pair with two hard negatives: more chunks than there are rows.
@pytest.mark.parametrize(
    "pairs, replicas, chunks, buckets, run",
    [
        (8, 1, 3, (3, 4), eagerly),
        (1, 1, 5, (3, 4), eagerly),
        (8, 2, 3, (4,), tf.function),
    ],
)
def test_chunks_change_the_time_and_not_the_gradients(
    pairs, replicas, chunks, buckets, run
):
    data = {
        side: {name: ids[:pairs] for name, ids in inputs.items()}
        for side, inputs in batch(0, negatives=2).items()
    }
    weights, (loss,) = run_steps(1, [data], traced=trace_step(1, run=eagerly))
    traced = trace_step(
        replicas, run, length_buckets=buckets, length_chunks=chunks
    )
    chunked, (chunked_loss,) = run_steps(replicas, [data], traced=traced)
    assert chunked_loss == pytest.approx(loss, rel=1e-6)
    assert_same_gradients(chunked, weights)


def test_chunks_are_cut_to_their_own_lengths(monkeypatch):
    """Lengths 3, 3, 6 and 5, 4, 4: chunks of three rows, for 4 and 6."""
    model = make_model(length_buckets=(4,), length_chunks=2)
    mask = np.arange(6) < np.array([[3], [3], [6], [5], [4], [4]])
    ids = np.random.default_rng(0).integers(5, 50, [6, 6]) * mask
    texts = dict(
        zip(
            MODEL_INPUTS,
            (tf.constant(x, tf.int32) for x in (ids, mask, 0 * ids)),
            strict=True,
        )
    )
    halves = [
        {name: part[rows] for name, part in texts.items()}
        for rows in (slice(0, 3), slice(3, 6))
    ]
    expected = model.encoder(texts)
    shapes = []
    encode = model.encoder.call

    def call(inputs, **kwargs):
        shapes.append(tuple(inputs["input_mask"].shape))
        return encode(inputs, **kwargs)

    monkeypatch.setattr(model.encoder, "call", call)
    found = model(dict(zip(("source", "target"), halves, strict=True)))
    assert shapes == [(3, 4), (3, 6)]
    # In the order in which they came.
    np.testing.assert_allclose(
        tf.concat([found["source"], found["target"]], axis=0),
        expected,
        atol=1e-6,
    )


def test_chunks_drop_out_by_themselves():
    """Equal texts in two chunks draw other masks, the same in each run."""
    config = dataclasses.replace(ENCODER, dropout=0.5)
    tf_keras.utils.set_random_seed(3)
    model = DualEncoder(
        SentenceEncoder(config), length_buckets=(4,), length_chunks=2
    )
    model.build()
    ids = tf.fill([2, 6], 7)
    side = dict(zip(MODEL_INPUTS, (ids, ids // 7, ids * 0), strict=True))
    one, other = (
        model({"source": side, "target": side}, training=True, seed=[1, 2])
        for _ in range(2)
    )
    np.testing.assert_array_equal(one["source"], other["source"])
    assert np.abs(one["source"] - one["target"]).min() > 0


def test_buckets_change_nothing_in_bfloat16_either():
    losses = []
    for options, is_eager in (
        ({}, True),
        ({"length_buckets": (4, 8)}, True),
        ({"length_buckets": (4, 8), "length_chunks": 3}, False),
    ):
        model = make_model(compute_dtype="mixed_bfloat16", **options)
        model.compile(tf_keras.optimizers.SGD(0.0), run_eagerly=is_eager)
        losses.append(model.train_on_batch(batch(0)))
    # Words that were rounded to bfloat16 on their way would differ by 1e-3.
    for each in losses[1:]:
        assert each == pytest.approx(losses[0], rel=1e-5)


def test_plain_keras_fit_learns():
    model = make_model(optimizer=lambda: tf_keras.optimizers.Adam(0.01))
    dataset = tf.data.Dataset.from_tensors(batch(0)).repeat()
    history = model.fit(dataset, steps_per_epoch=20, epochs=2, verbose=0)
    first, last = history.history["loss"]
    assert last < first / 2


def test_a_step_that_is_not_finite_is_noted():
    model = make_model()
    data = batch(0)
    model.train_on_batch(data)
    assert model.non_finite_step.numpy() == -1
    model.encoder.trainable_variables[0].assign(
        model.encoder.trainable_variables[0] * np.nan
    )
    model.train_on_batch(data)
    model.train_on_batch(data)
    assert model.non_finite_step.numpy() == 1


def test_dropout_follows_from_seed_and_step():
    data = tf.nest.map_structure(tf.constant, batch(0))
    config = ENCODER.__class__(
        **{**ENCODER.__dict__, "dropout": 0.5, "attention_dropout": 0.5}
    )

    def losses(seed, steps):
        tf_keras.utils.set_random_seed(0)
        model = DualEncoder(SentenceEncoder(config), seed=seed)
        model.build()
        model.compile(optimizer=tf_keras.optimizers.SGD(0.0))
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(steps.start)
        return [
            model.train_on_batch(data, reset_metrics=True, return_dict=True)[
                "loss"
            ]
            for _ in steps
        ]

    first, second, third = losses(1, range(3))
    assert len({first, second, third}) == 3
    # As a restored run begins.
    assert losses(1, range(1, 3)) == pytest.approx([second, third], rel=1e-5)
    assert losses(2, range(1))[0] != pytest.approx(first, rel=1e-5)


def test_configuration_round_trip():
    model = make_model(
        loss=LossConfig(margin=0.1), length_buckets=(4,), length_chunks=2
    )
    again = DualEncoder.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.loss_config.margin == 0.1
