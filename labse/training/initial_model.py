"""The model that a new run starts from."""

from absl import logging

from labse.checkpoints import recognition, stored_model
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.errors import InputError

# An encoder's vectors depend on these; a run may choose all other keys itself.
_MUST_EQUAL = (
    "encoder.num_layers",
    "encoder.hidden_size",
    "encoder.pooling",
    "tokenizer.lower_case",
    "tokenizer.ids",
    "tokenizer.max_bytes_per_word",
)
# And on these, unless it is an average of word embeddings (no blocks).
_MUST_EQUAL_WITH_BLOCKS = (
    "encoder.num_heads",
    "encoder.intermediate_size",
    "encoder.max_positions",
    "encoder.type_vocab_size",
    "encoder.activation",
)


def open_init(path: str, config: Config, vocabulary_path: str) -> StoredModel:
    """Opens the model that a run starts from.

    Args:
      path: a model of any kind that `labse convert` takes.
      config: the run's; it also supplies what the model does not record, such
        as the pooling of a pre-trainer. For pre-training pooling is nothing.
      vocabulary_path: the run's, also for a model that comes without one.

    Raises:
      InputError: this is not a model, or the run is configured otherwise.
    """
    options = ModelOptions(vocabulary=vocabulary_path, fallback=config)
    try:
        model = recognition.open_model(path, options)
    except InputError as error:
        raise InputError(f"init={path}: {error}") from error
    for note in model.notes:
        logging.info("init: %s", note)
    theirs, ours = (
        stored_model.config_values(each) for each in (model.config, config)
    )
    keys = _MUST_EQUAL
    if config.encoder.num_layers or model.config.encoder.num_layers:
        keys += _MUST_EQUAL_WITH_BLOCKS
    if isinstance(config, PretrainingConfig):
        keys = tuple(key for key in keys if key != "encoder.pooling")
    differences = [
        f"{key}={theirs[key]}" for key in keys if theirs[key] != ours[key]
    ]
    if differences:
        raise InputError(
            f"The encoder of init={path} differs from the configuration. "
            f"Override {' '.join(differences)}, or change the model with labse "
            "convert."
        )
    lengths = (theirs["tokenizer.max_length"], ours["tokenizer.max_length"])
    if lengths[0] != lengths[1]:
        logging.info("init: max_length is %d there and %d here.", *lengths)
    return model
