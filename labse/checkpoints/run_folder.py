"""A run folder: configuration, vocabulary and checkpoints of one training run.

    RUN/config.yaml          the resolved configuration
    RUN/vocab.txt            the vocabulary
    RUN/checkpoints/last/    everything needed to resume training
    RUN/checkpoints/best/    the encoder with the best validation score

Checkpoints are TensorFlow's object-based ones; both have the encoder under
`encoder`, and in a run of pre-training its masked-LM head under `masked_lm`:
what Model Garden calls `BertPretrainerV2.checkpoint_items`. A run folder may be
remote, such as gs://bucket/run; to be opened, it is copied to a disk, because
weights are mapped into memory.
"""

import dataclasses
import pathlib
import re
import time
from collections.abc import Iterable

import tensorflow as tf

from labse.checkpoints import (
    location,
    remote_run,
    stored_model,
    tensorflow_model,
)
from labse.checkpoints.head_weights import HEAD_NAMES
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.configs import loading
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import FREE_ON_RESUME, ExperimentConfig
from labse.errors import InputError
from labse.files.atomic_write import write_bytes
from labse.files.remote_path import AnyPath, as_path, is_remote
from labse.formats import model_file, tensor_bundle
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.vocabulary import Vocabulary

CONFIG = "config.yaml"
VOCABULARY = "vocab.txt"
RECORDS = "records"  # What training reads.
PAIRS_HASH = "pairs.sha256"
MONOLINGUAL_HASH = "monolingual.sha256"
BILINGUAL_HASH = "bilingual.sha256"
SOURCE_RECORD = "source.json"  # Only where the weights were converted.
LAST = pathlib.Path("checkpoints", "last")
BEST = pathlib.Path("checkpoints", "best")
HISTORY = "history.jsonl"  # Metrics; see `labse.training.history`.
# What a run has before its first checkpoint.
_OURS = {
    *(VOCABULARY, CONFIG, RECORDS, HISTORY, "checkpoints", "logs"),
    *(PAIRS_HASH, MONOLINGUAL_HASH, BILINGUAL_HASH),
}
# Objects of a checkpoint that have the weights. What encoder and head share,
# TensorFlow stores with either.
_WEIGHTS = ("encoder/", "masked_lm/")
_MAX_NOTE_BYTES = 2**20
# What TensorFlow raises for a checkpoint of other variables, or damaged.
UNREADABLE = (AssertionError, ValueError, IndexError, tf.errors.OpError)


def is_run_folder(path: str) -> bool:
    """Whether `path` looks like a run folder."""
    return model_file.exists(as_path(path) / CONFIG)


