"""Lowers the steps to HLO, in the project's own environment.

    python -m benchmarks.gpu_step.lower --out=runs/gpu_step [--only=base]

Writes NAME.hlo, NAME.json (what its arguments are) and, for a configuration
whose results are compared, NAME.npz: its arguments and TensorFlow's results.
"""

import argparse
import json
import pathlib

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.ops import control_flow_ops
from tensorflow.python.util import nest

from benchmarks.gpu_step.configurations import CONFIGURATIONS, Configuration
from benchmarks.tpu_compile.lower import batch_specs, lower, make_model
from benchmarks.tpu_compile.replayed_step import ReplayedStep
from labse.configs import loading
from labse.configs.schema import ExperimentConfig


def trace_step(
    model, specs: dict, compiled: bool
) -> tf.types.experimental.ConcreteFunction:
    """`train_step`; `compiled`: as XLA compiles it."""

    def step(*parts):
        data = tf.nest.pack_sequence_as(specs, list(parts))
        if not compiled:
            return model.train_step((data,))
        context = control_flow_ops.XLAControlFlowContext()
        context.Enter()
        outputs = model.train_step((data,))
        context.Exit()
        return outputs

    return tf.function(step, autograph=False).get_concrete_function(
        *tf.nest.flatten(specs)
    )


def write(
    name: str, configuration: Configuration, folder: pathlib.Path
) -> None:
    """Writes a configuration's files."""
    tf_keras.utils.set_random_seed(0)
    config = loading.load(
        configuration.preset,
        [
            *configuration.overrides,
            f"encoder.vocab_size={configuration.vocab_size}",
        ],
    )
    model = make_model(config)
    specs = batch_specs(config, configuration.pairs)
    concrete = trace_step(model, specs, compiled=True)
    replayed = ReplayedStep(concrete)
    module = lower(replayed, "CPU")
    (folder / f"{name}.hlo").write_bytes(module.SerializeToString())
    variables = _in_order(model, concrete, replayed.handles)
    facts = {
        "pairs": configuration.pairs,
        "length": config.training_length,
        "layers": config.encoder.num_layers,
        "vocab_size": configuration.vocab_size,
        "gradient_cache_chunk": config.training.gradient_cache_chunk,
        "compute_dtype": config.training.compute_dtype,
        "batch": [
            {"name": name, "shape": list(spec.shape)}
            for name, spec in nest.flatten_with_joined_string_paths(specs)
        ],
        "variables": [
            {
                "name": variable.name,
                "shape": list(variable.shape),
                "dtype": variable.dtype.name,
                "mean": float(np.mean(variable.numpy())),
                "deviation": float(np.std(variable.numpy())),
            }
            for variable in variables
        ],
        "updated": replayed.updated,
        "num_outputs": replayed.num_outputs,
    }
    (folder / f"{name}.json").write_text(json.dumps(facts))
    if configuration.is_checked:
        arrays = _results(model, specs, config, variables, replayed.updated)
        np.savez(folder / f"{name}.npz", **arrays)


def _in_order(model, concrete, handles) -> list[tf.Variable]:
    """The variables of `handles`."""
    # The optimizer's slots are used by their handles alone.
    variables = [*concrete.variables, *model.optimizer.variables]
    found = {id(variable.handle): variable for variable in variables}
    return [found[id(handle)] for handle in handles]


def _results(
    model, specs: dict, config: ExperimentConfig, variables, updated
) -> dict[str, np.ndarray]:
    """A batch and the variables, before and after TensorFlow's own step."""
    random = np.random.default_rng(0)
    length = config.training_length
    batch = {}
    for side in ("source", "target"):
        shape = list(specs[side]["input_mask"].shape)
        lengths = random.integers(3, length + 1, shape[0])
        mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
        ids = random.integers(5, config.encoder.vocab_size, shape)
        batch[side] = {
            "input_word_ids": (ids * mask).astype(np.int32),
            "input_mask": mask,
            "input_type_ids": np.zeros(shape, np.int32),
        }
    batch["truncated"] = np.zeros(specs["truncated"].shape, np.int32)
    tf.nest.assert_same_structure(batch, specs)
    values = tf.nest.flatten(batch)
    before = [variable.numpy() for variable in variables]
    metrics = trace_step(model, specs, compiled=False)(
        *map(tf.constant, values)
    )
    after = [variables[index].numpy() for index in updated]
    outputs = [np.asarray(each) for each in tf.nest.flatten(metrics)] + after
    return {
        **{f"in_{i:03}": x for i, x in enumerate(values + before)},
        **{f"out_{i:03}": x for i, x in enumerate(outputs)},
    }


def main() -> None:
    """Lowers all configurations, or one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=CONFIGURATIONS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else CONFIGURATIONS:
        write(name, CONFIGURATIONS[name], options.out)
        print(name, flush=True)


if __name__ == "__main__":
    main()
