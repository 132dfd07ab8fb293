"""Compiles HLO for a TPU topology; runs in `.venv-tpu-compile`.

    python -m benchmarks.tpu_compile.compile_step step.hlo --topology=v3:4x4

No TPU is needed: libtpu knows the topologies. Prints what was compiled, or why
not, as JSON.
"""

import argparse
import json
import os
import pathlib
import re
import time

# Before libtpu is loaded: it would look for the machine it runs on.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

import jax
import numpy as np
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax, xla_client
from jax.experimental import topologies
from jaxlib.mlir import ir

from benchmarks.tpu_compile.compiled_program import describe

GIB = 2**30


def compile_for(topology: str, hlo: bytes, replicas: int):
    """The loaded-for-nowhere executable; JAX's own call of the compiler.

    Raises:
      jax.errors.JaxRuntimeError: the compiler's reason.
    """
    devices = topologies.get_topology_desc(
        platform="tpu", topology_name=topology
    ).devices[:replicas]
    options = compiler.get_compile_options(
        num_replicas=len(devices),
        num_partitions=1,
        device_assignment=np.array(devices)[:, None],
        backend=None,
    )
    options.executable_build_options.use_spmd_partitioning = False
    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(hlo))
        return devices[0].client.compile(
            module,
            executable_devices=xla_client.DeviceList(tuple(devices)),
            compile_options=options,
        )


def memory(executable) -> dict[str, float]:
    """GiB of a core by kind; what is updated in place counts once."""
    stats = executable.get_compiled_memory_stats()
    parts = {
        "arguments": stats.argument_size_in_bytes,
        "outputs": stats.output_size_in_bytes - stats.alias_size_in_bytes,
        "temporary": stats.temp_size_in_bytes,
        "program": stats.generated_code_size_in_bytes,
    }
    parts["total"] = sum(parts.values())
    return {name: round(size / GIB, 3) for name, size in parts.items()}


def refusal(error: Exception) -> dict:
    """The compiler's reason; if memory is too small, the figures in it."""
    text = str(error)
    result = {"fits": False, "reason": text[:300]}
    used = re.search(r"Used ([\d.]+)G of ([\d.]+)G hbm", text)
    if used:
        result["gib"] = {"total": float(used[1])}
        result["gib_available"] = float(used[2])
    return result


def main() -> None:
    """Prints the result, the last line of the output."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hlo", type=pathlib.Path)
    parser.add_argument("--topology", default="v3:4x4")
    parser.add_argument("--replicas", type=int, default=32)
    parser.add_argument("--text", type=pathlib.Path, help="the program's text")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        executable = compile_for(
            options.topology, options.hlo.read_bytes(), options.replicas
        )
    except jax.errors.JaxRuntimeError as error:
        result = refusal(error)
    else:
        costs = executable.cost_analysis()
        costs = costs[0] if isinstance(costs, list) else costs
        text = executable.hlo_modules()[0].to_string()
        if options.text:
            options.text.write_text(text)
        result = {
            "fits": True,
            "gib": memory(executable),
            "flops": costs["flops"],
            "bytes_accessed": costs["bytes accessed"],
            **describe(text),
        }
    result["compile_seconds"] = round(time.monotonic() - started, 1)
    result["jax"] = jax.__version__
    print(json.dumps(result))


if __name__ == "__main__":
    main()
