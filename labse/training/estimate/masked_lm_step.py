"""Memory and arithmetic of a step of pre-training (section 3.4).

The encoder's part is that of a dual encoder whose texts are the sequences, and
whose last block is computed for the masked tokens. Added here: the masked-LM
head, and the gradient of the word table, which the head's loss makes as one
dense table before that of the last block (`labse/modeling/masked_lm.py`).
"""

import dataclasses

from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import DataConfig, EncoderConfig, ExperimentConfig
from labse.losses.block_size import chunk_size
from labse.training.estimate import arithmetic
from labse.training.estimate.activations import (
    FLOAT_BYTES,
    Activations,
    compute_bytes,
)
from labse.training.estimate.compiled_activations import CompiledActivations
from labse.training.estimate.hardware import Hardware
from labse.training.estimate.step_memory import CompiledStep, Step

# Tensors of the size of a chunk of logits in the gradient: the logits, their
# softmax, and the labels as one-hot vectors.
_LOGIT_TENSORS = 3
_GELU_TENSORS = 5


def as_experiment(
    config: PretrainingConfig, num_layers: int | None = None
) -> ExperimentConfig:
    """A dual encoder whose texts take what the sequences take.

    `num_layers`: of a stage; None: of the last one.
    """
    encoder = dataclasses.replace(
        config.encoder,
        num_layers=num_layers or config.encoder.num_layers,
        pooling="mean",  # Its pooler is not trained.
    )
    return ExperimentConfig(
        encoder=encoder,
        tokenizer=config.tokenizer,
        data=DataConfig(length_buckets=()),
        training=config.training,
    )


def head_parameters(encoder: EncoderConfig) -> int:
    """A dense layer, a layer normalisation, and a bias for each piece."""
    size = encoder.hidden_size
    return size * size + size + 2 * size + encoder.vocab_size


def masked_tokens(config: PretrainingConfig, devices: int) -> int:
    """Of a device's batch; all sequences have places for the most."""
    sequences = config.training.global_batch_size // devices
    return sequences * config.masking.max_masked


def step_flops(
    config: PretrainingConfig, devices: int, num_layers: int | None = None
) -> float:
    """Of one device in one step of the stage with a number of blocks.

    See `arithmetic.step_flops`. A chunk of the head's logits is computed again
    for its gradients, and the head has no blocks to rematerialise.
    """
    experiment = as_experiment(config, num_layers)
    encoder, training = experiment.encoder, config.training
    sequences = training.global_batch_size // devices
    length = config.tokenizer.max_length
    rows = masked_tokens(config, devices)
    forward = arithmetic.forward_flops(experiment, sequences, length, rows)
    dense = 2.0 * rows * encoder.hidden_size**2
    logits = 2.0 * rows * encoder.hidden_size * encoder.vocab_size
    is_chunked = chunk_size(rows, encoder.vocab_size) < encoder.vocab_size
    passes = 3 + training.rematerialize
    return passes * forward + 3 * dense + (3 + is_chunked) * logits


class _MaskedLM:
    """What is other than in a dual encoder's step; before `Step`."""

    def __init__(self, config: PretrainingConfig, hardware: Hardware, **how):
        self._rows = masked_tokens(config, hardware.devices)
        self._is_packed = config.data.packed
        super().__init__(as_experiment(config), hardware, **how)
        self._row_bytes = 0  # The table's gradient is dense.
        head = head_parameters(config.encoder)
        self._parameters = {**self._parameters, "masked-LM head": head}
        self._trained += FLOAT_BYTES * head

    def in_gradients(self) -> dict[str, int]:
        """The table's gradient and the head's are there."""
        table = FLOAT_BYTES * self._parameters["word embeddings"]
        head = FLOAT_BYTES * self._parameters["masked-LM head"]
        parts = super().in_gradients()
        parts["gradients"] += table + head
        return self._with_unused(parts)

    def in_loss(self) -> dict[str, int]:
        """The table's gradient is written, chunk by chunk."""
        parts = super().in_loss()
        parts["gradients"] = FLOAT_BYTES * self._parameters["word embeddings"]
        return self._with_unused(parts)

    def _texts_of_pair(self) -> int:
        return 1  # The examples are sequences.

    def _always(self) -> dict[str, int]:
        parts = super()._always()
        del parts["gathered embeddings"]
        tokens = self._texts * self._config.training_length
        features = 3 + 2 * self._is_packed
        masked = 3 * FLOAT_BYTES * self._rows
        return parts | {"input": features * FLOAT_BYTES * tokens + masked}

    def _of_encoder(self) -> dict[str, int]:
        """With the head's activations, and which tokens see each other.

        The latter are float32 numbers for each two tokens of a sequence, for
        all blocks the same; without packing there is a row a sequence.
        """
        parts = super()._of_encoder()
        parts["activations of the head"] = self._rows * self._head_row()
        if self._is_packed:
            length = self._config.training_length
            parts["sentence mask"] = FLOAT_BYTES * self._texts * length**2
        return parts

    def _head_row(self) -> int:
        """Of a masked token: as in a block (`activations`).

        The hidden state and its copy in the compute dtype, gelu's tensors, the
        centred values, the scales and the result of the layer normalisation.
        """
        number = compute_bytes(self._config)
        size = self._config.encoder.hidden_size
        return size * ((1 + _GELU_TENSORS) * number + 4 * FLOAT_BYTES)

    def _logits(self) -> int:
        pieces = self._config.encoder.vocab_size
        chunk = chunk_size(self._rows, pieces)
        return _LOGIT_TENSORS * FLOAT_BYTES * self._rows * chunk


class MaskedLMStep(_MaskedLM, Step):
    """The parts of a step by operations."""

    def _make_activations(self, texts: int) -> Activations:
        return Activations(self._config, texts, self._rows)


class CompiledMaskedLMStep(_MaskedLM, CompiledStep):
    """The parts of a step that is compiled for TPU."""

    def _make_activations(self, texts: int) -> Activations:
        return CompiledActivations(
            self._config, texts, self._rows, self._is_least
        )

    def _of_encoder(self) -> dict[str, int]:
        parts = super()._of_encoder()
        # Computed with the scores.
        parts.pop("sentence mask", None)
        return parts
