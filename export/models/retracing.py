"""Keeps a loaded function from being traced for every new shape."""

import tensorflow as tf

# What `tf.function(reduce_retracing=True)` sets.
_ATTRIBUTE = "_reduce_retracing"


def relax_shapes(function: tf.types.experimental.PolymorphicFunction) -> None:
    """Makes `function`, saved and loaded, take any shape after a few traces.

    TensorFlow loads a function as one that is traced anew for every shape it
    is called with, unless it has an input signature, and keeps every trace
    for ever. `reduce_retracing=True` is not saved. But a function is loaded
    with its saved traces as attributes, by the names under which they were
    saved; so the first one is saved under the name of the attribute that
    `reduce_retracing=True` sets. From the second shape on the loaded
    function then generalises what differs: at most three traces for each
    kind of input and value of `training`.
    """
    list_children = function._trackable_children

    def with_attribute(save_type="checkpoint", **kwargs):
        traces = list_children(save_type, **kwargs)
        return {
            _ATTRIBUTE if number == 0 else name: trace
            for number, (name, trace) in enumerate(traces.items())
        }

    function._trackable_children = with_attribute
