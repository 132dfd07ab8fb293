"""Writes a model as a run folder, a block of rows at a time.

RUN/config.yaml, RUN/vocab.txt     as in every run folder
RUN/checkpoints/best/step-0.*      the encoder, and a pre-trainer's head
RUN/source.json                    what it was made from
"""

import json
import pathlib
import tempfile
from collections.abc import Mapping

import tensorflow as tf

from labse.checkpoints import run_folder
from labse.checkpoints.stored_model import StoredModel
from labse.checkpoints.vocabulary.vocab_txt import write_vocabulary
from labse.configs import loading
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
)
from labse.files.atomic_write import atomic_folder
from labse.formats import tensor_bundle
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

_CHECKPOINT = "step-0"


def write_run(
    out: str,
    config: Config,
    vocabulary: Vocabulary,
    weights: Mapping,
    records: dict[str, dict],
) -> None:
    """Writes a run folder atomically.

    Args:
      out: the new folder.
      config: of the run; its encoder has the weights' shapes. That of a
        pre-trainer makes it a run of pre-training.
      vocabulary: a piece for each row of the table of word embeddings.
      weights: by the names of `weights.py`, and for a pre-trainer those of
        `head_weights.py`, objects with `shape` and `row_blocks()`.
      records: JSON files by their names, `source.json` among them.

    Raises:
      InputError: `out` exists and is not empty.
    """
    with atomic_folder(out) as folder:
        write_vocabulary(folder / run_folder.VOCABULARY, vocabulary)
        (folder / run_folder.BEST).mkdir(parents=True)
        _write_checkpoint(folder / run_folder.BEST, config, weights)
        for name, record in records.items():
            text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
            (folder / name).write_text(text, "utf-8")
        config_text = loading.to_yaml(config)
        (folder / run_folder.CONFIG).write_text(config_text, "utf-8")


def source_record(model: StoredModel, *notes: str) -> dict[str, dict]:
    """`source.json`: what a model was made from, and how.

    `trained_by` names the training run and the checkpoint of the weights, also
    through several conversions; None if unknown.
    """
    return {
        run_folder.SOURCE_RECORD: {
            "made_from": model.kind,
            "path": model.path,
            "trained_by": _trained_by(pathlib.Path(model.path)),
            "recorded": model.recorded,
            "notes": [*model.notes, *notes],
        }
    }


def _trained_by(folder: pathlib.Path) -> dict[str, str] | None:
    if not run_folder.is_run_folder(str(folder)):
        return None
    record = folder / run_folder.SOURCE_RECORD
    if record.is_file():
        return json.loads(record.read_text("utf-8")).get("trained_by")
    checkpoint = pathlib.Path(run_folder.best_or_last(folder))
    return {
        "run": str(folder),
        "checkpoint": checkpoint.relative_to(folder).as_posix(),
    }


def _write_checkpoint(
    folder: pathlib.Path,
    config: Config,
    weights: Mapping,
) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        template = _template(config, scratch)
        keys = {
            name: key
            for name, (key, _) in tensor_bundle.read_variables(template).items()
        }
        tensor_bundle.write_checkpoint(
            folder / _CHECKPOINT,
            {keys[name]: weight for name, weight in weights.items()},
            template,
        )
    # What tf.train.latest_checkpoint reads.
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "{_CHECKPOINT}"\n'
        f'all_model_checkpoint_paths: "{_CHECKPOINT}"\n'
    )


def _template(config: Config, folder: str) -> str:
    """A checkpoint of a tiny model with the same number of blocks.

    Nothing else decides the names of the tensors and the graph of objects.
    """
    encoder = EncoderConfig(
        vocab_size=1,
        num_layers=config.encoder.num_layers,
        num_heads=1,
        hidden_size=1,
        intermediate_size=1,
        max_positions=5,  # The least that pre-training allows.
        type_vocab_size=1,
        pooling="mean",  # Allowed for any number of blocks.
    )
    if isinstance(config, ExperimentConfig):
        twin = SentenceEncoder(encoder)
        twin.build()
        items = {"encoder": twin}
    else:
        items = MaskedLanguageModel.of_experiment(
            PretrainingConfig(encoder, TokenizerConfig(max_length=5))
        ).checkpoint_items
    return tf.train.Checkpoint(**items).save(f"{folder}/template")
