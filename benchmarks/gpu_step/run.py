"""Runs the lowered steps on a GPU, and PyTorch's step of the same shape.

    python -m benchmarks.gpu_step.run FOLDER [--seconds=10] [--only=NAME]

Needs JAX and PyTorch with CUDA, no TensorFlow. Prints a line of JSON for each
configuration: what differs from TensorFlow's results, or pairs a second and
the peak of memory on the device, ours and the peer's.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # The optimizer's step is int64.

import jax
import numpy as np
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax, xla_client
from jaxlib.mlir import ir

from benchmarks.gpu_step.configurations import CONFIGURATIONS


class Step:
    """A compiled training step with its variables on the device."""

    def __init__(self, path: pathlib.Path):
        self.facts = json.loads(path.with_suffix(".json").read_text())
        self._device = jax.devices()[0]
        options = compiler.get_compile_options(
            num_replicas=1,
            num_partitions=1,
            device_assignment=np.zeros((1, 1), np.int32),
            backend=None,
        )
        hlo = path.with_suffix(".hlo").read_bytes()
        with mlir.make_ir_context():
            module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
            self._executable = self._device.client.compile_and_load(
                module,
                executable_devices=xla_client.DeviceList((self._device,)),
                compile_options=options,
            )

    def put(self, arrays) -> list:
        """The arrays on the device."""
        return [jax.device_put(array, self._device) for array in arrays]

    def __call__(self, batch: list, variables: list) -> tuple[list, list]:
        """The step's metrics, and the variables after it.

        The buffers of the variables that it updates are gone after the call.
        """
        outputs = self._executable.execute_sharded([*batch, *variables])
        outputs = [
            arrays[0]
            for arrays in outputs.disassemble_into_single_device_arrays()
        ]
        count = self.facts["num_outputs"]
        variables = list(variables)
        for index, value in zip(
            self.facts["updated"], outputs[count:], strict=True
        ):
            variables[index] = value
        return outputs[:count], variables

    def memory(self) -> dict[str, float]:
        """GB of the program by kind, from the compiler."""
        stats = self._executable.get_compiled_memory_stats()
        return {
            "arguments": stats.argument_size_in_bytes / 1e9,
            "temporary": stats.temp_size_in_bytes / 1e9,
        }


def compare(path: pathlib.Path) -> dict:
    """The largest differences from TensorFlow's results."""
    step = Step(path)
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in sorted(file.files)}
    given = [x for name, x in arrays.items() if name.startswith("in_")]
    expected = [x for name, x in arrays.items() if name.startswith("out_")]
    count = len(step.facts["batch"])
    metrics, variables = step(step.put(given[:count]), step.put(given[count:]))
    updated = [variables[index] for index in step.facts["updated"]]
    found = [np.asarray(x) for x in [*metrics, *updated]]
    names = [f"metric {i}" for i in range(len(metrics))] + [
        step.facts["variables"][i]["name"] for i in step.facts["updated"]
    ]
    errors = {
        name: float(np.max(np.abs(x - y), initial=0))
        for name, x, y in zip(names, found, expected, strict=True)
    }
    worst = max(errors, key=errors.get)
    return {
        "metrics": [float(x) for x in found[: len(metrics)]],
        "metrics_of_tensorflow": [float(x) for x in expected[: len(metrics)]],
        "largest_difference": {worst: errors[worst]},
    }


def random_arguments(facts: dict) -> tuple[list, list]:
    """A batch of full-length random pieces; variables like untrained ones."""
    random = np.random.default_rng(0)
    batch = []
    for spec in facts["batch"]:
        name, shape = spec["name"], spec["shape"]
        if "word_ids" in name:
            array = random.integers(5, facts["vocab_size"], shape)
        else:
            array = np.full(shape, int("mask" in name))
        batch.append(array.astype(np.int32))
    variables = []
    for spec in facts["variables"]:
        values = random.standard_normal(spec["shape"], np.float32)
        values = values * spec["deviation"] + spec["mean"]
        variables.append(np.asarray(values).astype(spec["dtype"]))
    return batch, variables


def measure(path: pathlib.Path, seconds: float) -> dict:
    """Pairs a second and memory of a step."""
    started = time.monotonic()
    step = Step(path)
    compile_seconds = time.monotonic() - started
    batch, variables = map(step.put, random_arguments(step.facts))
    for _ in range(2):
        metrics, variables = step(batch, variables)
    jax.block_until_ready(variables)
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        for _ in range(3):
            metrics, variables = step(batch, variables)
        jax.block_until_ready(variables)
        count += 3
    elapsed = (time.monotonic() - started) / count
    return {
        "loss": float(metrics[1]) if len(metrics) > 1 else None,
        "milliseconds": round(1e3 * elapsed, 1),
        "pairs_per_second": round(step.facts["pairs"] / elapsed, 1),
        "compile_seconds": round(compile_seconds, 1),
        "compiled_gb": step.memory(),
        "peak_gb": jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e9,
    }


def run(module: str, *arguments: str) -> dict:
    """The result of a module in a process of its own, for its peak memory."""
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.gpu_step.{module}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        return {"error": result.stderr[-600:]}
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    """Runs everything in the folder, or the step of --own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", action="append", choices=CONFIGURATIONS)
    parser.add_argument("--own", choices=CONFIGURATIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.own:
        path = options.folder / options.own
        if CONFIGURATIONS[options.own].is_checked:
            print(json.dumps(compare(path)))
        else:
            print(json.dumps(measure(path, options.seconds)))
        return
    for name in options.only or CONFIGURATIONS:
        if not (options.folder / f"{name}.json").exists():
            continue
        seconds = f"--seconds={options.seconds}"
        ours = run("run", str(options.folder), f"--own={name}", seconds)
        print(json.dumps({"name": name, "labse": ours}), flush=True)
        if CONFIGURATIONS[name].has_peer:
            facts = str(options.folder / f"{name}.json")
            peer = run("peer", facts, seconds)
            print(json.dumps({"name": name, "peer": peer}), flush=True)


if __name__ == "__main__":
    main()
