"""Lowers a training step to HLO for TPU; runs in `.venv-tpu-lower`.

    python -m benchmarks.tpu_compile.lower --preset=labse_tiny --out=step.hlo

Fails where an operation of the step has no kernel for TPU.
"""

import argparse
import json
import pathlib
import time

import tensorflow as tf
from tensorflow.compiler.xla import xla_data_pb2
from tensorflow.compiler.xla.service import hlo_pb2

from benchmarks.tpu_compile.one_replica import OneReplicaStrategy
from benchmarks.tpu_compile.replayed_step import ReplayedStep
from labse.configs import loading
from labse.configs.schema import ExperimentConfig
from labse.features import MODEL_INPUTS
from labse.modeling.dual_encoder import DualEncoder
from labse.training.optimizer import make_optimizer


def make_model(config: ExperimentConfig) -> DualEncoder:
    """The model as `labse train` makes it."""
    model = DualEncoder.of_experiment(config)
    optimizer = make_optimizer(config.training)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    return model


def batch_specs(pairs: int, length: int, hard_negatives: int) -> dict:
    """A replica's batch."""

    def side(*shape):
        return {
            name: tf.TensorSpec([*shape, length], tf.int32)
            for name in MODEL_INPUTS
        }

    batch = {
        "source": side(pairs),
        "target": side(pairs),
        "truncated": tf.TensorSpec([pairs], tf.int32),
    }
    if hard_negatives:
        batch["hard_negatives"] = side(pairs, hard_negatives)
    return batch


def trace_step(
    config: ExperimentConfig, batch: dict, replicas: int
) -> tf.types.experimental.ConcreteFunction:
    """One replica's `train_step`."""
    strategy = OneReplicaStrategy(replicas)
    with strategy.scope():
        model = make_model(config)

    def step(*parts):
        with strategy.replica():
            data = tf.nest.pack_sequence_as(batch, list(parts))
            return model.train_step((data,))

    return tf.function(step, autograph=False).get_concrete_function(
        *tf.nest.flatten(batch)
    )


def lower(
    replayed: ReplayedStep, platform: str = "TPU"
) -> hlo_pb2.HloModuleProto:
    """The step as HLO for a platform.

    Raises:
      tf.errors.InvalidArgumentError: an operation has no kernel there.
    """
    function = tf.function(replayed, jit_compile=True, autograph=False)
    data = function.experimental_get_compiler_ir(*replayed.specs)(
        stage="hlo_serialized", platform_name=platform
    )
    module = hlo_pb2.HloModuleProto.FromString(data)
    for computation in module.computations:
        for instruction in computation.instructions:
            # The lowering copies updated variables; StableHLO, which the
            # compiler takes, has no word for that.
            if instruction.opcode == "copy":
                instruction.opcode = "reshape"
    for output, argument in replayed.aliases():
        module.input_output_alias.entries.add(
            output_shape_index=[output], parameter_number=argument, kind=1
        )
    return module


def float32_products(module: hlo_pb2.HloModuleProto) -> dict[str, list[str]]:
    """Shapes of the float32 products, by the precision they ask for."""
    names = xla_data_pb2.PrecisionConfig.Precision.Name
    products = {}
    for computation in module.computations:
        shapes = {each.id: each.shape for each in computation.instructions}
        for instruction in computation.instructions:
            if instruction.opcode != "dot":
                continue
            inputs = [shapes[number] for number in instruction.operand_ids]
            if any(each.element_type != xla_data_pb2.F32 for each in inputs):
                continue
            asked = instruction.precision_config.operand_precision
            name = names(min(asked, default=0)).lower()
            text = " x ".join(str(list(each.dimensions)) for each in inputs)
            products.setdefault(name, []).append(text)
    return products


def main() -> None:
    """Writes OUT, and OUT.json: what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", required=True)
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--hard_negatives", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=32)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    config = loading.load(options.preset, options.override)
    batch = batch_specs(
        options.pairs, config.training_length, options.hard_negatives
    )
    started = time.monotonic()
    concrete = trace_step(config, batch, options.replicas)
    traced = time.monotonic()
    module = lower(ReplayedStep(concrete))
    options.out.write_bytes(module.SerializeToString())
    facts = {
        "pairs": options.pairs,
        "length": config.training_length,
        "replicas": options.replicas,
        "float32_products": float32_products(module),
        "tensorflow": tf.__version__,
        "trace_seconds": round(traced - started, 1),
        "lower_seconds": round(time.monotonic() - traced, 1),
    }
    options.out.with_suffix(".json").write_text(json.dumps(facts))
    print(facts)


if __name__ == "__main__":
    main()
