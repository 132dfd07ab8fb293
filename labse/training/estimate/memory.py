"""The memory of a device at the moment of its peak, for either training."""

from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.training.estimate.hardware import Hardware
from labse.training.estimate.masked_lm_step import (
    CompiledMaskedLMStep,
    MaskedLMStep,
)
from labse.training.estimate.step_memory import CompiledStep, Peak, Step

_KEPT_BY_COMPILER = "activations, as memory allows"


def peak(config: Config, hardware: Hardware) -> Peak:
    """The memory of one of `hardware`'s devices in a training step.

    All texts are taken to be as long as the longest of training, which length
    buckets do not make rare: each chunk's bucket is that of its longest text.
    """
    plain, compiled = Step, CompiledStep
    if isinstance(config, PretrainingConfig):
        plain, compiled = MaskedLMStep, CompiledMaskedLMStep
    if not hardware.is_tpu:
        return plain(config, hardware).peak()
    full = compiled(config, hardware).peak()
    if full.total <= hardware.memory:
        return full
    least = compiled(config, hardware, is_least=True).peak()
    if least.total >= hardware.memory:
        return least
    # The compiler stops saving when the rest fits.
    parts = {**least.parts, _KEPT_BY_COMPILER: hardware.memory - least.total}
    return Peak(least.moment, parts)
