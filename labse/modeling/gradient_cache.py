"""Gradients of a large batch with the memory of a small one.

The loss of in-batch negatives needs the embeddings of the whole batch, but the
encoder embeds each text by itself. So (GradCache, Gao et al. 2021):

1. The chunks of the batch are embedded one after another, without gradients.
2. Loss and its gradient by the embeddings, over the gathered global batch.
3. Each chunk is embedded again, and the gradient of its embeddings is sent
   through the encoder and added up.

The gradient is that of the whole batch at once. It costs one more pass of the
encoder; a backward pass takes two, so a step takes 4/3 of the time.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from labse.losses.chunk_loop import loop_over_chunks


def cached_gradients(
    prepare: Callable[[], list],
    embed: Callable[[list, tf.Tensor], tf.Tensor],
    loss_function: Callable[[tf.Tensor], tf.Tensor],
    variables: Sequence[tf.Variable],
    *,
    chunks: int,
    chunk_shape: Sequence[int],
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The loss of all chunks, and its gradients.

    Args:
      prepare: what is computed once from the variables, such as their values
        in another dtype: a nest of tensors.
      embed: from that and the number of a chunk, int32 [], to its embeddings,
        float32 `chunk_shape`. Called twice for each chunk: it must return the
        same both times, so dropout must draw the same masks. No collectives.
      loss_function: from all embeddings, float32 [chunks * rows, dim], to the
        loss, a scalar. It may use collectives.
      variables: those of the encoder; the loss depends on no others.
      chunks: their number.
      chunk_shape: rows and dim.

    Returns:
      the loss, and for each variable a gradient of its shape. That of the word
      table is not `tf.IndexedSlices`: these would grow with the batch.
    """
    rows, dim = chunk_shape
    with tf.GradientTape(persistent=True) as preparation:
        weights = prepare()
    (embeddings,), _ = loop_over_chunks(
        chunks,
        lambda number: ([embed(weights, number)], []),
        [tf.TensorSpec([rows, dim])],
    )
    embeddings = tf.reshape(embeddings, [chunks * rows, dim])
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = loss_function(embeddings)
    upstream = tf.reshape(tape.gradient(loss, embeddings), [chunks, rows, dim])

    def gradients_of(sources):
        return _sum_of_gradients(
            lambda number: embed(weights, number), upstream, sources
        )

    return loss, _through_preparation(
        gradients_of, preparation, tf.nest.flatten(weights), variables
    )


def _sum_of_gradients(embed, upstream, sources) -> list[tf.Tensor]:
    """Float32 sums over all chunks of the gradients by `sources`."""

    def backward(number):
        with tf.GradientTape() as tape:
            tape.watch([x for x in sources if isinstance(x, tf.Tensor)])
            embeddings = embed(number)
        gradients = tape.gradient(
            embeddings,
            sources,
            upstream[number],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return [], gradients

    zeros = [tf.zeros(source.shape) for source in sources]
    _, totals = loop_over_chunks(upstream.shape[0], backward, totals=zeros)
    return totals


def _through_preparation(
    gradients_of, preparation: tf.GradientTape, weights, variables
) -> list[tf.Tensor]:
    """The variables' gradients, for prepared weights by way of these."""
    if not weights:
        return gradients_of(variables)
    # Known from the graph, nothing of which is computed for it.
    is_prepared = [
        gradient is not None
        for gradient in preparation.gradient(weights, variables)
    ]
    pairs = list(zip(variables, is_prepared, strict=True))
    others = [variable for variable, prepared in pairs if not prepared]
    totals = gradients_of([*others, *weights])
    of_others = iter(totals[: len(others)])
    of_weights = [
        tf.cast(total, weight.dtype)
        for total, weight in zip(totals[len(others) :], weights, strict=True)
    ]
    of_variables = preparation.gradient(weights, variables, of_weights)
    return [
        next(of_others) if gradient is None else gradient
        for gradient in of_variables
    ]
