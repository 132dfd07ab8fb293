"""Languages, sizes and configurations of all ablations."""

import dataclasses

from benchmarks.ablations.arms import (
    PRETRAINED,
    Dual,
    Pretrained,
)
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
MINER_STEPS = 100

_CORPUS_WEIGHTS = {"wikimedia_ui": 0.25}  # As in examples/small_open.sh.
_LENGTH = 24  # Nine texts in ten are no longer.
_SEQUENCE = 96  # Of pre-training; several texts are packed into one.
_ENCODER = EncoderConfig(
    num_layers=4,
    num_heads=4,
    hidden_size=256,
    intermediate_size=512,
    max_positions=_SEQUENCE,
    pooling="mean",
)
_TOKENIZER = TokenizerConfig(max_length=_SEQUENCE)


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
        tokenizer=_TOKENIZER,
        loss=LossConfig(margin=arm.margin),
        data=DataConfig(
            max_length=_LENGTH,
            language_exponent=0.5,
            corpus_weights=_CORPUS_WEIGHTS,
            hard_negatives=arm.hard_negatives,
        ),
        training=_training(arm.batch_size, arm.steps, seed, learning_rate=2e-3),
    )


def pretraining_config(arm: Pretrained, seed: int) -> PretrainingConfig:
    """The configuration of a pre-training."""
    return PretrainingConfig(
        # Dropout costs more than it gives where no text is seen often.
        encoder=dataclasses.replace(
            _ENCODER, dropout=0.0, attention_dropout=0.0
        ),
        tokenizer=_TOKENIZER,
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
    shared = (_CODES, POOL, VOCAB_SIZE, HELD_OUT_SHARE, MINER_STEPS)
    if arm is None:
        return shared
    if isinstance(arm, Pretrained):
        return arm, pretraining_config(arm, seed), shared
    before = None
    if arm.pretrained:
        before = description(PRETRAINED[arm.pretrained], seed)
    return arm, dual_encoder_config(arm, seed), before, shared
