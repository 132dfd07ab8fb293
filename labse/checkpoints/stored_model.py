"""A model as it lies on disk, whatever the format: known, not yet read."""

import dataclasses
import os
import pathlib

import numpy as np

from labse.checkpoints.vocabulary.vocab_txt import read_vocabulary
from labse.checkpoints.weights import WORD_EMBEDDINGS, Weight, Zeros
from labse.configs import loading
from labse.configs.schema import (
    MAX_BYTES_PER_WORD,
    EncoderConfig,
    ExperimentConfig,
)
from labse.errors import InputError
from labse.formats import model_file
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.preprocessing.packing import checked_max_length
from labse.preprocessing.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """What the user says about a model; None: nothing.

    Formats differ in what they record. Where one does not record something,
    the user has to say it. What it does record may be changed where that is a
    choice, not where the weights would be wrong with it (casing).

    Attributes:
      vocabulary: path of a vocab.txt, where the model has none with it.
      pooling: one of `schema.POOLINGS`.
      activation: one of `schema.ACTIVATIONS`.
      max_length: most tokens of a sentence, [CLS] and [SEP] included.
      lower_case: whether the vocabulary is uncased.
      ids: whose tokenizer's ids: "hugging_face" or "tensorflow_hub".
      fallback: what holds where neither the files nor their format say
        anything.
    """

    vocabulary: str | None = None
    pooling: str | None = None
    activation: str | None = None
    max_length: int | None = None
    lower_case: bool | None = None
    ids: str | None = None
    fallback: ExperimentConfig | None = None

    def __str__(self) -> str:
        """The options that are set, for a message."""
        values = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not None
        ]
        return ", ".join(values) or "nothing"


@dataclasses.dataclass(frozen=True)
class StoredModel:
    """A model whose files are known to be complete and to fit together.

    Attributes:
      kind: what it is, in words, e.g. "Hugging Face folder".
      path: where.
      config: everything about the encoder and the tokenizer.
      recorded: what its files say, as `section.key` of the configuration.
      vocabulary: as long as the table of word embeddings.
      weights: every weight of the encoder by the names of `weights.py`.
      files: the files that it was read from.
      notes: what a user should know: what was left out, chosen or differs.
    """

    kind: str
    path: str
    config: ExperimentConfig
    recorded: dict[str, object]
    vocabulary: Vocabulary
    weights: dict[str, Weight]
    files: tuple[pathlib.Path, ...]
    notes: tuple[str, ...] = ()


# What a user may change although the model's files say something else.
_CHOICES = ("encoder.pooling", "tokenizer.max_length", "tokenizer.ids")


def resolve_config(
    recorded: dict[str, object],
    options: ModelOptions,
    assumed: dict[str, object],
    origin: str,
    base: ExperimentConfig | None = None,
) -> tuple[ExperimentConfig, tuple[str, ...]]:
    """The configuration of a model on disk.

    Args:
      recorded: what the model's files say, as `section.key`.
      options: what the user says.
      assumed: what holds where nobody says anything.
      origin: the model, for messages.
      base: has the sections that are not about the model; the defaults.

    Returns:
      the configuration, and a note for each value that was chosen or assumed.

    Raises:
      InputError: nobody says something that is needed, or the user says what
        the files contradict.
    """
    values, notes = dict(recorded), []
    for key, said in _option_values(options).items():
        known = recorded.get(key)
        if said is None or said == known:
            continue
        if known is not None and key not in _CHOICES:
            raise InputError(
                f"{origin} records {key} {known}. Received: {said}. Leave it "
                "out."
            )
        values[key] = said
        notes.append(
            f"{key}: {said}, as asked"
            + (f"; recorded is {known}" if known is not None else "")
        )
    for key, value in assumed.items():
        if key not in values:
            values[key] = value
            notes.append(f"{key}: {value}, as nothing records another")
    if options.fallback is not None:
        for key, value in config_values(options.fallback).items():
            if key in _option_values(options) and key not in values:
                values[key] = value
                notes.append(f"{key}: {value}, as configured")
    if values.get("tokenizer.ids") != recorded.get("tokenizer.ids"):
        # The longest word is part of whose ids they are.
        values["tokenizer.max_bytes_per_word"] = MAX_BYTES_PER_WORD[
            values["tokenizer.ids"]
        ]
    if options.max_length is not None:
        values["tokenizer.max_length"] = checked_max_length(
            options.max_length,
            values.get("encoder.max_positions", EncoderConfig.max_positions),
        )
    missing = [key for key in _option_values(options) if key not in values]
    if missing:
        names = [key.partition(".")[2] for key in missing]
        raise InputError(
            f"{origin} does not record its {' and '.join(names)}. State it, "
            f"as in labse.load(path, {names[0]}=...) or labse convert "
            f"--{names[0]}=... ({_HINTS[missing[0]]})."
        )
    config = loading.from_dict(_sections(values))
    if base is not None:
        config = base.with_model(config.encoder, config.tokenizer)
    return config, tuple(notes)


