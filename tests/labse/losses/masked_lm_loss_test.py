"""The loss in chunks of the vocabulary against the plain form, and NumPy."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from labse.losses import block_size
from labse.losses.masked_lm_loss import chunk_size, masked_lm_loss

ROWS, PIECES, DIM = 7, 23, 5


def inputs(seed=0, pieces=PIECES):
    """Hidden, table, bias and labels: the first and the last piece, too."""
    random = np.random.default_rng(seed)
    shapes = [ROWS, DIM], [pieces, DIM], [pieces]
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    labels = random.integers(0, pieces, ROWS).astype(np.int32)
    labels[:2] = 0, pieces - 1
    return [tf.constant(x) for x in (*arrays, labels)]


def loss_and_gradients(hidden, table, bias, labels, **options):
    """Loss, correctness, and the gradients of unequally weighed losses."""
    with tf.GradientTape() as tape:
        tape.watch([hidden, table, bias])
        loss, correct = masked_lm_loss(hidden, table, bias, labels, **options)
        weights = tf.range(1.0, ROWS + 1)
        total = tf.reduce_sum(loss * weights)
    return [loss, correct, *tape.gradient(total, [hidden, table, bias])]


def in_numpy(hidden, table, bias, labels):
    """The same in float64."""
    hidden, table, bias = (
        x.numpy().astype(np.float64) for x in (hidden, table, bias)
    )
    labels, rows = labels.numpy(), np.arange(ROWS)
    logits = hidden @ table.T + bias
    exponentials = np.exp(logits)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = np.log(sums[:, 0]) - logits[rows, labels]
    correct = logits.argmax(axis=1) == labels
    change = exponentials / sums
    change[rows, labels] -= 1
    change *= np.arange(1, ROWS + 1)[:, None]
    gradients = change @ table, change.T @ hidden, change.sum(axis=0)
    return [loss, correct.astype(np.float64), *gradients]


def assert_close(found, expected, tolerance=1e-6):
    assert len(found) == len(expected) == 5
    for one, other in zip(found, expected, strict=True):
        other = np.asarray(other)
        scale = max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


# 22: a last chunk of one piece. 12: two chunks that overlap by one piece. 8: by
# one of three. 1: as many chunks as pieces. 23 and 30: all at once.
CHUNKS = pytest.mark.parametrize("chunk", [1, 5, 8, 12, 22, 23, 30])


@CHUNKS
def test_any_chunk_gives_the_loss_and_gradients_of_numpy(chunk):
    data = inputs()
    function = tf.function(functools.partial(loss_and_gradients, chunk=chunk))
    assert_close(function(*data), in_numpy(*data))
    assert_close(loss_and_gradients(*data, chunk=chunk), in_numpy(*data))


@pytest.mark.parametrize("chunk", [5, 12])
def test_compiled_by_xla(chunk):
    data = inputs()
    function = tf.function(
        functools.partial(loss_and_gradients, chunk=chunk), jit_compile=True
    )
    assert_close(function(*data), in_numpy(*data))


def test_the_label_may_be_right():
    hidden, table, bias, _ = inputs()
    logits = hidden.numpy() @ table.numpy().T + bias.numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    labels[3] = (labels[3] + 1) % PIECES
    for chunk in (5, PIECES):
        _, correct = masked_lm_loss(hidden, table, bias, labels, chunk=chunk)
        np.testing.assert_array_equal(correct, [1, 1, 1, 0, 1, 1, 1])


def test_of_equal_logits_the_first_one_counts():
    """As `tf.argmax` has it, within a chunk and across chunks."""
    hidden, table = tf.zeros([ROWS, DIM]), tf.zeros([PIECES, DIM])
    bias = np.zeros(PIECES, np.float32)
    bias[[3, 4, 11, 20]] = 1
    labels = tf.constant([3, 4, 11, 20, 0, 3, 22])
    for chunk in (1, 5, 12, PIECES):
        _, correct = masked_lm_loss(hidden, table, bias, labels, chunk=chunk)
        np.testing.assert_array_equal(correct, [1, 0, 0, 0, 0, 1, 0])


def test_large_logits_of_any_sign_neither_overflow_nor_vanish():
    hidden, table, bias, labels = inputs()
    for offset in (-1000.0, 1000.0):
        moved = bias + offset
        # A logit of 1000 has 2^-14 = 6e-5 between it and the next number.
        found = loss_and_gradients(hidden, table, moved, labels, chunk=5)
        expected = in_numpy(hidden, table, bias, labels)
        assert_close(found, expected, 1e-4)
    # The first chunks far below the last one, and the other way round.
    for slope in (-10.0, 10.0):
        data = [hidden, table, bias + slope * np.arange(PIECES), labels]
        data[2] = tf.cast(data[2], tf.float32)
        found = loss_and_gradients(*data, chunk=4)
        assert_close(found, in_numpy(*data), 1e-5)


def test_bfloat16_products_and_float32_sums():
    """Close to float32, equal whatever the chunk, and gradients in float32."""
    data = inputs()
    exact = loss_and_gradients(*data)
    options = {"compute_dtype": "bfloat16"}
    at_once = loss_and_gradients(*data, **options)
    # Numbers up to about 5 with 8 bits.
    assert_close(at_once, exact, 0.05)
    assert np.abs(at_once[0] - exact[0]).max() > 1e-4
    for chunk in (5, 12):
        found = loss_and_gradients(*data, chunk=chunk, **options)
        assert all(x.dtype == tf.float32 for x in found)
        assert_close(found[:2] + exact[2:], at_once[:2] + exact[2:])
        # The gradient of hidden is a sum over the chunks, each rounded.
        assert_close(found, at_once, 0.02)


@pytest.mark.parametrize("chunk", [5, PIECES])
def test_bfloat16_compiled_by_xla_rounds_the_inputs_alone(chunk):
    """The table's gradient is float32; outside of XLA each number is rounded.

    Against NumPy, of what the loss is given rounded: all but `change`, whose
    rounding is 2^-9 of the gradients' terms.
    """
    data = inputs()
    function = functools.partial(
        loss_and_gradients, chunk=chunk, compute_dtype="bfloat16"
    )
    compiled = tf.function(function, jit_compile=True)(*data)
    plain = function(*data)
    assert np.mean(compiled[3] == in_bfloat16(compiled[3])) < 0.2
    assert np.array_equal(plain[3], in_bfloat16(plain[3]))
    data[:2] = (in_bfloat16(x) for x in data[:2])
    expected = in_numpy(*data)
    assert_close(compiled[:2] + expected[2:], expected)
    assert_close(compiled, expected, 2**-8)


def in_bfloat16(x):
    return tf.cast(tf.cast(x, tf.bfloat16), tf.float32)


def test_steps_do_not_share_their_gradients():
    """Memory that is written in place is new in each step."""
    function = tf.function(functools.partial(loss_and_gradients, chunk=5))
    first = function(*inputs(0))
    kept = [x.numpy().copy() for x in first]
    second = function(*inputs(1))
    assert_close([x.numpy() for x in first], kept, 0)
    assert_close(second, in_numpy(*inputs(1)))


def test_the_default_chunk(monkeypatch):
    # Few logits, and unknown rows: all at once.
    assert chunk_size(8, 2**19) == 2**19
    assert chunk_size(None, 501_153) == 501_153
    monkeypatch.setattr(block_size, "MASKED_LM_BLOCK_LOGITS", 2**24)
    # 2^24 / 8192 = 2048 pieces at most: 245 chunks of 2045.5, so of 2046; the
    # next multiple of 128 is 2048.
    assert chunk_size(8192, 501_153) == 2048
    # 2^24 / 205 = 81,840: 7 chunks of 71,594; the next multiple of 128.
    assert chunk_size(205, 501_153) == 71_680
    # Never none, and never more than there are.
    assert chunk_size(2**25, 501_153) == 128
    assert chunk_size(2**25, 100) == 100


def test_no_step_holds_all_logits():
    """The largest tensor of [n, ...] in the graph, beside the control."""

    def largest(chunk):
        function = tf.function(
            functools.partial(loss_and_gradients, chunk=chunk)
        )
        graph = function.get_concrete_function(*inputs(pieces=640)).graph
        functions = [graph, *graph._functions.values()]
        graphs = [getattr(each, "graph", each) for each in functions]
        return max(
            output.shape[1]
            for each in graphs
            for operation in each.get_operations()
            for output in operation.outputs
            if output.shape.rank == 2 and output.shape[0] == ROWS
        )

    assert largest(640) == 640
    assert largest(128) == 128
