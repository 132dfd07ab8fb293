"""Blocks of rows of a large matrix, computed and differentiated one by one.

A matrix of all rows against all columns grows with the square of a batch. So a
block of its rows is computed, reduced to a few numbers a row and forgotten; for
the gradient it is computed again. With blocks of rows, not of columns, each row
sees all its columns at once, and nothing is corrected from block to block.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from labse.losses.chunk_loop import loop_over_chunks

Tensors = Sequence[tf.Tensor]
# From some of the rows, their numbers and all columns to [rows, width].
RowFunction = Callable[[Tensors, tf.Tensor, Tensors], tf.Tensor]


def in_row_blocks(
    function: RowFunction,
    rows: Tensors,
    numbers: tf.Tensor,
    columns: Tensors,
    *,
    width: int,
    most_rows: int,
) -> tf.Tensor:
    """`function(rows, numbers, columns)`, at most `most_rows` rows at once.

    Args:
      function: treats each row by itself.
      rows: float32 [rows, dim] each.
      numbers: int32 [rows], of the rows.
      columns: float32 [columns, dim] each.
      width: of the results.
      most_rows: of a block. If there are no more, or if their number is not
        static, all are computed at once, by plain automatic differentiation.

    Returns:
      float32 [rows, width], differentiable by rows and columns.
    """
    count = rows[0].shape[0]
    if count is None or count <= most_rows:
        return function(rows, numbers, columns)
    blocks = -(-count // most_rows)
    size = -(-count // blocks)

    def split(x):
        """Into blocks of equal size; the last one is filled up with zeros."""
        padding = [[0, blocks * size - count]] + [[0, 0]] * (x.shape.rank - 1)
        return tf.reshape(tf.pad(x, padding), [blocks, size, *x.shape[1:]])

    compute = _recomputed_for_gradient(
        function, split(numbers), len(rows), width
    )
    results = compute(*(split(x) for x in rows), *columns)
    return tf.reshape(results, [blocks * size, width])[:count]


def _recomputed_for_gradient(
    function: RowFunction, numbers: tf.Tensor, num_rows: int, width: int
) -> Callable[..., tf.Tensor]:
    """A function of the rows [blocks, size, dim] and then the columns.

    It returns [blocks, size, width].
    """
    blocks, size = numbers.shape

    @tf.custom_gradient
    def compute(*arguments):
        rows, columns = arguments[:num_rows], arguments[num_rows:]

        def block(number):
            own = [x[number] for x in rows]
            return [function(own, numbers[number], columns)], []

        spec = tf.TensorSpec([size, width])
        (results,), _ = loop_over_chunks(blocks, block, [spec])
        return results, lambda upstream: gradient(rows, columns, upstream)

    def gradient(rows, columns, upstream):
        def block(number):
            own = [x[number] for x in rows]
            with tf.GradientTape() as tape:
                tape.watch([own, columns])
                results = function(own, numbers[number], columns)
            changes = tape.gradient(results, [*own, *columns], upstream[number])
            return changes[:num_rows], changes[num_rows:]

        specs = [tf.TensorSpec(x.shape[1:]) for x in rows]
        zeros = [tf.zeros_like(x) for x in columns]
        of_rows, of_columns = loop_over_chunks(blocks, block, specs, zeros)
        return [*of_rows, *of_columns]

    return compute
