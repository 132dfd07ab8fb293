import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from labse.modeling.rematerialization import rematerialize
from labse.xla import (
    again_after,
    empty_rows,
    float32_matmul,
    is_compiled,
    rounded_matmul,
    with_rows,
)

COMPILED = pytest.mark.parametrize("compiled", [False, True])


def test_what_is_compiled_is_known_while_it_is_traced():
    seen = []

    def inner():
        seen.append(is_compiled())
        return tf.zeros([])

    nested = tf.function(inner)
    tf.function(inner)()
    tf.function(inner, jit_compile=True)()
    tf.function(nested, jit_compile=True)()
    inner()
    assert seen == [False, True, True, False]


def matrices(transpose_b):
    random = np.random.default_rng(0)
    shapes = [5, 3], [4, 3] if transpose_b else [3, 4], [5, 4]
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def product_and_gradients(multiply, transpose_b):
    def function(a, b, weights):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            product = multiply(a, b, transpose_b=transpose_b)
            assert product.shape == [5, 4]
            loss = tf.reduce_sum(product * weights)
        of_a, of_b = tape.gradient(loss, [a, b])
        assert (of_a.shape, of_b.shape) == (a.shape, b.shape)
        return product, of_a, of_b

    return function


@COMPILED
@pytest.mark.parametrize("transpose_b", [False, True])
def test_the_product_and_its_gradients(transpose_b, compiled):
    a, b, weights = matrices(transpose_b)
    function = tf.function(
        product_and_gradients(float32_matmul, transpose_b),
        jit_compile=compiled,
    )
    product, of_a, of_b = function(*map(tf.constant, (a, b, weights)))
    columns = b.T if transpose_b else b  # [3, 4]
    np.testing.assert_allclose(product, a @ columns, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_a, weights @ columns.T, rtol=1e-5, atol=1e-6)
    expected = a.T @ weights
    expected = expected.T if transpose_b else expected
    np.testing.assert_allclose(of_b, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transpose_b", [False, True])
def test_xla_is_asked_for_float32_in_all_three_products(transpose_b):
    arguments = [tf.constant(x) for x in matrices(transpose_b)]
    texts = []
    for multiply in (float32_matmul, tf.matmul):
        function = tf.function(
            product_and_gradients(multiply, transpose_b), jit_compile=True
        )
        function(*arguments)
        texts.append(
            function.experimental_get_compiler_ir(*arguments)(stage="hlo")
        )
    ours, plain = texts
    assert ours.count(" dot(") == plain.count(" dot(") == 3
    assert ours.count("operand_precision={highest,highest}") == 3
    assert "highest" not in plain


@COMPILED
@pytest.mark.parametrize("transpose_b", [False, True])
def test_a_product_of_rounded_inputs(transpose_b, compiled):
    """Its sums are float32 where XLA compiles, and rounded elsewhere."""
    arguments = [tf.constant(x) for x in matrices(transpose_b)]
    rounded = [in_bfloat16(x) for x in arguments]
    multiply = functools.partial(rounded_matmul, dtype="bfloat16")
    function = tf.function(
        product_and_gradients(multiply, transpose_b), jit_compile=compiled
    )
    exact = product_and_gradients(tf.matmul, transpose_b)
    for found, expected, unrounded in zip(
        function(*arguments), exact(*rounded), exact(*arguments), strict=True
    ):
        assert found.dtype == tf.float32
        assert np.abs(expected - unrounded).max() > 1e-3
        if not compiled:
            # Sums that differ in the last bits may be rounded apart: 2^-8.
            assert np.array_equal(found, in_bfloat16(found))
            np.testing.assert_allclose(found, expected, rtol=2**-8, atol=1e-6)
            continue
        assert np.mean(found == in_bfloat16(found)) < 0.5
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def in_bfloat16(x):
    return tf.cast(tf.cast(x, tf.bfloat16), tf.float32)


def layer(seed, x, kernel):
    """A product, dropout and a tanh."""
    x = tf.nn.experimental.stateless_dropout(x, 0.5, seed)
    return tf.tanh(tf.matmul(x, kernel))


def gradient_of_layers(apply):
    def function(x, kernel, seed):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = x
            for _ in range(2):
                y = apply(layer, seed, [y, kernel])
            loss = tf.reduce_sum(y * y)
        return loss, *tape.gradient(loss, [x, kernel])

    return function


def plainly(function, seed, inputs):
    return function(seed, *inputs)


@COMPILED
def test_rematerialized_layers_have_the_same_gradients(compiled):
    random = np.random.default_rng(1)
    arguments = (
        tf.constant(random.normal(size=[6, 4]), tf.float32),
        tf.constant(random.normal(size=[4, 4]), tf.float32),
        tf.constant([3, 4]),
    )
    ours, expected = (
        tf.function(gradient_of_layers(apply), jit_compile=compiled)(*arguments)
        for apply in (rematerialize, plainly)
    )
    for one, other in zip(ours, expected, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def nodes_that_run(function, arguments, kind):
    """How many operations of a kind are left by TensorFlow's optimizer."""
    context.context().enable_run_metadata()
    try:
        function(*arguments)
        metadata = context.context().export_run_metadata()
    finally:
        context.context().disable_run_metadata()
    return sum(
        node.op == kind
        for graphs in metadata.function_graphs
        for node in graphs.post_optimization_graph.node
    )


def test_the_second_computation_is_merged_with_the_first_by_nobody():
    """Two layers: two tanh in the forward pass, two more for gradients."""
    arguments = (
        tf.random.stateless_normal([6, 4], [0, 1]),
        tf.random.stateless_normal([4, 4], [0, 2]),
        tf.constant([3, 4]),
    )
    tanhs = []
    for apply in (plainly, rematerialize):
        function = tf.function(gradient_of_layers(apply))
        tanhs.append(nodes_that_run(function, arguments, "Tanh"))
    assert tanhs == [2, 4]


def test_xla_gets_a_barrier():
    """TPU's compiler respects it; that for CPU drops it and merges again."""
    x = tf.ones([4, 4])

    def function(x):
        first = tf.reduce_sum(tf.sin(x))
        later, (again,) = again_after(first, [x])
        assert again.shape == [4, 4]
        return later + tf.reduce_sum(tf.sin(again))

    function = tf.function(function, jit_compile=True)
    np.testing.assert_allclose(function(x), 32 * np.sin(1), rtol=1e-6)
    text = function.experimental_get_compiler_ir(x)(stage="hlo")
    assert text.count(" opt-barrier(") == 1
    assert text.count(" sine(") == 2


@COMPILED
@pytest.mark.parametrize("shape", [[6], [6, 3]])
def test_rows_are_put_into_a_tensor_one_part_after_another(shape, compiled):
    """The parts overlap: the later one stays."""

    @functools.partial(tf.function, jit_compile=compiled)
    def fill(last):
        x = empty_rows(shape)
        for start, value in ((2, 1.0), (4, last), (0, 3.0), (1, 4.0)):
            rows = tf.fill([2, *shape[1:]], value)
            x = with_rows(x, tf.constant(start), rows)
            assert x.shape == shape
        return x

    for last in (5.0, 6.0):
        # Row by row: 0-1 are 3, then 1-2 are 4, so row 3 alone is left of 2-3.
        column = np.array([3, 4, 4, 1, last, last], np.float32)
        expected = np.broadcast_to(column[:, None], [6, 3])
        expected = expected if len(shape) == 2 else column
        np.testing.assert_array_equal(fill(tf.constant(last)), expected)
