"""Every setting of pre-training (section 3.4), typed; the paper's defaults."""

import dataclasses

from labse.configs import checks
from labse.configs.schema import (
    EncoderConfig,
    TokenizerConfig,
    TrainingConfig,
)
from labse.errors import InputError

# Sequences that are packed together: a unit. With more of them less is padded,
# but the batch of a replica is whole units of each kind: of section 3.4's 8,192
# sequences, half of them pairs, each of 512 replicas has eight of either. Of
# 512 tokens, sentences fill 76 % in units of 1, 92 of 4, 95 of 8 and 97 of 16
# (docs/experiments.md).
UNIT_ROWS = 8
# [CLS], a piece, [SEP], a piece, [SEP].
_SHORTEST_PAIR = 5


@dataclasses.dataclass(frozen=True)
class MaskingConfig:
    """Which tokens the model has to predict, and what stands in their place."""

    share: float = 0.2  # Section 3.4: of a sequence's tokens.
    max_masked: int = 80  # Section 3.4: of a sequence.
    # Of the chosen tokens, those replaced by [MASK] and by a random piece; the
    # others stay as they are. BERT.
    mask_share: float = 0.8
    random_share: float = 0.1

    def __post_init__(self):
        checks.positive(self, "share", "max_masked")
        checks.probability(self, "share", "mask_share", "random_share")
        if self.mask_share + self.random_share > 1:
            raise InputError(
                "masking.mask_share and masking.random_share must be at most 1 "
                f"together. Received: {self.mask_share} and "
                f"{self.random_share}."
            )


@dataclasses.dataclass(frozen=True)
class PretrainingDataConfig:
    """Monolingual text and translation pairs to batches."""

    # Share of the sequences that are translation pairs (TLM); the others are
    # monolingual text (MLM). Not in the paper.
    bilingual_share: float = 0.5
    # Several sentences, or pairs, stand in one sequence, and none attends to
    # another; otherwise each has a sequence of its own, padded.
    packed: bool = True
    # See `schema.DataConfig`; for each of the two kinds by itself.
    language_exponent: float = 1.0
    corpus_weights: dict[str, float] = dataclasses.field(
        default_factory=dict, hash=False
    )
    max_malformed_share: float = 0.01

    def __post_init__(self):
        checks.probability(
            self, "bilingual_share", "language_exponent", "max_malformed_share"
        )
        checks.corpus_weights(self)


