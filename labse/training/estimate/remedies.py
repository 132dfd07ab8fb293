"""What would fit, where a training does not: by the same formulas."""

import dataclasses

from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.training.estimate import memory
from labse.training.estimate.hardware import Hardware


def what_would_fit(config: Config, hardware: Hardware) -> tuple[str, ...]:
    """Changes of the configuration that fit, each as overrides.

    Changes of one key; where none of them fits, all switches together, alone
    or with a smaller chunk or batch.
    """
    single = [
        _largest_batch(config, hardware),
        _largest_chunk(config, hardware),
        *(_if_fits(config, hardware, **one) for one in _switches(config)),
    ]
    found = tuple(change for change in single if change)
    if found:
        return found
    switches = _switches(config)
    if not switches:
        return ()
    both = {key: value for one in switches for key, value in one.items()}
    changed = _with(config, **both)
    combined = [
        _largest_chunk(changed, hardware),
        _largest_batch(changed, hardware),
        _if_fits(config, hardware, **both),
    ]
    switched = _overrides(both)
    return tuple(
        change if change == switched else f"{switched} and {change}"
        for change in combined
        if change
    )


def _switches(config: Config) -> list[dict]:
    """Settings that save memory and are not in use."""
    found = []
    if not config.training.rematerialize and config.encoder.num_layers:
        found.append({"rematerialize": True})
    if config.training.compute_dtype == "float32" and config.encoder.num_layers:
        found.append({"compute_dtype": "mixed_bfloat16"})
    return found


def _largest_batch(config: Config, hardware: Hardware) -> str:
    """The largest batch that fits, as an override; "" if none does."""
    size, devices = config.training.global_batch_size, hardware.devices
    if config.training.gradient_cache_chunk:
        return ""
    if isinstance(config, PretrainingConfig):
        sizes, examples = config.batch_sizes(devices, size), "sequences"
    else:
        sizes, examples = range(devices, size, devices), "pairs"
    found = _largest(
        sizes, lambda each: _with(config, global_batch_size=each), hardware
    )
    if not found:
        return ""
    overrides = _overrides({"global_batch_size": found})
    return f"{overrides} ({found // devices} {examples} a device)"


def _largest_chunk(config: Config, hardware: Hardware) -> str:
    """The largest power of two that fits as chunk; "" if none does."""
    if isinstance(config, PretrainingConfig):
        return ""
    pairs = config.training.global_batch_size // hardware.devices
    largest = config.training.gradient_cache_chunk or pairs
    powers = [2**n for n in range(largest.bit_length()) if 2**n < largest]
    divisors = [each for each in powers if pairs % each == 0]
    found = _largest(
        divisors,
        lambda each: _with(config, gradient_cache_chunk=each),
        hardware,
    )
    return _overrides({"gradient_cache_chunk": found}) if found else ""


def _largest(values, change, hardware: Hardware) -> int | None:
    """The last of increasing `values` with which a device's memory suffices."""
    low, high = 0, len(values)
    while low < high:  # values[:low] fit, values[high:] do not.
        middle = (low + high) // 2
        if _fits(change(values[middle]), hardware):
            low = middle + 1
        else:
            high = middle
    return values[low - 1] if low else None


def _fits(config: Config, hardware: Hardware) -> bool:
    return memory.peak(config, hardware).total <= hardware.memory


def _if_fits(config: Config, hardware: Hardware, **changes) -> str:
    if not _fits(_with(config, **changes), hardware):
        return ""
    return _overrides(changes)


def _with(config: Config, **changes) -> Config:
    training = dataclasses.replace(config.training, **changes)
    return dataclasses.replace(config, training=training)


def _overrides(changes: dict) -> str:
    """As `training.rematerialize=true and training.compute_dtype=...`."""
    texts = {True: "true", False: "false"}
    return " and ".join(
        f"training.{name}={texts[value] if isinstance(value, bool) else value}"
        for name, value in changes.items()
    )
