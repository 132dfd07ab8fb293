"""A strategy of many replicas of which this process traces one.

Its reductions are what TPUStrategy's are inside a step: CrossReplicaSum, to
which rows that are summed (`tf.IndexedSlices`) go as dense tensors.
"""

import contextlib

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.distribute import distribute_lib
from tensorflow.python.ops import control_flow_ops, resource_variable_ops


class OneReplicaStrategy(tf.distribute.Strategy):
    """Traces one of `replicas`; nothing that it traces can be run."""

    def __init__(self, replicas: int):
        super().__init__(_Extended(self, replicas))

    @contextlib.contextmanager
    def replica(self):
        """In a function: what is traced here is a replica's, for XLA."""
        number = gen_xla_ops.xla_replica_id()
        compiled = control_flow_ops.XLAControlFlowContext()
        with self.scope(), distribute_lib.ReplicaContext(self, number):
            compiled.Enter()
            yield
            compiled.Exit()


class _Extended(distribute_lib._DefaultDistributionExtended):
    def __init__(self, strategy, replicas):
        super().__init__(strategy)
        self._replicas = replicas

    @property
    def _num_replicas_in_sync(self):
        return self._replicas

    def _reduce_to(self, reduce_op, value, destinations, options):
        if reduce_op != tf.distribute.ReduceOp.SUM:
            raise NotImplementedError(reduce_op)
        return tf.raw_ops.CrossReplicaSum(
            input=tf.convert_to_tensor(value),
            group_assignment=[list(range(self._replicas))],
        )

    # The default strategy's own forms stand for no strategy at all.
    def _scope(self, strategy):
        return distribute_lib.StrategyExtendedV2._scope(self, strategy)

    def _create_variable(self, next_creator, **kwargs):
        value = kwargs["initial_value"]
        if not tf.is_tensor(value):
            return next_creator(**kwargs)
        # The optimizer's slots are never read, so they need no memory.
        return resource_variable_ops.UninitializedVariable(
            **{**kwargs, "shape": value.shape, "dtype": value.dtype}
        )

    def variable_created_in_scope(self, v):
        return v._distribute_strategy is self._container_strategy()

    def _use_merge_call(self):
        return True
