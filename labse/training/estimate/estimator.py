"""What a training takes on given hardware, without starting it.

Memory by the formulas of `memory`, arithmetic by those of `arithmetic`. The
hours assume a share of the hardware's peak; they are an estimate.
"""

import dataclasses

from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.training.estimate import arithmetic, gradients, memory
from labse.training.estimate.hardware import GIB, Hardware
from labse.training.estimate.parameters import parameters, trained_parameters
from labse.training.estimate.remedies import what_would_fit

# Of the peak. The TPU compiler's estimate of the cycles of labse_base's step
# with 128 pairs on v3 is 0.642 s, 41 % (docs/estimating.md).
UTILIZATION = 0.4
_FLOAT_BYTES = 4
# The run folder's checkpoints: the two last ones, with the optimizer's slots,
# and the best one, without (labse/training/checkpoints.py). A new one is
# written before the oldest is deleted.
_LAST_CHECKPOINTS, _BEST_CHECKPOINTS = 3, 2


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a training takes; bytes and numbers of one device."""

    hardware: Hardware
    parameters: dict[str, int]  # by part of the model
    batch_size: int
    global_batch_size: int
    num_steps: int
    memory: dict[str, int]  # by part, at the moment of the peak
    moment: str
    remedies: tuple[str, ...]  # what would fit; empty if it fits
    negatives: int  # of a pair, without duplicates
    flops: float  # of a device in a step
    peak_flops: float | None
    utilization: float
    all_reduce_bytes: int  # in a step, with the rows of all devices
    pairs: int | None
    records_bytes: int | None
    checkpoint_bytes: int

    @property
    def memory_total(self) -> int:
        """Bytes that a device needs."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether a device has that memory."""
        return self.memory_total <= self.hardware.memory

    @property
    def seconds(self) -> float | None:
        """Of a step; None if the hardware's peak is unknown.

        Also None for an averaging network, whose step is hardly arithmetic.
        """
        if self.peak_flops is None:
            return None
        return self.flops / (self.peak_flops * self.utilization)

    @property
    def hours(self) -> float | None:
        """Of all steps."""
        if self.seconds is None:
            return None
        return self.seconds * self.num_steps / 3600

    @property
    def epochs(self) -> float | None:
        """How often the run goes over the pairs; None without their number."""
        if self.pairs is None:
            return None
        return self.num_steps * self.global_batch_size / self.pairs

    def check_fits(self) -> None:
        """Raises `InputError` with what would fit, unless the run fits."""
        if self.fits:
            return
        needed = self.memory_total / GIB
        limit = self.hardware.memory / GIB
        what = "; or ".join(self.remedies) or (
            "none of a smaller batch, gradient_cache_chunk, rematerialize and "
            "mixed_bfloat16: take devices with more memory, or a smaller model"
        )
        raise InputError(
            "A training step must fit into the memory of a device. On "
            f"{self.hardware.name} it may use {limit:.2f} GiB. It needs "
            f"{needed:.2f} GiB. What would fit: {what}."
        )


def estimate(
    config: ExperimentConfig,
    hardware: Hardware,
    pairs: int | None = None,
    records_bytes: int | None = None,
    utilization: float = UTILIZATION,
) -> Estimate:
    """Estimates a training.

    Args:
      config: the experiment; its vocabulary size should be that of the
        vocabulary that is trained with.
      hardware: see `hardware.parse`.
      pairs: number of pairs to train on, if known.
      records_bytes: disk of their records, if known.
      utilization: the assumed share of the hardware's peak.

    Raises:
      InputError: the batch does not divide by the devices, a device's batch
        not by the chunk, or the share is not above 0 and at most 1. What does
        not fit is no error here: `Estimate.check_fits` raises it.
    """
    _check(config, hardware, pairs, utilization)
    training = config.training
    batch = training.global_batch_size
    peak = memory.peak(config, hardware)
    fits = peak.total <= hardware.memory
    trained = _FLOAT_BYTES * trained_parameters(config.encoder)
    weights = _FLOAT_BYTES * sum(parameters(config.encoder).values())
    return Estimate(
        hardware=hardware,
        parameters=parameters(config.encoder),
        batch_size=batch // hardware.devices,
        global_batch_size=batch,
        num_steps=training.num_steps,
        memory=peak.parts,
        moment=peak.moment,
        remedies=() if fits else what_would_fit(config, hardware),
        negatives=batch * (1 + config.data.hard_negatives) - 1,
        flops=arithmetic.step_flops(config, hardware.devices),
        # The step of an averaging network moves memory; it hardly computes.
        peak_flops=hardware.flops(training.compute_dtype)
        if config.encoder.num_layers
        else None,
        utilization=utilization,
        all_reduce_bytes=_all_reduce_bytes(config, hardware),
        pairs=pairs,
        records_bytes=records_bytes,
        checkpoint_bytes=_LAST_CHECKPOINTS * (weights + 2 * trained)
        + _BEST_CHECKPOINTS * weights,
    )


def _all_reduce_bytes(config: ExperimentConfig, hardware: Hardware) -> int:
    """Of the gradients that a device gets from all, in a step."""
    if hardware.devices == 1:
        return 0
    total = _FLOAT_BYTES * trained_parameters(config.encoder)
    rows = gradients.row_bytes(config, hardware)
    if not rows:
        return total
    table = parameters(config.encoder)["word embeddings"]
    return total - _FLOAT_BYTES * table + rows


def _check(
    config: ExperimentConfig,
    hardware: Hardware,
    pairs: int | None,
    utilization: float,
) -> None:
    """Raises `InputError` for what no training has."""
    if not 0 < utilization <= 1:
        raise InputError(
            "utilization must be above 0 and at most 1. Received: "
            f"{utilization}."
        )
    if pairs is not None and pairs < 1:
        raise InputError(f"pairs must be at least 1. Received: {pairs}.")
    batch = config.training.global_batch_size
    if batch % hardware.devices:
        raise InputError(
            "training.global_batch_size must be a multiple of the number of "
            f"devices. Received: {batch} and {hardware.devices}."
        )
    config.training.check_chunk(hardware.devices)


def sentence_rate(
    config: ExperimentConfig,
    hardware: Hardware,
    utilization: float = UTILIZATION,
) -> float:
    """Sentences that all devices encode in a second, padded to max_length.

    Raises:
      InputError: the hardware's peak is unknown, or it says nothing because
        the encoder is an averaging network.
    """
    if not config.encoder.num_layers:
        raise InputError(
            "The time to encode is unknown for an averaging network, which "
            "moves memory and hardly computes. Received: encoder.num_layers=0. "
            "Let labse mine measure its machine."
        )
    peak = hardware.flops(config.training.compute_dtype)
    if peak is None:
        raise InputError(
            "The time to encode needs the hardware's flops. Received: "
            f"{hardware.name!r}. Add them: {hardware.name},flops=4e11."
        )
    length = config.tokenizer.max_length
    flops = arithmetic.forward_flops(config, 1, length)
    return hardware.devices * peak * utilization / flops
