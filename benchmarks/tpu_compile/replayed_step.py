"""A traced step as a function of its variables' values.

XLA's entry points for compilation ahead of time refuse functions that take
variables. So each operation of the traced graph is repeated, with a variable's
value where it is read, and assignments as results.
"""

import functools
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.framework import function_def_to_graph

# Of operations that assign: the new value from the old one and the input.
_ASSIGNMENTS = {
    "AssignVariableOp": lambda old, x: x,
    "AssignAddVariableOp": lambda old, x: old + x,
    "AssignSubVariableOp": lambda old, x: old - x,
}


class ReplayedStep:
    """`concrete` without variables.

    Attributes:
      handles: the variables that the step uses.
      specs: of the arguments: those of `concrete`, then the variables' values.
      updated: indices in `handles` of the variables that the step assigns;
        known after a call.
      num_outputs: of `concrete` itself; the new values follow them.
    """

    def __init__(self, concrete: tf.types.experimental.ConcreteFunction):
        graph = concrete.graph
        resources = [x for x in graph.captures if x[0].dtype == tf.resource]
        self.handles = [handle for handle, _ in resources]
        self._graph = graph
        self._variables = [inner.ref() for _, inner in resources]
        self._constants = [
            x for x in graph.captures if x[0].dtype != tf.resource
        ]
        captured = {inner.ref() for _, inner in graph.captures}
        self._arguments = [x for x in graph.inputs if x.ref() not in captured]
        self.specs = [
            *(tf.TensorSpec(x.shape, x.dtype) for x in self._arguments),
            *(_value_spec(handle) for handle in self.handles),
        ]
        self.updated = []
        self.num_outputs = 0

    def __call__(self, *values):
        """The step's outputs, then the new values of `updated`.

        To be called in a `tf.function`.
        """
        default_graph = tf.compat.v1.get_default_graph()
        for function in self._graph._functions.values():
            default_graph._add_function_recursive(function)
        count = len(self._arguments)
        tensors = {
            inner.ref(): value
            for inner, value in zip(
                self._arguments, values[:count], strict=True
            )
        }
        for outer, inner in self._constants:
            tensors[inner.ref()] = tf.constant(tf.get_static_value(outer))
        state = dict(zip(self._variables, values[count:], strict=True))
        replay = _Replay(self._graph, tensors, state)
        replay.run(self._graph.get_operations())
        outputs = [
            tensors[x.ref()] for x in self._graph.outputs if x.ref() in tensors
        ]
        self.num_outputs = len(outputs)
        self.updated = [
            index
            for index, variable in enumerate(self._variables)
            if variable in replay.assigned
        ]
        return outputs + [state[self._variables[i]] for i in self.updated]

    def aliases(self) -> list[tuple[int, int]]:
        """(output, argument) of each updated variable: one buffer for both."""
        first = len(self._arguments)
        return [
            (self.num_outputs + place, first + index)
            for place, index in enumerate(self.updated)
        ]


def _value_spec(handle: tf.Tensor) -> tf.TensorSpec:
    value = handle._handle_data.shape_and_type[0]
    return tf.TensorSpec(value.shape, value.dtype)


