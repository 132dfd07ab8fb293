"""The typed configuration of an experiment, and its presets."""

from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DataConfig": "schema",
        "EncoderConfig": "schema",
        "ExperimentConfig": "schema",
        "LossConfig": "schema",
        "PretrainingConfig": "pretraining",
        "TokenizerConfig": "schema",
        "TrainingConfig": "schema",
    },
)
