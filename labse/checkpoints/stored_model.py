"""A model on disk, whatever its format: described, its weights not yet read."""

import dataclasses
import os
import pathlib

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
    """What the user says about a model; None where nothing.

    Formats differ in what they record. The user has to say what is not
    recorded, and may change what is where that is a choice, but not where the
    weights would no longer fit (casing).

    Attributes:
      vocabulary: path of a vocab.txt, where the model comes without one.
      pooling: one of `schema.POOLINGS`.
      activation: one of `schema.ACTIVATIONS`.
      max_length: maximum tokens of a sentence, with [CLS] and [SEP].
      lower_case: whether the vocabulary is uncased.
      ids: whose tokenizer's ids: "hugging_face" or "tensorflow_hub".
      fallback: used where neither the files nor their format say anything.
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
      kind: of model, in words, e.g. "run folder".
      path: where it is.
      config: everything about the encoder and the tokenizer.
      recorded: what its files say, as `section.key` of the configuration.
      vocabulary: a piece for each row of the table of word embeddings.
      weights: every weight of the encoder by the names of `weights.py`.
      files: it was read from.
      notes: for the user: what was left out, chosen or differs.
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
      assumed: defaults of the format, for what neither says.
      base: has the sections that are not about the model; the defaults.

    Returns:
      the configuration, and a note for each value that was chosen or assumed.

    Raises:
      InputError: nobody says something that is needed, or the user says what
        the files contradict.
    """
    values, notes = _with_choices(recorded, options, origin)
    configured = {}
    if options.fallback is not None:
        configured = config_values(options.fallback)
        configured = {key: configured[key] for key in _option_values(options)}
    for defaults, reason in (
        (assumed, "as nothing records another"),
        (configured, "as configured"),
    ):
        for key, value in defaults.items():
            if key not in values:
                values[key] = value
                notes.append(f"{key}: {value}, {reason}")
    missing = [key for key in _option_values(options) if key not in values]
    if missing:
        names = [key.partition(".")[2] for key in missing]
        raise InputError(
            f"{origin} does not record its {' and '.join(names)}. State it, "
            f"as in labse.load(path, {names[0]}=...) or labse convert "
            f"--{names[0]}=... ({_HINTS[missing[0]]})."
        )
    if values["tokenizer.ids"] != recorded.get("tokenizer.ids"):
        # The limit of a word's length belongs to the tokenizer of the ids.
        values["tokenizer.max_bytes_per_word"] = MAX_BYTES_PER_WORD[
            values["tokenizer.ids"]
        ]
    if options.max_length is not None:
        values["tokenizer.max_length"] = checked_max_length(
            options.max_length,
            values.get("encoder.max_positions", EncoderConfig.max_positions),
        )
    config = loading.from_dict(_sections(values))
    if base is not None:
        config = base.with_model(config.encoder, config.tokenizer)
    return config, tuple(notes)


def _with_choices(
    recorded: dict[str, object], options: ModelOptions, origin: str
) -> tuple[dict[str, object], list[str]]:
    """The recorded values with the user's in their place, and notes."""
    values, notes = dict(recorded), []
    for key, chosen in _option_values(options).items():
        known = recorded.get(key)
        if chosen is None or chosen == known:
            continue
        if known is not None and key not in _CHOICES:
            raise InputError(
                f"{origin} records {key} {known}. Received: {chosen}. Leave "
                "it out."
            )
        values[key] = chosen
        instead = "" if known is None else f"; recorded is {known}"
        notes.append(f"{key}: {chosen}, as requested{instead}")
    return values, notes


_HINTS = {
    "encoder.pooling": "cls_tanh: BERT's pooler over [CLS], as the published "
    "LaBSE has it; cls: [CLS] itself; mean: the mean over the pieces",
    "encoder.activation": "gelu: the exact one of Hugging Face; gelu_tanh: "
    "Google's approximation",
    "tokenizer.max_length": "maximum tokens of a sentence",
    "tokenizer.lower_case": "true for an uncased vocabulary",
    "tokenizer.ids": "hugging_face or tensorflow_hub",
}


def _option_values(options: ModelOptions) -> dict[str, object]:
    return {key: getattr(options, key.partition(".")[2]) for key in _HINTS}


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
    """The model's own vocabulary, or, where it has none, the user's.

    Raises:
      InputError: there is none, or the user names a different one.
    """
    if options.vocabulary is None:
        if own is None:
            raise InputError(
                f"{origin} comes without a vocabulary. State the path of its "
                "vocab.txt."
            )
        return own
    chosen = read_vocabulary(options.vocabulary)
    if own is not None and own.pieces != chosen.pieces:
        raise InputError(
            f"{origin} has its own vocabulary of {len(own):,} pieces, and "
            f"{options.vocabulary} is another, of {len(chosen):,}: the rows of "
            "its embeddings belong to other pieces. Use the model's own: the "
            "vocab.txt of its folder, or of what labse convert makes of it."
        )
    return chosen


# Tables are rounded up to a multiple of a power of two, at most this one.
_MOST_PADDING = 1024
_LEAST_MULTIPLE = 8


def check_vocabulary(
    vocabulary: Vocabulary, rows: int, path: str | pathlib.Path
) -> None:
    """Raises `InputError` where the table has another number of rows."""
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
    """Checks another project's table, which may be padded; returns notes.

    No id reaches rows beyond the vocabulary, so they are left out. But a
    truncated vocabulary is shorter than its table, too. So it may be shorter
    only if it is a tokenizer.json, which cannot be truncated unnoticed, or if
    vocab.txt ends with a line end and the number of rows was rounded up.

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
    """A note if weights are stored in another type than float32."""
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

    Without `word_table` it has no table of word embeddings, and needs
    `input_word_embeddings`.
    """
    encoder = SentenceEncoder(model.config.encoder, compute_dtype)
    encoder.build(word_table=word_table)
    assign_weights(encoder, model, in_blocks=True)
    return encoder


def assign_weights(
    encoder: SentenceEncoder, model: StoredModel, in_blocks: bool = False
) -> None:
    """Gives a built encoder the model's weights.

    `in_blocks` copies the table a block of rows at a time. That is not possible
    under a strategy, where TensorFlow assigns a part of a variable on the first
    replica only.
    """
    for variable in encoder.variables:
        name = variable.name.removesuffix(":0")
        parts = name.split("/")
        # Inside another model the name has that model's as a prefix.
        suffixes = ("/".join(parts[start:]) for start in range(len(parts)))
        weight = next(
            (model.weights[each] for each in suffixes if each in model.weights),
            None,
        )
        if weight is None or tuple(variable.shape) != weight.shape:
            raise ValueError(f"{name} {variable.shape} has no weight.")
        if in_blocks and name.endswith(WORD_EMBEDDINGS):
            _assign_rows(variable, weight)
        else:
            variable.assign(weight.read())


def _assign_rows(variable, weight: Weight) -> None:
    start = 0
    for block in weight.row_blocks():
        variable[start : start + len(block)].assign(block)
        start += len(block)
