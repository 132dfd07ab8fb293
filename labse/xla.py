"""What has to be said to XLA explicitly; every step on a TPU is compiled by it.

A TPU multiplies float32 matrices as bfloat16 unless the product itself asks for
more (`tf.config.experimental.enable_tensor_float_32_execution` is a switch of
one process, and the hosts of a slice compile in processes of their own). XLA
then also narrows what only such products read, as far back as an all-reduce.
And it merges equal computations, so what is computed twice to save memory has
to be kept apart.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.compiler.xla import xla_data_pb2
from tensorflow.python.ops import control_flow_util

_HIGHEST = xla_data_pb2.PrecisionConfig(
    operand_precision=[xla_data_pb2.PrecisionConfig.HIGHEST] * 2
)


def is_compiled() -> bool:
    """Whether XLA compiles the function that is being traced.

    So it is in `TPUStrategy.run`, and in a call of a function with
    `jit_compile=True`.
    """
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def float32_matmul(
    a: tf.Tensor, b: tf.Tensor, transpose_b: bool = False
) -> tf.Tensor:
    """A matrix product that XLA computes in float32, and so its gradients.

    Also on TPU. Outside of XLA it is `tf.matmul`, which rounds its inputs to
    TF32 on GPUs that have it, unless the process forbids that.

    Args:
      a: float32 [m, k].
      b: float32 [k, n]; [n, k] if `transpose_b`.

    Returns:
      float32 [m, n].
    """
    if not is_compiled():
        return tf.matmul(a, b, transpose_b=transpose_b)
    return _float32_sums(a, b, transpose_b, tf.float32)


def rounded_matmul(
    a: tf.Tensor, b: tf.Tensor, dtype: str, transpose_b: bool = False
) -> tf.Tensor:
    """A matrix product of rounded inputs, and so its gradients.

    XLA adds up and returns float32. TensorFlow has no such operation for
    bfloat16 on CPU: outside of XLA the product and its gradients are rounded to
    `dtype` as well.

    Args:
      a: float32 [m, k].
      b: float32 [k, n]; [n, k] if `transpose_b`.
      dtype: that the inputs are rounded to, "bfloat16".

    Returns:
      float32 [m, n].
    """
    if is_compiled():
        return _float32_sums(a, b, transpose_b, dtype)
    a, b = (tf.cast(x, dtype) for x in (a, b))
    return tf.cast(tf.matmul(a, b, transpose_b=transpose_b), tf.float32)


def _float32_sums(a, b, transpose_b: bool, dtype) -> tf.Tensor:
    """The product of float32 matrices that are rounded to `dtype`."""
    common = 1 if transpose_b else 0  # The axis of `b` that is summed over.
    dot = functools.partial(_dot, dtype=dtype)

    @tf.custom_gradient
    def product(a, b):
        def gradient(upstream):  # [m, n]
            of_a = dot(upstream, 1, b, 1 - common)
            if transpose_b:
                return of_a, dot(upstream, 0, a, 0)
            return of_a, dot(a, 0, upstream, 0)

        return dot(a, 1, b, common), gradient

    return product(a, b)


def _dot(
    a: tf.Tensor, axis_a: int, b: tf.Tensor, axis_b: int, dtype
) -> tf.Tensor:
    """The sum over one axis of each matrix, in float32."""
    axes = xla_data_pb2.DotDimensionNumbers(
        lhs_contracting_dimensions=[axis_a],
        rhs_contracting_dimensions=[axis_b],
    )
    product = xla.dot_general(
        tf.cast(a, dtype),
        tf.cast(b, dtype),
        axes,
        _HIGHEST if dtype == tf.float32 else None,
        preferred_element_type=tf.float32,
    )
    # The operation does not know its shape. What depends on it would have to
    # ask for it, and XLA would have to find the answers.
    product.set_shape([a.shape[1 - axis_a], b.shape[1 - axis_b]])
    return product


def again_after(
    later: tf.Tensor, tensors: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The same values, to compute from them once more when `later` is known.

    Equal operations on equal inputs are merged, by XLA and by TensorFlow's own
    optimizer of graphs. Those on the results are not merged with those on
    `tensors`.

    Returns:
      `later` and `tensors`.
    """
    if not is_compiled():
        with tf.control_dependencies([later]):
            return later, [tf.identity(x) for x in tensors]
    inputs = [later, *tensors]
    outputs = xla.optimization_barrier(*inputs)
    for x, y in zip(inputs, outputs, strict=True):
        y.set_shape(x.shape)
    return outputs[0], outputs[1:]


def empty_rows(shape: Sequence[int]) -> tf.Tensor:
    """Float32 of a shape, for `with_rows`: its values mean nothing yet."""
    if is_compiled():
        return tf.zeros(shape)
    # Not tf.zeros, which becomes a constant that all steps and replicas share.
    return tf.raw_ops.Empty(shape=shape, dtype=tf.float32, init=False)


def with_rows(x: tf.Tensor, start: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """`x` in which `rows` stand from row `start` on, in the memory of `x`.

    So a large tensor can be made piece by piece without a copy of it each time.

    Args:
      x: [n, ...], of `empty_rows` or this function, and used nowhere else.
      start: int32 [].
      rows: [m, ...], all within `x`.
    """
    if not is_compiled():
        places = start + tf.range(rows.shape[0])
        return tf.raw_ops.InplaceUpdate(x=x, i=places, v=rows)
    starts = [start] + [0] * (x.shape.rank - 1)
    result = xla.dynamic_update_slice(x, rows, tf.stack(starts))
    result.set_shape(x.shape)
    return result