@dataclasses.dataclass(frozen=True)
class StackingConfig:
    """Progressive stacking: stages of fewer blocks before the last one.

    Section 3.4 trains L/4, L/2 and L blocks. Where the paper does not say how,
    this is Gong et al. 2019 (https://github.com/gonglinyuan/StackingBERT).
    """

    # Blocks of each stage before the last one, which has encoder.num_layers;
    # empty: one stage.
    num_layers: tuple[int, ...] = ()
    # Steps of each of these stages; the last one has the rest of
    # training.num_steps.
    num_steps: tuple[int, ...] = ()
    # Steps after a growth with a lower learning rate, which rises linearly to
    # that of the run's schedule.
    warmup_steps: int = 1
    # A new stage takes over AdamW's moments, block by block as the weights, and
    # continues its bias correction; it begins them anew otherwise.
    copy_moments: bool = False

    def __post_init__(self):
        checks.not_negative(self, "warmup_steps")
        if len(self.num_layers) != len(self.num_steps):
            raise InputError(
                "stacking.num_layers and stacking.num_steps have one number "
                "for each stage before the last one. Received: "
                f"{list(self.num_layers)} and {list(self.num_steps)}."
            )
        if not all(number > 0 for number in self.num_layers + self.num_steps):
            raise InputError(
                "stacking.num_layers and stacking.num_steps must be greater "
                f"than 0. Received: {list(self.num_layers)} and "
                f"{list(self.num_steps)}."
            )


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """Pre-training of one encoder; `encoder.pooling` is not used by it."""

    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    tokenizer: TokenizerConfig = dataclasses.field(
        default_factory=lambda: TokenizerConfig(max_length=512)  # Section 3.4.
    )
    masking: MaskingConfig = dataclasses.field(default_factory=MaskingConfig)
    data: PretrainingDataConfig = dataclasses.field(
        default_factory=PretrainingDataConfig
    )
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    stacking: StackingConfig = dataclasses.field(default_factory=StackingConfig)

    def __post_init__(self):
        if not self.encoder.num_layers:
            raise InputError(
                "Pre-training needs an encoder with blocks: without attention "
                "a masked token sees no other one. Received: "
                "encoder.num_layers=0."
            )
        if self.training.gradient_cache_chunk:
            raise InputError(
                "Pre-training has no negatives, so training."
                "gradient_cache_chunk must be 0. Received: "
                f"{self.training.gradient_cache_chunk}. Lower training."
                "global_batch_size, or set training.rematerialize."
            )
        if self.tokenizer.max_length > self.encoder.max_positions:
            raise InputError(
                "tokenizer.max_length must be at most encoder.max_positions. "
                f"Received: {self.tokenizer.max_length} and "
                f"{self.encoder.max_positions}."
            )
        if self.data.bilingual_share and (
            self.tokenizer.max_length < _SHORTEST_PAIR
        ):
            raise InputError(
                "A sequence with a translation pair has at least "
                f"{_SHORTEST_PAIR} tokens, three of them [CLS] and [SEP]. "
                f"Received tokenizer.max_length={self.tokenizer.max_length} "
                f"and data.bilingual_share={self.data.bilingual_share}. Raise "
                "the length, or set data.bilingual_share=0."
            )
        self._check_stages()

    def _check_stages(self) -> None:
        layers = [*self.stacking.num_layers, self.encoder.num_layers]
        for fewer, more in zip(layers, layers[1:], strict=False):
            if more <= fewer or more % fewer:
                raise InputError(
                    "The blocks of a stage must be a multiple of those of the "
                    "stage before. Received: stacking.num_layers="
                    f"{list(self.stacking.num_layers)} and encoder.num_layers="
                    f"{self.encoder.num_layers}."
                )
        if sum(self.stacking.num_steps) >= self.training.num_steps:
            raise InputError(
                "The last stage must have steps left: stacking.num_steps must "
                "be less than training.num_steps in sum. Received: "
                f"{list(self.stacking.num_steps)} and "
                f"{self.training.num_steps}."
            )
        # Logs, checkpoints and validations are at steps of the run, which a
        # later stage would never be at.
        at_once = self.training.steps_per_execution
        if any(steps % at_once for steps in self.stacking.num_steps):
            raise InputError(
                "stacking.num_steps must be multiples of "
                "training.steps_per_execution. Received: "
                f"{list(self.stacking.num_steps)} and {at_once}."
            )

    @property
    def training_length(self) -> int:
        """The longest sequence, with [CLS] and [SEP]."""
        return self.tokenizer.max_length

    def with_vocab_size(self, size: int) -> "PretrainingConfig":
        """The experiment with a vocabulary of another size."""
        encoder = dataclasses.replace(self.encoder, vocab_size=size)
        return dataclasses.replace(self, encoder=encoder)

    @property
    def bilingual_rows(self) -> int:
        """Sequences of a global batch that are translation pairs."""
        return self._rows(self.training.global_batch_size)[1]

    @property
    def unit_rows(self) -> int:
        """A replica's sequences of each kind are a multiple of this number."""
        return UNIT_ROWS if self.data.packed else 1

    def _rows(self, batch_size: int) -> tuple[int, int]:
        """The texts and the pairs among the sequences of a global batch."""
        pairs = round(batch_size * self.data.bilingual_share)
        return batch_size - pairs, pairs

    def _missing_kind(self, batch_size: int) -> str:
        """The kind with a share that has no sequence; empty: each has."""
        share = self.data.bilingual_share
        texts, pairs = self._rows(batch_size)
        if share < 1 and not texts:
            return "monolingual"
        return "bilingual" if share and not pairs else ""

    def _divides(self, batch_size: int, replicas: int) -> bool:
        units = self.unit_rows * replicas
        return not any(count % units for count in self._rows(batch_size))

    def check_replicas(self, replicas: int) -> None:
        """Checks that a number of replicas can share the global batch.

        Raises:
          InputError: a replica would have another number of sequences of a
            kind than another one, parts of units, or a kind none at all.
        """
        size, share = self.training.global_batch_size, self.data.bilingual_share
        missing = self._missing_kind(size)
        if missing:
            raise InputError(
                "A kind of records with a share has at least one sequence of a "
                f"global batch. Received data.bilingual_share={share} and "
                f"training.global_batch_size={size}, which leave none for "
                f"{missing} records. Raise training.global_batch_size, or make "
                "the share 0 or 1."
            )
        if self._divides(size, replicas):
            return
        units, remedy = "", ""
        if self.data.packed:
            units = f", in units of {UNIT_ROWS} that are packed together"
            remedy = ", or set data.packed=false"
        raise InputError(
            "Each replica has the same number of sequences of each kind"
            f"{units}. Received training.global_batch_size={size}, with "
            f"{self.bilingual_rows} sequences of translation pairs "
            f"(data.bilingual_share={share}), and {replicas} "
            f"replica{'s' * (replicas > 1)}. Make both numbers multiples of "
            f"{self.unit_rows * replicas}{remedy}."
        )

    def batch_sizes(self, replicas: int, below: int) -> list[int]:
        """The smaller global batches that `check_replicas` would accept."""
        step = self.unit_rows * replicas
        return [
            size
            for size in range(step, below, step)
            if self._divides(size, replicas) and not self._missing_kind(size)
        ]

    @property
    def stages(self) -> list[tuple[int, range]]:
        """Blocks and steps (of the run) of each stage."""
        layers = [*self.stacking.num_layers, self.encoder.num_layers]
        stops, stop = [], 0
        for steps in self.stacking.num_steps:
            stop += steps
            stops.append(stop)
        stops.append(self.training.num_steps)
        starts = [0, *stops[:-1]]
        return [
            (number, range(start, stop))
            for number, start, stop in zip(layers, starts, stops, strict=True)
        ]