def create(path: str, config: Config, vocabulary_path: str) -> AnyPath:
    """Creates the folder, or checks that it holds the same run.

    Raises:
      InputError: the folder holds a run with another configuration or
        vocabulary, or something that is not a run.
    """
    folder = as_path(path)
    vocabulary = as_path(vocabulary_path).read_bytes()
    if is_run_folder(path) and tf.train.latest_checkpoint(str(folder / LAST)):
        check_same_run(path, config, vocabulary_path)
        write_bytes(folder / CONFIG, loading.to_yaml(config).encode())
        return folder
    if (folder / SOURCE_RECORD).exists():
        raise InputError(
            f"{folder} holds a converted model, not a run to resume. "
            f"Start from it: init={folder} and another run folder."
        )
    # Left by a run that was killed before its first checkpoint.
    others = [
        entry.name
        for entry in (folder.iterdir() if folder.exists() else ())
        if entry.name not in _OURS and not entry.name.endswith(".tmp")
    ]
    if others:
        raise InputError(
            f"A run needs a new folder, or one to resume. {folder} "
            f"holds no checkpoint, but {', '.join(sorted(others)[:5])}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / VOCABULARY, vocabulary)
    # The configuration comes last: with it the folder is a run.
    write_bytes(folder / CONFIG, loading.to_yaml(config).encode())
    return folder


def wait_for(path: str, seconds: int = 120) -> None:
    """Waits until another process has made the run folder.

    Raises:
      InputError: it does not appear in time.
    """
    for _ in range(seconds * 10):
        if is_run_folder(path):
            return
        time.sleep(0.1)
    raise InputError(
        f"The first worker creates the run folder {path}, which all workers "
        f"must see. It did not appear within {seconds} seconds. Put it on a "
        "file system that they share."
    )


def check_same_run(path: str, config: Config, vocabulary_path: str) -> None:
    """Raises `InputError` where the run folder holds another run."""
    folder = as_path(path)
    vocabulary = as_path(vocabulary_path).read_bytes()
    saved, removed = read_config(folder)
    if type(saved) is not type(config):
        raise InputError(
            f"A run is resumed by the program that began it. {folder} holds "
            f"one of {_program(saved)}, this one is of {_program(config)}. To "
            f"use its encoder, {_start_anew(folder)}"
        )
    if removed:
        raise InputError(
            f"{folder} holds a run of an earlier version, which took the pairs "
            f"in another order ({', '.join(removed)}). Finish it with that "
            f"version, or {_start_anew(folder)}"
        )
    differences = loading.differences(saved, config, FREE_ON_RESUME)
    if differences:
        raise InputError(
            f"{folder} holds a run with another configuration: "
            f"{'; '.join(differences)}. Resume it with the saved values, or "
            f"{_start_anew(folder)}"
        )
    if (folder / VOCABULARY).read_bytes() != vocabulary:
        raise InputError(
            f"{folder} holds a run with another vocabulary. Resume it with "
            f"{folder / VOCABULARY}. For a larger vocabulary, make a model of "
            "it with labse grow-vocab, for a smaller one with labse "
            "prune-vocab, and begin a new run from that, as its init."
        )


def _program(config: Config) -> str:
    is_pretraining = isinstance(config, PretrainingConfig)
    return "labse pretrain" if is_pretraining else "labse train"


def _start_anew(folder: AnyPath) -> str:
    return (
        "begin a new run that starts from its encoder: "
        f"init={folder} and another run folder."
    )


def best_or_last(folder: AnyPath) -> str:
    """The prefix of the checkpoint to use: the best one, else the last.

    Raises:
      InputError: the run has no checkpoint yet.
    """
    for place in (BEST, LAST):
        if model_file.exists(folder / place):
            prefix = _latest(folder / place)
            if prefix:
                return prefix
    raise InputError(f"{folder} has no checkpoint. Train it first.")


def _latest(folder: AnyPath) -> str | None:
    """The prefix of the checkpoint that TensorFlow's `checkpoint` file names.

    `tf.train.latest_checkpoint` ignores such a file if it is damaged or names
    a missing checkpoint: another one would be used.

    Raises:
      InputError: the file is damaged, or missing although there are
        checkpoints.
    """
    note = folder / "checkpoint"
    others = _checkpoints(folder)
    if not model_file.exists(note) and not others:
        return None
    try:
        text = model_file.read_bytes(note, _MAX_NOTE_BYTES).decode(
            errors="replace"
        )
        named = re.search(r'^model_checkpoint_path: "([^"\\]+)"$', text, re.M)
        if not named:
            raise model_file.damaged(note, "is damaged: it names no checkpoint")
        prefix = str(folder / named[1])
        if not model_file.exists(f"{prefix}.index"):
            raise model_file.damaged(
                note, f"names {prefix}.index, which is missing"
            )
    except InputError as error:
        raise InputError(f"{error} {_can_be_named(others)}".rstrip()) from error
    return prefix


def _checkpoints(folder: AnyPath) -> list[str]:
    """The prefixes of the checkpoints in a folder, the newest last."""
    found = [
        str(path).removesuffix(".index")
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.endswith(".index")
    ]
    return sorted(found, key=lambda prefix: (len(prefix), prefix))


def _can_be_named(prefixes: list[str]) -> str:
    if not prefixes:
        return ""
    return (
        "A checkpoint can also be given instead of the run: "
        f"{', '.join(reversed(prefixes[-3:]))}."
    )


def read_config(folder: AnyPath) -> tuple[Config, list[str]]:
    """A run's configuration, and its keys that only earlier versions had.

    Raises:
      InputError: the file is missing or damaged. A truncated one would be
        read with defaults in place of what it lacks.
    """
    path = folder / CONFIG
    model_file.read_head(path)
    try:
        config, removed = loading.load_saved(str(path))
        values = loading.read_values(path)
    except InputError as error:
        raise model_file.damaged(
            path, f"is not the configuration of a run: {str(error).rstrip('.')}"
        ) from error
    for section in ("encoder", "tokenizer"):
        known = dataclasses.asdict(getattr(config, section))
        missing = known.keys() - values.get(section, {}).keys()
        if missing:
            raise model_file.damaged(
                path,
                f"lacks {section}.{', '.join(sorted(missing))}, so it is "
                "truncated, or was not written by labse",
            )
    return config, removed


def local_run(path: str) -> str:
    """The run folder on a disk.

    Of a remote one a copy, without what only training needs, that lasts as long
    as this process.

    Raises:
      InputError: this is not a run, or a remote one has no checkpoint.
    """
    if not is_remote(path):
        path = location.local_path(path)
    if not is_run_folder(path):
        raise InputError(
            f"A run folder holds {CONFIG}. {path} does not. If it is a model "
            "of another kind, such as a Hugging Face folder, make it a run "
            "first, with labse convert."
            + is_remote(path)
            * " Of remote folders, only runs can be opened."
        )
    if not is_remote(path):
        return path
    return remote_run.copy_to_disk(as_path(path), best_or_last(as_path(path)))


def open_run(
    path: str, options: ModelOptions | None = None, prefix: str | None = None
) -> StoredModel:
    """The trained encoder of a run as a model on disk.

    A run of pre-training does not record how it pools.

    `prefix` is that of the checkpoint; by default the best one, else the last.

    Raises:
      InputError: this is not a run, its checkpoint does not fit its
        configuration, or is of an earlier stage of pre-training.
    """
    path = local_run(path)
    folder = pathlib.Path(path)
    saved, _ = read_config(folder)
    prefix = prefix or best_or_last(folder)
    try:
        variables = tensor_bundle.read_variables(prefix)
    except InputError as error:
        others = _checkpoints(folder / BEST) + _checkpoints(folder / LAST)
        others = [each for each in others if each != prefix]
        raise InputError(f"{error} {_can_be_named(others)}".rstrip()) from error
    found = {
        name: tensor
        for name, (key, tensor) in variables.items()
        if key.startswith(_WEIGHTS)
    }
    expected = ()
    if isinstance(saved, PretrainingConfig):
        _check_stage(prefix, found, saved)
        expected = (HEAD_NAMES,)
    return tensorflow_model.stored_tensors_model(
        "run folder",
        path,
        pathlib.Path(prefix),
        found,
        ("name", expected),
        stored_model.config_values(saved),
        {},
        options or ModelOptions(),
        [folder / VOCABULARY],
        saved,
        files=(folder / CONFIG,),
    )


def _check_stage(
    prefix: str, found: Iterable[str], config: PretrainingConfig
) -> None:
    """Raises `InputError` where the checkpoint is not of the last stage."""
    blocks = tensorflow_model.number_of_blocks(found)
    layers = [number for number, _ in config.stages]
    if blocks not in layers[:-1]:
        return
    stage = layers.index(blocks)
    steps = config.stages[stage][1]
    raise InputError(
        f"{prefix} is of stage {stage + 1} of {len(layers)} of its "
        f"pre-training: {blocks} of {layers[-1]} blocks, steps "
        f"{steps.start:,} to {steps.stop:,}. A run can be used from its last "
        "stage on. Resume it first, with labse pretrain."
    )


def load_encoder(
    path: str, compute_dtype: str = "float32"
) -> tuple[SentenceEncoder, ExperimentConfig, Vocabulary]:
    """The trained encoder of a run, with its configuration and vocabulary.

    Raises:
      InputError: see `open_run`.
    """
    model = open_run(path)
    encoder = stored_model.load_encoder(model, compute_dtype)
    return encoder, model.config, model.vocabulary
