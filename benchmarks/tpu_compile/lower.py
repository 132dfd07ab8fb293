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
from labse import features
from labse.configs import loading
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import ExperimentConfig
from labse.modeling.dual_encoder import DualEncoder
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.modeling.trainable_model import TrainableModel
from labse.training.optimizer import make_optimizer


def load(preset: str, overrides: list[str]) -> Config:
    """A preset, of either kind."""
    of_pretraining = preset in loading.preset_names(PretrainingConfig)
    kind = PretrainingConfig if of_pretraining else ExperimentConfig
    return loading.load(preset, overrides, kind)


def make_model(config: Config) -> TrainableModel:
    """The model as `labse train` makes it, or `labse pretrain`."""
    if isinstance(config, PretrainingConfig):
        model = MaskedLanguageModel.of_experiment(config)
    else:
        model = DualEncoder.of_experiment(config)
    optimizer = make_optimizer(config.training)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    return model


def batch_specs(config: Config, rows: int, hard_negatives: int = 0) -> dict:
    """A replica's batch, of so many pairs or sequences."""
    if isinstance(config, PretrainingConfig):
        return _masked_specs(config, rows)
    length = config.training_length
    batch = {
        features.SOURCE: _model_inputs(rows, length),
        features.TARGET: _model_inputs(rows, length),
        features.TRUNCATED: tf.TensorSpec([rows], tf.int32),
    }
    if hard_negatives:
        batch[features.HARD_NEGATIVES] = _model_inputs(
            rows, hard_negatives, length
        )
    return batch


def _masked_specs(config: PretrainingConfig, rows: int) -> dict:
    tokens = [rows, config.tokenizer.max_length]
    masked = [rows, config.masking.max_masked]
    batch = {
        **_model_inputs(*tokens),
        features.MASKED_POSITIONS: tf.TensorSpec(masked, tf.int32),
        features.MASKED_IDS: tf.TensorSpec(masked, tf.int32),
        features.MASKED_WEIGHTS: tf.TensorSpec(masked),
        features.BILINGUAL: tf.TensorSpec([rows], tf.int32),
    }
    if config.data.packed:
        for name in (features.SENTENCE_NUMBERS, features.INPUT_POSITIONS):
            batch[name] = tf.TensorSpec(tokens, tf.int32)
    return batch


def _model_inputs(*shape: int) -> dict:
    return {
        name: tf.TensorSpec(shape, tf.int32) for name in features.MODEL_INPUTS
    }


def trace_step(
    config: Config, batch: dict, replicas: int
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
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--hard_negatives", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=32)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    config = load(options.preset, options.override)
    batch = batch_specs(config, options.rows, options.hard_negatives)
    started = time.monotonic()
    concrete = trace_step(config, batch, options.replicas)
    traced = time.monotonic()
    module = lower(ReplayedStep(concrete))
    options.out.write_bytes(module.SerializeToString())
    facts = {
        "rows": options.rows,
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
