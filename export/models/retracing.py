"""Keeps a loaded function from being retraced for every new shape."""

import tensorflow as tf

# What `tf.function(reduce_retracing=True)` sets.
_ATTRIBUTE = "_reduce_retracing"


def relax_shapes(function: tf.types.experimental.PolymorphicFunction) -> None:
    """Makes `function`, once saved and loaded, take any shape in few traces.

    A loaded function without an input signature is traced again for every
    shape that it is called with, and keeps every trace. `reduce_retracing=True`
    is not saved. However, a function is loaded with its saved traces as
    attributes, by the names under which they were saved; so here the first one
    is saved under the name of the attribute that `reduce_retracing=True` sets.
    From the second shape on, the loaded function generalises the dimensions
    that differ: at most three traces for each kind of input and value of
    `training`.
    """
    list_children = function._trackable_children

    def with_attribute(save_type="checkpoint", **kwargs):
        traces = list_children(save_type, **kwargs)
        return {
            _ATTRIBUTE if number == 0 else name: trace
            for number, (name, trace) in enumerate(traces.items())
        }

    function._trackable_children = with_attribute
