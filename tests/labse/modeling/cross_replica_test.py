import numpy as np
import pytest
import tensorflow as tf

from labse.modeling.cross_replica import (
    cross_replica_concat,
    cross_replica_sum,
    num_replicas,
    replica_id,
)

REPLICAS = [1, 2, 4]


def mirrored(replicas):
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        # CPU collectives keep one group for a process; groups of two and of
        # four cannot follow each other.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def run(replicas, function, values=None):
    """`function` of each replica's row of `values`; one result for each."""
    strategy = mirrored(replicas)
    if values is None:
        values = tf.zeros([replicas])
    if replicas == 1:
        return [tf.function(function)(values[0])]
    local = strategy.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group]
    )
    step = tf.function(lambda x: strategy.run(function, (x,)))
    return strategy.experimental_local_results(step(local))


def numbers(replicas, dtype=np.float32):
    """Two rows of three for each replica: 0, 1, 2, ..."""
    count = replicas * 2 * 3
    return tf.constant(np.arange(count, dtype=dtype).reshape(replicas, 2, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("replicas", REPLICAS)
def test_all_get_all_rows_in_the_order_of_replicas(replicas, dtype):
    results = run(replicas, cross_replica_concat, numbers(replicas, dtype))
    assert len(results) == replicas
    expected = np.arange(replicas * 6, dtype=dtype).reshape(-1, 3)
    for result in results:
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_large_int32_are_exact(replicas):
    """float32 would round them."""
    largest = np.iinfo(np.int32).max
    values = tf.constant([[largest - i] for i in range(replicas)], tf.int32)
    for result in run(replicas, cross_replica_concat, values):
        np.testing.assert_array_equal(
            result, [largest - i for i in range(replicas)]
        )


@pytest.mark.parametrize("replicas", REPLICAS)
def test_the_gradient_sums_what_all_replicas_say_of_the_own_rows(replicas):
    """Replica r's loss weighs all gathered rows by (r + 1) * (1, 2, 3, ...).

    The sum over the replicas of (r + 1) is 1, 3 or 10; times that, each gets
    its own slot of the weights.
    """
    weights = np.arange(1, replicas * 6 + 1, dtype=np.float32).reshape(-1, 3)

    def gradient(x):
        factor = tf.cast(replica_id(), tf.float32) + 1.0
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(cross_replica_concat(x) * weights * factor)
        return tape.gradient(loss, x)

    total = {1: 1, 2: 3, 4: 10}[replicas]
    for place, result in enumerate(run(replicas, gradient, numbers(replicas))):
        own = weights[2 * place : 2 * place + 2]
        np.testing.assert_allclose(result, total * own, rtol=1e-6)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_a_tensor_that_all_replicas_share_is_gathered_as_well(replicas):
    shared = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    for result in run(replicas, lambda _: cross_replica_concat(shared)):
        np.testing.assert_array_equal(
            result, np.tile([[1.0, 2.0], [3.0, 4.0]], [replicas, 1])
        )


@pytest.mark.parametrize("replicas", REPLICAS)
def test_shapes_are_static_where_they_can_be(replicas):
    seen = set()

    def gather(x):
        seen.add(tuple(cross_replica_concat(x).shape))
        unknown = tf.ensure_shape(tf.boolean_mask(x, [True, False]), [None, 3])
        gathered = cross_replica_concat(unknown)
        seen.add(tuple(gathered.shape))
        return gathered

    results = run(replicas, gather, numbers(replicas))
    assert seen == {(2 * replicas, 3), (None, 3)}
    # The first of each replica's two rows.
    expected = np.arange(replicas * 6).reshape(-1, 3)[::2]
    np.testing.assert_array_equal(results[0], expected)


@pytest.mark.parametrize("replicas", REPLICAS)
def test_replicas_know_their_place_and_number(replicas):
    results = run(
        replicas,
        lambda _: tf.stack(
            [tf.convert_to_tensor(replica_id()), num_replicas()]
        ),
    )
    places = [result.numpy().tolist() for result in results]
    assert places == [[place, replicas] for place in range(replicas)]


def test_outside_of_any_strategy_there_is_one_replica():
    assert replica_id() == 0
    assert num_replicas() == 1
    x = tf.ones([2, 2])
    assert cross_replica_concat(x) is x


@pytest.mark.parametrize("replicas", REPLICAS)
def test_all_replicas_have_the_sum(replicas):
    """Of 1, 2, 3 and 4, and of scalars; a count has no gradient."""
    values = tf.range(1.0, replicas + 1)
    total = {1: 1, 2: 3, 4: 10}[replicas]

    def sums(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = cross_replica_sum(x) * x
        return result / x, tape.gradient(result, x)

    for result, gradient in run(replicas, sums, values):
        assert result == total
        assert gradient == total