_HINTS = {
    "encoder.pooling": "cls_tanh: BERT's pooler over [CLS], as the published "
    "LaBSE has it; cls: [CLS] itself; mean: the mean over the pieces",
    "encoder.activation": "gelu: the exact one of Hugging Face; gelu_tanh: "
    "Google's approximation",
    "tokenizer.max_length": "most tokens of a sentence",
    "tokenizer.lower_case": "true for an uncased vocabulary",
    "tokenizer.ids": "hugging_face or tensorflow_hub",
}


def _option_values(options: ModelOptions) -> dict[str, object]:
    return {
        "encoder.pooling": options.pooling,
        "encoder.activation": options.activation,
        "tokenizer.max_length": options.max_length,
        "tokenizer.lower_case": options.lower_case,
        "tokenizer.ids": options.ids,
    }


def _sections(values: dict[str, object]) -> dict[str, dict]:
    sections = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return sections


def config_values(config: ExperimentConfig) -> dict[str, object]:
    """A whole configuration's encoder and tokenizer as `section.key`."""
    return {
        f"{section}.{key}": value
        for section in ("encoder", "tokenizer")
        for key, value in dataclasses.asdict(getattr(config, section)).items()
    }


def choose_vocabulary(
    own: Vocabulary | None, options: ModelOptions, origin: str
) -> Vocabulary:
    """The vocabulary of a model, which the user may have to name.

    Raises:
      InputError: there is none, or the user names another than the model's.
    """
    if options.vocabulary is None:
        if own is None:
            raise InputError(
                f"{origin} comes without a vocabulary. State the path of its "
                "vocab.txt."
            )
        return own
    said = read_vocabulary(options.vocabulary)
    if own is not None and own.pieces != said.pieces:
        raise InputError(
            f"{origin} has its own vocabulary of {len(own):,} pieces, and "
            f"{options.vocabulary} is another, of {len(said):,}: the rows of "
            "its embeddings belong to other pieces. Use the model's own: the "
            "vocab.txt of its folder, or of what labse convert makes of it."
        )
    return said


# A table is rounded up to a multiple of a power of two, of at most so much.
_MOST_PADDING = 1024
_LEAST_MULTIPLE = 8


def check_vocabulary(
    vocabulary: Vocabulary, rows: int, path: str | pathlib.Path
) -> None:
    """Raises `InputError` where the table has another number of rows.

    Args:
      vocabulary: of the model.
      rows: of its table of word embeddings.
      path: of the vocabulary's file, for the message.
    """
    if len(vocabulary) != rows:
        raise InputError(
            f"{path}: the vocabulary and the table of word embeddings must be "
            f"equally long. Received {len(vocabulary):,} pieces and {rows:,} "
            "rows. Is this the model's own vocabulary, and is the file whole? "
            f"{model_file.refetch_hint(path)}".rstrip()
        )


