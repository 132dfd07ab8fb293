"""A tiny run and its export, made once for all tests of `export`."""

import shutil

import pytest
import tensorflow as tf

from export import export_folder, golden
from export.checks.subject import Subject
from labse.checkpoints import run_folder
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
    TrainingConfig,
)
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "bus", "was", "Die", "die", "##er", "##ing", "walk", "##ed"]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """A function that makes a run folder with random weights."""

    def make(
        pooling="cls",
        compute_dtype="float32",
        seed=1,
        tokenizer=None,
        num_layers=2,
    ) -> str:
        folder = tmp_path_factory.mktemp("run")
        vocabulary = folder / "vocab.txt"
        letters = sorted(set("".join(golden.read_sentences()[0])))
        # White space is never a piece.
        letters = [c for c in letters if c.isprintable() and c != " "]
        suffixes = [f"##{letter}" for letter in letters]
        pieces = SPECIAL + WORDS + letters + suffixes
        vocabulary.write_text("\n".join(pieces) + "\n", encoding="utf-8")
        config = ExperimentConfig(
            encoder=EncoderConfig(
                vocab_size=len(Vocabulary.read(vocabulary)),
                num_layers=num_layers,
                num_heads=2,
                hidden_size=16,
                intermediate_size=32,
                max_positions=128,
                pooling=pooling,
                # Large enough for every piece to move the vector.
                initializer_range=0.3,
            ),
            tokenizer=tokenizer or TokenizerConfig(max_length=48),
            training=TrainingConfig(compute_dtype=compute_dtype),
        )
        path = folder / "tiny"
        run_folder.create(str(path), config, str(vocabulary))
        tf.random.set_seed(seed)
        encoder = SentenceEncoder(config.encoder, compute_dtype)
        encoder.build()
        tf.train.CheckpointManager(
            tf.train.Checkpoint(encoder=encoder),
            str(path / run_folder.LAST),
            max_to_keep=1,
        ).save(700)
        return str(path)

    return make


@pytest.fixture(scope="session")
def run(make_run):
    """The path of a run folder."""
    return make_run()


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    """The path of its export; no test changes it."""
    out = tmp_path_factory.mktemp("export") / "tiny"
    return export_folder.export_run(run, str(out))


@pytest.fixture(scope="session")
def subject(exported):
    """The export as checks see it, its models loaded once."""
    return Subject(exported)


@pytest.fixture
def copied(exported, tmp_path):
    """A copy of the export, to be damaged."""
    return shutil.copytree(exported, tmp_path / "copy")
