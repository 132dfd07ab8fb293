"""What a training takes on given hardware, without starting it.

Memory by the formulas of `memory`, arithmetic by those of `arithmetic`. The
hours assume a share of the hardware's peak; they are an estimate.
"""

import dataclasses
from typing import NamedTuple

from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import ExperimentConfig
from labse.errors import InputError
from labse.training.estimate import (
    arithmetic,
    gradients,
    masked_lm_step,
    memory,
)
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
    negatives: int | None  # of a pair, without duplicates; None: no pairs
    flops: float  # of a device in a step; of the last stage, if there are some
    run_flops: float  # of a device in all steps
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
        if self.peak_flops is None:
            return None
        return self.run_flops / (self.peak_flops * self.utilization) / 3600

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
    config: Config,
    hardware: Hardware,
    pairs: int | None = None,
    records_bytes: int | None = None,
    utilization: float = UTILIZATION,
) -> Estimate:
    """Estimates a training.

    Args:
      config: of a dual encoder or of pre-training; its vocabulary size should
        be that of the vocabulary that is trained with.
      hardware: see `hardware.parse`.
      pairs: number of pairs to train on, if known; not of pre-training.
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
    size = _size(config, hardware)
    return Estimate(
        hardware=hardware,
        parameters=size.parameters,
        batch_size=batch // hardware.devices,
        global_batch_size=batch,
        num_steps=training.num_steps,
        memory=peak.parts,
        moment=peak.moment,
        remedies=() if fits else what_would_fit(config, hardware),
        negatives=size.negatives,
        flops=size.stages[-1].flops,
        run_flops=sum(each.flops * each.num_steps for each in size.stages),
        # The step of an averaging network moves memory; it hardly computes.
        peak_flops=hardware.flops(training.compute_dtype)
        if config.encoder.num_layers
        else None,
        utilization=utilization,
        all_reduce_bytes=size.all_reduce_bytes if hardware.devices > 1 else 0,
        pairs=pairs,
        records_bytes=records_bytes,
        checkpoint_bytes=_LAST_CHECKPOINTS * (size.weights + 2 * size.trained)
        + _BEST_CHECKPOINTS * size.weights,
    )


class _Stage(NamedTuple):
    num_steps: int
    flops: float  # of a device in a step


class _Size(NamedTuple):
    """What differs between the two kinds of training; bytes."""

    parameters: dict[str, int]
    trained: int
    stages: list[_Stage]
    negatives: int | None
    all_reduce_bytes: int  # on several devices

    @property
    def weights(self) -> int:
        """Of all of them, trained or not."""
        return _FLOAT_BYTES * sum(self.parameters.values())


def _size(config: Config, hardware: Hardware) -> _Size:
    devices = hardware.devices
    if isinstance(config, PretrainingConfig):
        return _size_of_pretraining(config, devices)
    found = parameters(config.encoder)
    trained = _FLOAT_BYTES * trained_parameters(config.encoder)
    rows = gradients.row_bytes(config, hardware)
    reduced = trained
    if rows:
        reduced += rows - _FLOAT_BYTES * found["word embeddings"]
    batch = config.training.global_batch_size
    flops = arithmetic.step_flops(config, devices)
    return _Size(
        parameters=found,
        trained=trained,
        stages=[_Stage(config.training.num_steps, flops)],
        negatives=batch * (1 + config.data.hard_negatives) - 1,
        all_reduce_bytes=reduced,
    )


def _size_of_pretraining(config: PretrainingConfig, devices: int) -> _Size:
    head = masked_lm_step.head_parameters(config.encoder)
    encoder = masked_lm_step.as_experiment(config).encoder
    trained = _FLOAT_BYTES * (trained_parameters(encoder) + head)
    return _Size(
        parameters={**parameters(encoder), "masked-LM head": head},
        trained=trained,
        stages=[
            _Stage(
                len(steps), masked_lm_step.step_flops(config, devices, layers)
            )
            for layers, steps in config.stages
        ],
        negatives=None,
        all_reduce_bytes=trained,
    )


def _check(
    config: Config,
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
    if pairs is not None and isinstance(config, PretrainingConfig):
        raise InputError(
            "Epochs are those over pairs, and pre-training packs texts and "
            f"pairs into sequences. Received: pairs={pairs} and a "
            "configuration of pre-training. Leave pairs out."
        )
    if pairs is not None and pairs < 1:
        raise InputError(f"pairs must be at least 1. Received: {pairs}.")
    if isinstance(config, PretrainingConfig):
        config.check_replicas(hardware.devices)
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
