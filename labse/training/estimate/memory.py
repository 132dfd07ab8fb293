"""The memory of a device at the moment of its peak, for either training."""

from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.training.estimate.hardware import Hardware
from labse.training.estimate.masked_lm_step import (
    CompiledMaskedLMStep,
    MaskedLMStep,
)
from labse.training.estimate.step_memory import CompiledStep, Peak, Step

# The part of an estimate that says that the compiler saves.
AS_MEMORY_ALLOWS = "activations, as memory allows"
# Programs in which the TPU compiler had to save took 93 to 95 % of a device's
# memory (docs/estimating.md).
_SAVED_SHARE = 0.95


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
    limit = int(_SAVED_SHARE * hardware.memory)
    full = compiled(config, hardware).peak()
    if full.total <= limit:
        return full
    least = compiled(config, hardware, is_least=True).peak()
    if least.total > limit:
        # Where only the rest of the memory is missing, it says what it needs
        # without saving.
        return least if least.total > hardware.memory else full
    # The compiler stops saving when the rest fits.
    parts = {**least.parts, AS_MEMORY_ALLOWS: limit - least.total}
    return Peak(least.moment, parts)
