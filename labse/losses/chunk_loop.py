"""A loop in the graph over the chunks of a batch, so that memory is one's."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def loop_over_chunks(
    count: int,
    function: Callable[[tf.Tensor], tuple[list, list]],
    results: Sequence[tf.TensorSpec] = (),
    totals: Sequence[tf.Tensor] = (),
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Calls `function` with the number of each chunk, one after another.

    Not to be differentiated: that would keep the tensors of all chunks. Take
    the gradient of a chunk inside `function`, and add it to the totals.

    Args:
      count: the number of chunks.
      function: from the number of a chunk, int32 [], to its results and to
        what it adds to the totals, tensors or `tf.IndexedSlices`. It is traced
        once.
      results: shapes and dtypes of one chunk's results.
      totals: what is there before the first chunk.

    Returns:
      the results, [count, ...], and the totals.
    """
    arrays = [
        tf.TensorArray(spec.dtype, count, element_shape=spec.shape)
        for spec in results
    ]

    def body(number, arrays, totals):
        found, changes = function(number)
        arrays = [
            array.write(number, result)
            for array, result in zip(arrays, found, strict=True)
        ]
        totals = [
            _sum(total, change)
            for total, change in zip(totals, changes, strict=True)
        ]
        return number + 1, arrays, totals

    _, arrays, totals = tf.while_loop(
        lambda number, arrays, totals: number < count,
        body,
        (tf.constant(0), arrays, list(totals)),
        # TensorFlow would otherwise begin up to ten chunks at once.
        parallel_iterations=1,
        maximum_iterations=count,
    )
    return [array.stack() for array in arrays], totals


def _sum(total: tf.Tensor, change: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    """Rows of a table are added one by one, not made a table of their own.

    TensorFlow's CPU kernel still copies the total each time.
    """
    if isinstance(change, tf.IndexedSlices):
        indices = tf.cast(change.indices, tf.int32)[:, None]
        values = tf.cast(change.values, total.dtype)
        return tf.tensor_scatter_nd_add(total, indices, values)
    return total + tf.cast(change, total.dtype)
