"""BERT's pooler (a dense layer and tanh), which not every model has.

A BertForMaskedLM has none. A checkpoint of ours always holds one, but only a
sentence encoder that pools by it trains it. In any other, and in every run of
pre-training, it is random, zeros, or what an encoder had before it was trained
further: there it counts as absent.
"""

from labse.checkpoints.weights import POOLER, Weight, Zeros
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import EncoderConfig, ExperimentConfig
from labse.errors import InputError


def is_trained(config: Config) -> bool:
    """Whether a run with this configuration trains the pooler."""
    return isinstance(config, ExperimentConfig) and config.encoder.uses_pooler


def zeros(encoder: EncoderConfig) -> dict[str, Zeros]:
    """The weights of an absent pooler, by our names."""
    size = encoder.hidden_size
    return dict(zip(POOLER, (Zeros((size, size)), Zeros((size,))), strict=True))


def is_absent(weights: dict[str, Weight | Zeros]) -> bool:
    """Whether a model with these weights has no pooler."""
    return isinstance(weights[POOLER[0]], Zeros)


def missing(pooling: str, origin: str, base: Config | None) -> InputError:
    """The error of a pooling for which a model lacks the pooler.

    Args:
      origin: the model.
      base: the configuration of a run or an export; None for other models.
    """
    reason = ""
    if isinstance(base, PretrainingConfig):
        reason = " (pre-training trains none)"
    elif base is not None:
        reason = (
            f" (trained with the pooling {base.encoder.pooling}, it is not)"
        )
    return InputError(
        f"The pooling {pooling} is BERT's pooler, which {origin} does not "
        f"hold{reason}. State another pooling."
    )


def notes(
    weights: dict[str, Weight | Zeros], config: Config
) -> tuple[str, ...]:
    """A note if a model lacks the pooler, or does not keep it."""
    is_pretrainer = isinstance(config, PretrainingConfig)
    if not is_absent(weights):
        if not is_pretrainer:
            return ()
        return (
            "a pre-trainer counts as one without a pooler; to keep this "
            "model's, state the pooling cls_tanh or mean_tanh",
        )
    if is_pretrainer:
        return ("the model has no pooler, and pre-training uses none",)
    pooling = config.encoder.pooling
    if config.encoder.uses_pooler:  # Only to be trained further.
        return (
            f"the model has no trained pooler: that of the pooling {pooling} "
            "starts from random weights",
        )
    return (f"the model has no pooler, and the pooling {pooling} uses none",)
