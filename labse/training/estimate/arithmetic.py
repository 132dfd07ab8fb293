"""Multiplications and additions of a training step.

Those of matrix products alone; a multiplication and an addition count as two,
as in the peaks of `hardware`. Everything else (softmax, gelu, normalisation,
dropout, the optimizer) moves memory rather than computes: the TPU compiler
counts 8 % more for `labse_base`.
"""

from labse.configs.schema import ExperimentConfig
from labse.training.estimate.gradients import is_cached


def forward_flops(
    config: ExperimentConfig,
    texts: int,
    length: int,
    last_rows: int | None = None,
) -> float:
    """Of embedding `texts` padded to `length`, without gradients.

    `last_rows`: see `Activations`. Its queries are for these tokens only; for
    [CLS] alone they are one product with keys and values, for all tokens.
    """
    encoder = config.encoder
    size, inner = encoder.hidden_size, encoder.intermediate_size
    tokens = texts * length
    rows_of_blocks = [tokens] * encoder.num_layers
    if last_rows is not None:
        rows_of_blocks[-1] = last_rows
    elif encoder.num_layers and encoder.pooling.startswith("cls"):
        rows_of_blocks[-1] = texts  # The last block is for [CLS] alone.
    total = 0
    for rows in rows_of_blocks:
        queries = tokens if last_rows is None else rows
        total += (2 * tokens + queries) * size * size  # key, value, query
        total += 2 * rows * length * size  # scores and their product
        total += rows * (size * size + 2 * size * inner)
    if encoder.uses_pooler:
        total += texts * size * size
    return 2.0 * total


def loss_flops(
    config: ExperimentConfig, batch_size: int, global_batch_size: int
) -> float:
    """Of a device's cosines with the whole batch, without gradients."""
    columns = global_batch_size * (2 + config.data.hard_negatives)
    return 2.0 * batch_size * columns * config.encoder.hidden_size


def step_flops(config: ExperimentConfig, devices: int) -> float:
    """Of one device in one step.

    A gradient costs two products where the forward pass has one. A gradient
    cache embeds everything once more; rematerialised blocks are computed once
    more.
    """
    training = config.training
    batch_size = training.global_batch_size // devices
    texts = batch_size * (2 + config.data.hard_negatives)
    passes = 3 + is_cached(config, devices)
    if training.rematerialize and config.encoder.num_layers:
        passes += 1
    embedding = forward_flops(config, texts, config.training_length)
    loss = loss_flops(config, batch_size, training.global_batch_size)
    return passes * embedding + 3 * loss