def fit_table(
    vocabulary: Vocabulary, rows: int, path: str | pathlib.Path
) -> tuple[str, ...]:
    """Checks a foreign model's table, which may be padded; returns notes.

    No id reaches rows beyond the vocabulary, so they are left out. But a
    vocabulary that was cut off is short of its table, too: so tokenizer.json,
    which is known to be whole, may be somewhat shorter, and vocab.txt where
    it has its end and the number of rows was rounded up.

    Raises:
      InputError: vocabulary and table do not belong together.
    """
    padding = rows - len(vocabulary)
    if not 0 < padding < _MOST_PADDING or not _is_padding(rows, padding, path):
        check_vocabulary(vocabulary, rows, path)
        return ()
    return (
        f"left out: the last {padding} of {rows:,} rows of word embeddings, "
        "which are beyond the vocabulary, so that no id reaches them",
    )


def _is_padding(rows: int, padding: int, path: str | pathlib.Path) -> bool:
    if pathlib.Path(path).suffix == ".json":
        return True
    with model_file.open_binary(path) as file:
        file.seek(-1, os.SEEK_END)
        is_whole = file.read() == b"\n"
    multiple = rows & -rows  # The largest power of two that divides it.
    return is_whole and padding < multiple and multiple >= _LEAST_MULTIPLE


def stored_type_notes(weights: dict[str, Weight | Zeros]) -> list[str]:
    """A note, if weights are stored in another type than float32."""
    names = {
        weight.stored.dtype.name
        for weight in weights.values()
        if not isinstance(weight, Zeros)
    } - {"float32"}
    if not names:
        return []
    return [
        f"weights are stored as {' and '.join(sorted(names))} and read as "
        "float32"
    ]


def load_encoder(
    model: StoredModel, compute_dtype: str = "float32", word_table: bool = True
) -> SentenceEncoder:
    """The encoder with the model's weights.

    Args:
      model: the stored model.
      compute_dtype: "float32" or "mixed_bfloat16".
      word_table: whether to make the table of word embeddings. Without it
        the encoder has to be given `input_word_embeddings`.
    """
    encoder = SentenceEncoder(model.config.encoder, compute_dtype)
    encoder.build(word_table=word_table)
    assign_weights(encoder, model, in_blocks=True)
    return encoder


def assign_weights(
    encoder: SentenceEncoder, model: StoredModel, in_blocks: bool = False
) -> None:
    """Gives a built encoder the model's weights.

    Args:
      encoder: of the model's shapes.
      model: the stored model.
      in_blocks: whether the table is copied a block of rows at a time. Not
        under a strategy: TensorFlow gives a part of a variable to the first
        replica only.
    """
    for variable in encoder.variables:
        name = variable.name.removesuffix(":0")
        # Inside of another model the name has that model's as a prefix.
        weight = next(
            (
                model.weights[name[start:]]
                for start in _name_starts(name)
                if name[start:] in model.weights
            ),
            None,
        )
        if weight is None or tuple(variable.shape) != weight.shape:
            raise ValueError(f"{name} {variable.shape} has no weight.")
        if in_blocks and name.endswith(WORD_EMBEDDINGS):
            _assign_rows(variable, weight)
        else:
            variable.assign(weight.read())


def _name_starts(name: str) -> list[int]:
    return [0] + [i + 1 for i, letter in enumerate(name) if letter == "/"]


def _assign_rows(variable, weight: Weight) -> None:
    start = 0
    for block in weight.row_blocks():
        variable[start : start + len(block)].assign(block)
        start += len(block)


def map_word_table(model: StoredModel) -> np.ndarray:
    """The table of word embeddings, read-only, left on the disk.

    Returns:
      [vocab_size, hidden_size] in the stored floating-point type.
    """
    return model.weights[WORD_EMBEDDINGS].map()
