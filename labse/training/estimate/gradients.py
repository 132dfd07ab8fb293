"""How a device gets its gradients: at once or by a cache; rows or a table."""

from labse.configs.schema import ExperimentConfig
from labse.training.estimate.activations import FLOAT_BYTES
from labse.training.estimate.hardware import Hardware


def is_cached(config: ExperimentConfig, devices: int) -> bool:
    """Whether a device embeds its pairs in several chunks, and then again.

    A chunk of all its pairs is no cache (`DualEncoder`).
    """
    pairs = config.training.global_batch_size // devices
    return 0 < config.training.gradient_cache_chunk < pairs


def row_bytes(config: ExperimentConfig, hardware: Hardware) -> int:
    """Of the word table's gradient as rows, one for each token.

    Where it has that form: without a gradient cache, and not on TPU. Rows of
    several devices are not summed: each device gets those of all, and makes a
    table of them.
    """
    if hardware.is_tpu or is_cached(config, hardware.devices):
        return 0
    texts = config.training.global_batch_size * (2 + config.data.hard_negatives)
    tokens = texts * config.training_length
    return FLOAT_BYTES * tokens * config.encoder.hidden_size
