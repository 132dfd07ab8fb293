"""Fixtures of tests of foreign folders."""

import pytest
import tensorflow as tf

from labse.checkpoints import run_folder
from labse.configs.pretraining import PretrainingConfig, StackingConfig
from labse.configs.schema import EncoderConfig, TokenizerConfig, TrainingConfig
from labse.modeling.masked_lm import MaskedLanguageModel


@pytest.fixture(scope="session")
def bert_config():
    """From changes to google-research/bert's configuration of a small BERT."""

    def changed(**changes):
        return {
            "vocab_size": 13,
            "hidden_size": 8,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 20,
            "type_vocab_size": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
        } | changes

    return changed


@pytest.fixture(scope="session")
def pretraining_run(tmp_path_factory):
    """A run of pre-training in its last stage, with random weights.

    From one block to two; the shapes are those of `bert_config`.
    """
    pieces = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += ["a", "b", "c", "##a", "##b", "##c", "A"]
    folder = tmp_path_factory.mktemp("pretraining")
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in pieces))
    config = PretrainingConfig(
        EncoderConfig(
            vocab_size=len(pieces),
            num_layers=2,
            num_heads=2,
            hidden_size=8,
            intermediate_size=16,
            max_positions=20,
            # Larger than BERT's, so that attention is far from even.
            initializer_range=0.3,
        ),
        TokenizerConfig(max_length=16),
        training=TrainingConfig(num_steps=100, warmup_steps=1),
        stacking=StackingConfig((1,), (40,)),
    )
    run = run_folder.create(str(folder / "run"), config, str(vocabulary))
    save_pretrainer(config, run / run_folder.LAST, seed=0)
    return run


def save_pretrainer(config, folder, seed, num_layers=None):
    """A checkpoint of a random model none of whose weights are alike."""
    model = MaskedLanguageModel.of_experiment(config, num_layers)
    generator = tf.random.Generator.from_seed(seed)
    for part in (model.encoder, model.head):
        for variable in part.variables:
            if len(variable.shape) == 1 or "bias" in variable.name:
                variable.assign_add(0.3 * generator.normal(variable.shape))
            elif "cls/" in variable.name:
                variable.assign(0.3 * generator.normal(variable.shape))
    checkpoint = tf.train.Checkpoint(**model.checkpoint_items)
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(100)


@pytest.fixture
def spoiled():
    """From a JSON value to its copies, each with another value somewhere."""

    def copies(value):
        for place in places(value):
            for new in (None, True, -1, 0.5, 10**30, "\0", [], {}, [[{}]]):
                yield changed_at(value, place, new)

    return copies


def places(value, place=()):
    """Every place in a JSON value."""
    yield place
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*place, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield from places(value[number], (*place, number))


def changed_at(value, place, new):
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = changed_at(value[place[0]], place[1:], new)
    return copy
