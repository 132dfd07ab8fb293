"""An estimate as a table and as JSON."""

from labse.training.estimate.estimator import Estimate
from labse.training.estimate.hardware import GIB


def to_text(estimate: Estimate) -> str:
    """The table that `labse estimate` prints."""
    sections = [
        ("Model", _model(estimate)),
        (f"Memory of a device, {estimate.moment}", _memory(estimate)),
        ("A step", _step(estimate)),
        ("The run", _run(estimate)),
    ]
    lines = []
    for title, rows in sections:
        width = max(len(value) for _, value in rows)
        lines += [title, *(f"  {n:<34} {v:>{width}}" for n, v in rows), ""]
    return "\n".join(lines)


def to_json(estimate: Estimate) -> dict:
    """The same figures, unrounded; bytes, seconds and hours."""
    hardware = estimate.hardware
    return {
        "hardware": {
            "name": hardware.name,
            "devices": hardware.devices,
            "memory_bytes": hardware.memory,
            "flops": estimate.peak_flops,
        },
        "parameters": estimate.parameters,
        "batch_size": estimate.batch_size,
        "global_batch_size": estimate.global_batch_size,
        "memory_bytes": estimate.memory,
        "memory_total_bytes": estimate.memory_total,
        "fits": estimate.fits,
        "what_would_fit": list(estimate.remedies),
        "flops_per_device_and_step": estimate.flops,
        "negatives_per_pair": estimate.negatives,
        "all_reduce_bytes": estimate.all_reduce_bytes,
        "utilization": estimate.utilization,
        "seconds_per_step": estimate.seconds,
        "hours": estimate.hours,
        "epochs": estimate.epochs,
        "records_bytes": estimate.records_bytes,
        "checkpoint_bytes": estimate.checkpoint_bytes,
    }


def _model(estimate: Estimate) -> list[tuple[str, str]]:
    rows = [(n, f"{v:,}") for n, v in estimate.parameters.items()]
    total = sum(estimate.parameters.values())
    return [*rows, ("parameters", f"{total:,}")]


def _memory(estimate: Estimate) -> list[tuple[str, str]]:
    rows = [(n, gib(v)) for n, v in estimate.memory.items()]
    return [
        *rows,
        ("needed", gib(estimate.memory_total)),
        ("a step may use", gib(estimate.hardware.memory)),
    ]


def _step(estimate: Estimate) -> list[tuple[str, str]]:
    examples = "sequences" if estimate.negatives is None else "pairs"
    rows = [
        ("devices", f"{estimate.hardware.devices:,}"),
        (f"{examples} of a device", f"{estimate.batch_size:,}"),
        (f"{examples} of all devices", f"{estimate.global_batch_size:,}"),
        ("FLOPs of a device", f"{estimate.flops:.3e}"),
    ]
    if estimate.negatives is not None:
        negatives = f"{estimate.negatives:,}"
        rows.insert(3, ("negatives of a pair, at most", negatives))
    if estimate.all_reduce_bytes:
        rows.append(
            ("summed or gathered over devices", gib(estimate.all_reduce_bytes))
        )
    if estimate.seconds is not None:
        share = f"at {estimate.utilization:.0%} of the peak"
        rows.append((f"seconds, {share}", f"{estimate.seconds:.3g}"))
    return rows


def _run(estimate: Estimate) -> list[tuple[str, str]]:
    rows = [("steps", f"{estimate.num_steps:,}")]
    if estimate.epochs is not None:
        rows.append(("epochs over the pairs", f"{estimate.epochs:.3g}"))
    hours = "unknown"
    if estimate.hours is not None:
        hours = f"{estimate.hours:.3g}"
    rows.append(("hours, an estimate", hours))
    if estimate.records_bytes is not None:
        rows.append(("disk for the records", gib(estimate.records_bytes)))
    rows.append(("disk for checkpoints", gib(estimate.checkpoint_bytes)))
    return rows


def gib(number: float) -> str:
    """As `5.26 GiB`; below a thousandth of one as MiB."""
    if number < GIB / 100:
        return f"{number / 2**20:.2f} MiB"
    return f"{number / GIB:.2f} GiB"
