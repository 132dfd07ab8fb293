"""Every setting of an experiment, typed; the defaults are the paper's.

Section numbers are those of Feng et al., ACL 2022. Where the paper does not
give a value, the comment names its source.
"""

import dataclasses

from labse.configs import checks
from labse.errors import InputError

POOLINGS = ("cls", "cls_tanh", "mean", "mean_tanh")
# Those followed by BERT's pooler, a dense layer and tanh.
POOLER_POOLINGS = ("cls_tanh", "mean_tanh")
ACTIVATIONS = ("gelu", "gelu_tanh")
# The tokenizer whose ids are reproduced, and its limit on the bytes of a word;
# longer words become [UNK]. Hugging Face: 100 characters of up to 4 bytes. TF
# Hub: the default of tensorflow_text.BertTokenizer.
MAX_BYTES_PER_WORD = {"hugging_face": 400, "tensorflow_hub": 100}
TOKENIZER_IDS = tuple(MAX_BYTES_PER_WORD)
COMPUTE_DTYPES = ("float32", "mixed_bfloat16")
# Keys on which the weights of a step do not depend, so that a run can be
# resumed with other values.
FREE_ON_RESUME = (
    "data.max_malformed_share",  # The records themselves are compared.
    "training.steps_per_execution",
    "training.log_every",
    "training.checkpoint_every",
    "training.validate_every",
    "training.early_stopping_patience",
)


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The shared BERT encoder (section 3.2 and appendix A: BERT Base)."""

    vocab_size: int = 501_153  # Section 3.2; set from the vocabulary file.
    # 0: a deep averaging network, the mean of the pieces' embeddings (appendix
    # B's weaker encoder; Iyyer et al. 2015).
    num_layers: int = 12
    num_heads: int = 12
    hidden_size: int = 768
    intermediate_size: int = 3072
    max_positions: int = 512  # Section 3.4: pre-training length.
    type_vocab_size: int = 2  # BERT.
    # BERT's gelu is the tanh approximation in Google's code and the exact one
    # in Hugging Face's; the difference is at most 4.7e-4 per activation.
    activation: str = "gelu_tanh"
    # Section 3.2: the l2-normalised [CLS]. The released weights have BERT's
    # tanh pooler before the normalisation ("cls_tanh"). "mean_tanh" applies the
    # same dense layer and tanh to the mean.
    pooling: str = "cls"
    dropout: float = 0.1  # BERT.
    attention_dropout: float = 0.1  # BERT.
    initializer_range: float = 0.02  # BERT.

    def __post_init__(self):
        checks.choice(self, "activation", ACTIVATIONS)
        checks.choice(self, "pooling", POOLINGS)
        checks.positive(
            self,
            "vocab_size",
            "num_heads",
            "hidden_size",
            "intermediate_size",
            "type_vocab_size",
        )
        checks.not_negative(self, "num_layers")
        checks.probability(self, "dropout", "attention_dropout")
        if not self.num_layers and self.pooling.startswith("cls"):
            raise InputError(
                "encoder.num_layers=0 needs encoder.pooling mean or mean_tanh: "
                "without attention [CLS] sees no word of the sentence. "
                f"Received: {self.pooling!r}."
            )
        if self.hidden_size % self.num_heads:
            raise InputError(
                "encoder.hidden_size must be a multiple of encoder.num_heads. "
                f"Received: {self.hidden_size} and {self.num_heads}."
            )
        if self.max_positions < 3:
            raise InputError(
                "encoder.max_positions must leave room for [CLS], a piece and "
                f"[SEP]. Received: {self.max_positions}."
            )

    @property
    def uses_pooler(self) -> bool:
        """Whether BERT's pooler is part of the embedding."""
        return self.pooling in POOLER_POOLINGS


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """Text to pieces."""

    max_length: int = 128  # Section 3.2, with [CLS] and [SEP].
    # Longer words become [UNK]; 400 bytes keep the long words of Thai, Khmer,
    # Lao and Burmese. Hugging Face's limit, 100 characters, is at most 400.
    max_bytes_per_word: int = 400
    # For uncased BERT: lower case, accents stripped. LaBSE is cased.
    lower_case: bool = False
    # The tokenizer whose ids are reproduced: Hugging Face's or TF Hub's. They
    # differ in control characters, spaces and long words.
    ids: str = "hugging_face"

    def __post_init__(self):
        checks.choice(self, "ids", TOKENIZER_IDS)
        checks.positive(self, "max_bytes_per_word")
        most = MAX_BYTES_PER_WORD[self.ids]
        if self.ids == "tensorflow_hub" and self.max_bytes_per_word != most:
            raise InputError(
                "tokenizer.ids=tensorflow_hub requires "
                f"tokenizer.max_bytes_per_word={most}. Received: "
                f"{self.max_bytes_per_word}. Set both."
            )
        if self.max_length < 3:
            raise InputError(
                "tokenizer.max_length counts [CLS] and [SEP], so it must be "
                f"at least 3. Received: {self.max_length}."
            )


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Additive-margin softmax (section 2, Eq. 1-4)."""

    logit_scale: float = 10.0  # Footnote 11.
    margin: float = 0.3  # Footnote 11.
    bidirectional: bool = True  # Eq. 4.
    # Duplicate masking: pairs of the batch with the same source or target text
    # are translations, too, and not used as negatives. Not in the paper.
    mask_duplicates: bool = True

    def __post_init__(self):
        checks.positive(self, "logit_scale")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Pairs to batches."""

    # Longest text during training, with [CLS] and [SEP]; 0: as long as
    # tokenizer.max_length. Positions beyond it are not trained; an encoder
    # without blocks has no positions.
    max_length: int = 0
    # A language's share of the examples is proportional to its number of pairs
    # to this power: 1 leaves the pairs as they are, 0 gives all languages the
    # same share.
    language_exponent: float = 1.0
    # Weights by name of the corpus (`labse.features.CORPUS`): how many pairs
    # each of its pairs counts as; 1 for other corpora.
    corpus_weights: dict[str, float] = dataclasses.field(
        default_factory=dict, hash=False
    )
    # Lengths to which texts are padded, none above the longest of training;
    # empty: always to the longest.
    length_buckets: tuple[int, ...] = ()
    # With buckets, the texts of a batch are sorted by length and encoded in
    # this many parts, each padded to its own bucket. The batch stays the same.
    length_chunks: int = 4
    # Malformed lines are skipped up to this share; above it the run is refused.
    max_malformed_share: float = 0.01
    # Number of hard negatives read from each pair's record and added to the
    # batch's targets; 0: none. Appendix B: 3.
    hard_negatives: int = 0

    def __post_init__(self):
        checks.not_negative(self, "hard_negatives")
        if self.max_length and self.max_length < 3:
            raise InputError(
                "data.max_length counts [CLS] and [SEP], so it must be at "
                "least 3, or 0 for tokenizer.max_length. Received: "
                f"{self.max_length}."
            )
        checks.probability(self, "language_exponent", "max_malformed_share")
        checks.positive(self, "length_chunks")
        checks.corpus_weights(self)
        buckets = list(self.length_buckets)
        if buckets != sorted(set(buckets)) or (buckets and buckets[0] < 3):
            raise InputError(
                "data.length_buckets must increase and start at 3 or more. "
                f"Received: {buckets}."
            )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Optimisation (section 3.2)."""

    global_batch_size: int = 4096  # 128 on each of 32 cores.
    num_steps: int = 50_000  # From pre-trained weights; 500k without.
    learning_rate: float = 1e-3  # With linear decay to zero.
    # Not in the paper; the authors' published configuration warms up over 1 %
    # of the steps.
    warmup_steps: int = 500
    weight_decay: float = 0.01  # BERT; not on biases and layer norms.
    adam_beta_1: float = 0.9  # BERT.
    adam_beta_2: float = 0.999  # BERT.
    adam_epsilon: float = 1e-6  # BERT.
    gradient_clip_norm: float = 1.0  # BERT; 0: none.
    compute_dtype: str = "float32"
    # The activations of a transformer block are computed again for its
    # gradients instead of kept: less memory, about a third more time.
    rematerialize: bool = False
    # Gradient cache: the number of pairs that a replica embeds at once, with
    # their hard negatives; memory is then that of so many pairs, whatever the
    # batch. It must divide a replica's batch. Texts are sorted by length before
    # they are cut into these chunks, in place of data.length_chunks. 0: the
    # whole batch at once.
    gradient_cache_chunk: int = 0
    seed: int = 0
    deterministic: bool = True  # TensorFlow's deterministic kernels.
    steps_per_execution: int = 1
    log_every: int = 100
    checkpoint_every: int = 1000
    validate_every: int = 1000
    # Training stops after this many validations in a row that were no better
    # than the best one before; 0: never.
    early_stopping_patience: int = 0

    def __post_init__(self):
        checks.choice(self, "compute_dtype", COMPUTE_DTYPES)
        checks.positive(
            self,
            "global_batch_size",
            "num_steps",
            "learning_rate",
            "steps_per_execution",
            "log_every",
            "checkpoint_every",
            "validate_every",
        )
        checks.not_negative(
            self, "early_stopping_patience", "gradient_cache_chunk", "seed"
        )
        self.check_chunk(replicas=1)
        for name in ("log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) % self.steps_per_execution:
                raise InputError(
                    f"training.{name} must be a multiple of "
                    "training.steps_per_execution. Received: "
                    f"{getattr(self, name)} and {self.steps_per_execution}."
                )
        if not 0 <= self.warmup_steps < self.num_steps:
            raise InputError(
                "training.warmup_steps must be at least 0 and less than "
                f"training.num_steps. Received: {self.warmup_steps} and "
                f"{self.num_steps}."
            )

    def check_chunk(self, replicas: int) -> None:
        """Raises an `InputError` if a replica's batch is not whole chunks."""
        chunk = self.gradient_cache_chunk
        batch = self.global_batch_size // replicas
        if chunk and batch % chunk:
            raise InputError(
                "training.gradient_cache_chunk must divide the batch of a "
                "replica, training.global_batch_size over the number of "
                f"replicas. Received: {chunk} and {batch}."
            )


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """One experiment: a row of the paper's tables, or a user's own."""

    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    tokenizer: TokenizerConfig = dataclasses.field(
        default_factory=TokenizerConfig
    )
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)

    def __post_init__(self):
        if self.tokenizer.max_length > self.encoder.max_positions:
            raise InputError(
                "tokenizer.max_length must be at most encoder.max_positions. "
                f"Received: {self.tokenizer.max_length} and "
                f"{self.encoder.max_positions}."
            )
        if self.data.max_length > self.tokenizer.max_length:
            raise InputError(
                "data.max_length must be at most tokenizer.max_length. "
                f"Received: {self.data.max_length} and "
                f"{self.tokenizer.max_length}."
            )
        buckets = self.data.length_buckets
        if buckets and buckets[-1] > self.training_length:
            raise InputError(
                "data.length_buckets must be at most data.max_length, or "
                "tokenizer.max_length if that is 0. "
                f"Received: {list(buckets)} and {self.training_length}."
            )

    def with_model(
        self, encoder: EncoderConfig, tokenizer: TokenizerConfig
    ) -> "ExperimentConfig":
        """The experiment with another model, or another length of texts.

        Settings of training must not limit how a model is used: if texts
        become shorter, longer lengths in the data section are reduced.
        """
        longest = min(
            self.data.max_length or tokenizer.max_length, tokenizer.max_length
        )
        buckets = self.data.length_buckets
        data = dataclasses.replace(
            self.data,
            max_length=min(self.data.max_length, tokenizer.max_length),
            length_buckets=tuple(b for b in buckets if b <= longest),
        )
        return dataclasses.replace(
            self, encoder=encoder, tokenizer=tokenizer, data=data
        )

    def with_vocab_size(self, size: int) -> "ExperimentConfig":
        """The experiment with a vocabulary of so many pieces."""
        encoder = dataclasses.replace(self.encoder, vocab_size=size)
        return dataclasses.replace(self, encoder=encoder)

    @property
    def training_length(self) -> int:
        """The longest text during training, with [CLS] and [SEP]."""
        return self.data.max_length or self.tokenizer.max_length
