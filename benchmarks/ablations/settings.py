"""Languages, sizes and configurations of all ablations."""

from benchmarks.ablations.arms import (
    HARD,
    PRETRAINED,
    VOCABULARIES,
    Dual,
    Pretrained,
)
from labse.configs import loading
from labse.configs.pretraining import (
    MaskingConfig,
    PretrainingConfig,
    PretrainingDataConfig,
    StackingConfig,
)
from labse.configs.schema import (
    DataConfig,
    EncoderConfig,
    ExperimentConfig,
    LossConfig,
    TokenizerConfig,
    TrainingConfig,
)

# Language: its codes in the training data, and that of Tatoeba's test set. The
# large ones are the five of the UN corpus besides English, and two more.
_CODES = {
    "es": ("spa es", "spa"),
    "fr": ("fra fr", "fra"),
    "ru": ("rus ru", "rus"),
    "zh": ("cmn_Hans cmn_Hant zh zh-hans", "cmn"),
    "ar": ("ara ar", "ara"),
    "de": ("deu de", "deu"),
    "tr": ("tur tr", "tur"),
    # A few thousand pairs or less, and a script that no large one has.
    "hy": ("hye hy", "hye"),
    "th": ("tha th", "tha"),
    "ka": ("kat ka", "kat"),
    "te": ("tel te", "tel"),
    "ta": ("tam ta", "tam"),
    "km": ("khm km", "khm"),
    "am": ("amh am", "amh"),
}
LANGUAGE_OF_CODE = {
    code: language
    for language, (codes, _) in _CODES.items()
    for code in codes.split()
}
TEST_CODE = {language: code for language, (_, code) in _CODES.items()}
LARGE = tuple(_CODES)[:7]
SMALL = tuple(_CODES)[7:]

# English sentences among which a translation is searched: those of the test
# sets of the 14 languages, and others of Tatoeba's test sets.
POOL = 20_000
VOCAB_SIZE = 32_000
HELD_OUT_SHARE = "0.005"  # Of the pairs, for the validation of pre-training.
# The averaging network that mines hard negatives (appendix B: a weaker one).
MINER = "labse_dan"
MINER_OVERRIDES = ("training.num_steps=100", "training.warmup_steps=10")
# Small, so that an order of examples mixes many shards.
SHARD_RECORDS = 4096
# Of the code: raised with every change of what the units compute, so that no
# earlier result is used.
RECIPE = 1

_CORPUS_WEIGHTS = {"wikimedia_ui": 0.25}  # As in examples/small_open.sh.
# Of dual encoders, in training and in evaluation; 2.3 % of the training pairs
# have a longer text (a sample of 20,000, vocabulary "smoothed").
_LENGTH = 40
# Three parts a batch, each padded to its own length, instead of all to 40.
_LENGTH_BUCKETS, _LENGTH_CHUNKS = (12, 20, _LENGTH), 3
_SEQUENCE = 96  # Of pre-training; several texts are packed into one.
_ENCODER = EncoderConfig(
    num_layers=4,
    num_heads=4,
    hidden_size=256,
    intermediate_size=512,
    max_positions=_SEQUENCE,
    pooling="mean",
    # Dropout costs more than it gives where no text is seen often.
    dropout=0.0,
    attention_dropout=0.0,
)


def _training(batch_size: int, steps: int, seed: int, **options):
    return TrainingConfig(
        global_batch_size=batch_size,
        num_steps=steps,
        warmup_steps=max(1, steps // 10),
        compute_dtype="mixed_bfloat16",
        seed=seed,
        log_every=min(25, steps),
        checkpoint_every=max(1, steps // 5),
        validate_every=steps,
        **options,
    )


def dual_encoder_config(arm: Dual, seed: int) -> ExperimentConfig:
    """The configuration of a dual encoder; scale 10 as in footnote 11."""
    return ExperimentConfig(
        encoder=_ENCODER,
        tokenizer=TokenizerConfig(max_length=_LENGTH),
        loss=LossConfig(margin=arm.margin),
        data=DataConfig(
            language_exponent=0.5,
            corpus_weights=_CORPUS_WEIGHTS,
            length_buckets=_LENGTH_BUCKETS,
            length_chunks=_LENGTH_CHUNKS,
            hard_negatives=arm.hard_negatives,
        ),
        training=_training(arm.batch_size, arm.steps, seed, learning_rate=2e-3),
    )


def pretraining_config(arm: Pretrained, seed: int) -> PretrainingConfig:
    """The configuration of a pre-training."""
    return PretrainingConfig(
        encoder=_ENCODER,
        tokenizer=TokenizerConfig(max_length=_SEQUENCE),
        masking=MaskingConfig(max_masked=round(0.2 * _SEQUENCE)),
        data=PretrainingDataConfig(
            bilingual_share=arm.bilingual_share,
            language_exponent=0.5,
            corpus_weights=_CORPUS_WEIGHTS,
        ),
        training=_training(arm.batch_size, arm.steps, seed, learning_rate=1e-3),
        stacking=StackingConfig(
            num_layers=arm.stage_layers, num_steps=arm.stage_steps
        ),
    )


def description(arm: Dual | Pretrained | None, seed: int) -> object:
    """All settings that a unit's result follows from, besides the data."""
    shared = (
        RECIPE,
        _CODES,
        POOL,
        VOCABULARIES,
        VOCAB_SIZE,
        HELD_OUT_SHARE,
        SHARD_RECORDS,
        loading.load(MINER, MINER_OVERRIDES),
        HARD.hard_negatives,
    )
    if arm is None:
        return shared
    if isinstance(arm, Pretrained):
        return arm, pretraining_config(arm, seed), shared
    before = None
    if arm.pretrained:
        before = description(PRETRAINED[arm.pretrained], seed)
    return arm, dual_encoder_config(arm, seed), before, shared
