"""Activations that are computed again instead of kept (Chen et al. 2016).

The gradients of a layer need its activations. Kept from the forward pass they
are most of a training step's memory; computed again from the layer's inputs
when its gradient is due, only those of one layer at a time exist. A step then
costs one more forward pass of the layers, about a third more of their time.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from labse.xla import again_after


def rematerialize(
    function: Callable[..., tf.Tensor],
    seed: tf.Tensor,
    inputs: Sequence[tf.Tensor],
) -> tf.Tensor:
    """`function(seed, *inputs)`, of which only the arguments are kept.

    Args:
      function: computes the same whenever it is called; it reads no variables,
        and `inputs` alone have gradients.
      seed: of its random numbers; int32.
      inputs: floating point.
    """
    # Tensors of this graph: the gradient cannot reach those outside of nested
    # branches.
    seed, *inputs = [tf.identity(x) for x in (seed, *inputs)]

    @tf.custom_gradient
    def forward(*inputs):
        def gradient(upstream):
            # The seed too: XLA would keep the masks of dropout, being equal.
            upstream, (seed_again, *again) = again_after(
                upstream, [seed, *inputs]
            )
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(again)
                output = function(seed_again, *again)
            return tape.gradient(output, again, output_gradients=upstream)

        return function(seed, *inputs), gradient

    return forward(*inputs)