class _Replay:
    """Repeats operations; `state` holds the variables' current values."""

    def __init__(self, graph: tf.Graph, tensors: dict, state: dict):
        self._graph = graph  # Has all functions that operations call.
        self._tensors = tensors
        self._state = state
        self._same = {}  # Identities of handles.
        self.assigned = set()

    def run(self, operations: Sequence[tf.Operation]) -> None:
        """Repeats `operations`, in an order in which they were traced."""
        for operation in operations:
            if operation.type in ("Placeholder", "NoOp"):
                continue
            handles = [x for x in operation.inputs if x.dtype == tf.resource]
            inputs = self._values(operation.inputs)
            if not handles:
                outputs = _copy(operation, inputs)
            elif operation.type == "If":
                outputs = self._if(operation)
            elif operation.type == "While":
                outputs = self._while(operation)
            else:
                outputs = self._use_variable(operation, handles, inputs)
            for old, new in zip(
                _no_handles(operation.outputs), outputs, strict=True
            ):
                self._tensors[old.ref()] = new

    def _values(self, tensors) -> list[tf.Tensor]:
        return [self._tensors[x.ref()] for x in _no_handles(tensors)]

    def _use_variable(self, operation, handles, inputs) -> list[tf.Tensor]:
        kind = operation.type
        if kind == "Identity":
            self._same[operation.outputs[0].ref()] = handles[0]
            return []
        names = [self._variable(handle) for handle in handles]
        value = self._state[names[0]]
        if kind in _ASSIGNMENTS:
            self._assign(names[0], _ASSIGNMENTS[kind](value, *inputs))
            return []
        if kind == "ReadVariableOp":
            return [tf.identity(value)]
        if kind == "ResourceGather":
            return [tf.gather(value, inputs[0])]
        if kind == "VariableShape":
            dtype = operation.outputs[0].dtype
            return [tf.shape(value, out_type=dtype)]
        if kind == "ResourceApplyAdam":
            values = [self._state[name] for name in names]
            for name, new in zip(names, _adam(*values, *inputs), strict=True):
                self._assign(name, new)
            return []
        raise NotImplementedError(f"{kind}, {operation.name}")

    def _variable(self, handle):
        while handle.ref() in self._same:
            handle = self._same[handle.ref()]
        return handle.ref()

    def _assign(self, variable, value) -> None:
        self._state[variable] = value
        self.assigned.add(variable)

    def _if(self, operation: tf.Operation) -> list[tf.Tensor]:
        """tf.cond whose branches read variables."""
        inputs = operation.inputs[1:]
        then, otherwise = (
            functools.partial(
                self._call,
                operation.get_attr(name).name,
                inputs,
                self._values(inputs),
            )
            for name in ("then_branch", "else_branch")
        )
        condition = self._tensors[operation.inputs[0].ref()]
        return tf.nest.flatten(tf.cond(condition, then, otherwise))

    def _while(self, operation: tf.Operation) -> list[tf.Tensor]:
        """tf.while_loop that reads variables."""
        inputs = operation.inputs
        condition, body = (
            operation.get_attr(name).name for name in ("cond", "body")
        )
        for output, handle in zip(operation.outputs, inputs, strict=True):
            if handle.dtype == tf.resource:
                self._same[output.ref()] = handle
        return tf.while_loop(
            lambda *values: self._call(condition, inputs, values)[0],
            lambda *values: self._call(body, inputs, values),
            self._values(inputs),
            parallel_iterations=operation.get_attr("parallel_iterations"),
        )

    def _call(self, name: str, inputs, values) -> list[tf.Tensor]:
        """The results of a function of the graph; it must assign nothing.

        `values` are those of `inputs` that are no variables.
        """
        definition = self._graph._get_function(name).cached_definition
        with self._graph.as_default():
            body = function_def_to_graph.function_def_to_graph(definition)
        values = iter(values)
        tensors, state = {}, {}
        for inner, outer in zip(body.inputs, inputs, strict=True):
            if outer.dtype == tf.resource:
                state[inner.ref()] = self._state[self._variable(outer)]
            else:
                tensors[inner.ref()] = next(values)
        replay = _Replay(self._graph, tensors, state)
        replay.run(body.get_operations())
        if replay.assigned:
            raise NotImplementedError(f"{name} assigns a variable")
        return replay._values(body.outputs)


def _no_handles(tensors) -> list[tf.Tensor]:
    return [x for x in tensors if x.dtype != tf.resource]


def _copy(operation: tf.Operation, inputs) -> list[tf.Tensor]:
    """The same operation on other inputs, in the default graph."""
    graph = tf.compat.v1.get_default_graph()
    copy = graph._create_op_internal(
        operation.type,
        inputs,
        dtypes=[x.dtype for x in operation.outputs],
        name=operation.name.replace("/", "_"),
        attrs=dict(operation.node_def.attr),
        op_def=operation.op_def,
    )
    return copy.outputs


def _adam(
    value,
    momentum,
    velocity,
    beta_1_power,
    beta_2_power,
    learning_rate,
    beta_1,
    beta_2,
    epsilon,
    gradient,
):
    """ResourceApplyAdam's formulas: value, momentum and velocity."""
    rate = learning_rate * tf.sqrt(1 - beta_2_power) / (1 - beta_1_power)
    momentum += (gradient - momentum) * (1 - beta_1)
    velocity += (gradient * gradient - velocity) * (1 - beta_2)
    return value - momentum * rate / (tf.sqrt(velocity) + epsilon), *(
        momentum,
        velocity,
    )
