"""The loss in blocks of rows against the loss computed at once."""

import numpy as np
import pytest
import tensorflow as tf

from labse.losses import additive_margin_softmax as loss_module
from labse.losses.additive_margin_softmax import (
    Candidates,
    rank_both_directions,
)

PAIRS, DIM = 11, 5


def unit_rows(random, rows):
    vectors = random.normal(size=(rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def inputs(seed, negatives, texts):
    """Source, target and candidates, with few different texts."""
    random = np.random.default_rng(seed)
    source, target = unit_rows(random, PAIRS), unit_rows(random, PAIRS)
    given = {}
    if texts:
        for side in ("source_texts", "target_texts"):
            given[side] = (
                random.integers(0, 6, [PAIRS, 2]).astype(np.int32) // 3
            )
    if negatives:
        given["hard_negatives"] = unit_rows(random, negatives)
        given["hard_negative_mask"] = random.integers(0, 2, negatives)
        if texts:
            shape = [negatives, 2]
            numbers = random.integers(0, 6, shape).astype(np.int32) // 3
            given["hard_negative_texts"] = numbers
    return source, target, given


def rank(source, target, given, local=slice(0, PAIRS)):
    """Results of both directions, and gradients of unequally weighed losses."""
    embeddings = [tf.constant(source), tf.constant(target)]
    given = {name: tf.constant(value) for name, value in given.items()}
    if "hard_negatives" in given:
        embeddings.append(given.pop("hard_negatives"))
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        hard_negatives = embeddings[2] if len(embeddings) > 2 else None
        forward, backward = rank_both_directions(
            embeddings[0][local],
            embeddings[1][local],
            Candidates(*embeddings[:2], hard_negatives=hard_negatives, **given),
            first_row=local.start,
            logit_scale=10.0,
            margin=0.3,
        )
        weights = tf.range(1.0, forward.loss.shape[0] + 1)
        total = tf.reduce_sum(weights * (forward.loss - 2 * backward.loss))
    return (*forward, *backward), tape.gradient(total, embeddings)


def assert_equal(found, expected):
    tf.nest.assert_same_structure(found, expected)
    for one, other in zip(
        tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
        if one.dtype == tf.bool:
            np.testing.assert_array_equal(one, other)
        else:
            largest = max(1.0, np.abs(other).max())
            np.testing.assert_allclose(one, other, atol=1e-6 * largest)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("negatives", [0, 7])
@pytest.mark.parametrize("block_rows", [1, 3, 10])
def test_blocks_change_nothing(monkeypatch, block_rows, negatives, texts):
    """11 rows: 11 blocks of 1, 4 of 3 with one row filled up, 2 of 6."""
    given = inputs(block_rows, negatives, texts)
    expected = rank(*given)
    columns = PAIRS + negatives
    monkeypatch.setattr(loss_module, "BLOCK_LOGITS", block_rows * columns)
    assert_equal(rank(*given), expected)
    assert_equal(tf.function(lambda: rank(*given))(), expected)


def test_blocks_of_one_replicas_rows(monkeypatch):
    """Also compiled by XLA."""
    given = inputs(0, negatives=6, texts=True)

    def compute():
        return rank(*given, local=slice(4, 9))

    expected = compute()
    monkeypatch.setattr(loss_module, "BLOCK_LOGITS", 2 * (PAIRS + 6))
    assert_equal(compute(), expected)
    compiled = tf.function(compute, jit_compile=True)()
    for one, other in zip(
        tf.nest.flatten(compiled), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(
            tf.cast(one, tf.float32), tf.cast(other, tf.float32), atol=2e-5
        )


def largest_tensor(function, *specs):
    """Elements of the largest tensor of a graph and of its loops."""
    graph = tf.function(function).get_concrete_function(*specs).graph
    graphs, sizes = [graph], []
    for definition in graph.as_graph_def().library.function:
        name = definition.signature.name
        graphs.append(graph._functions[name].graph)
    for each in graphs:
        for operation in each.get_operations():
            for output in operation.outputs:
                if output.shape.is_fully_defined():
                    sizes.append(output.shape.num_elements())
    assert len(graphs) > 1
    return max(sizes)


@pytest.mark.parametrize("pairs", [4096, 8192])
def test_memory_does_not_grow_with_the_square_of_the_batch(pairs):
    def compute(source, target, texts, negatives, negative_texts):
        with tf.GradientTape() as tape:
            tape.watch([source, target, negatives])
            forward, backward = rank_both_directions(
                source,
                target,
                Candidates(
                    source, target, texts, texts, negatives, negative_texts
                ),
                first_row=0,
                logit_scale=10.0,
                margin=0.3,
            )
            loss = tf.reduce_sum(forward.loss + backward.loss)
        return tape.gradient(loss, [source, target, negatives])

    assert pairs * 2 * pairs > 2 * loss_module.BLOCK_LOGITS
    largest = largest_tensor(
        compute,
        *[tf.TensorSpec([pairs, 8])] * 2,
        tf.TensorSpec([pairs, 2], tf.int32),
        tf.TensorSpec([pairs, 8]),
        tf.TensorSpec([pairs, 2], tf.int32),
    )
    assert largest <= loss_module.BLOCK_LOGITS
