"""A model on disk, whatever its format: described, its weights not yet read."""

import dataclasses
import pathlib
from collections.abc import Mapping

from labse.checkpoints import pooler
from labse.checkpoints.head_weights import NO_HEAD, FoundHead
from labse.checkpoints.weights import WORD_EMBEDDINGS, Weight, Zeros
from labse.configs import loading
from labse.configs.loading import Config
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import (
    MAX_BYTES_PER_WORD,
    EncoderConfig,
    ExperimentConfig,
)
from labse.errors import InputError
from labse.modeling.masked_lm import MaskedLMHead
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
      fallback: of a run that starts from the model; used where neither the
        files nor their format say anything. With that of pre-training, the
        model need not say how it pools; with any other it may lack the pooler,
        of which the run makes a new one.
    """

    vocabulary: str | None = None
    pooling: str | None = None
    activation: str | None = None
    max_length: int | None = None
    lower_case: bool | None = None
    ids: str | None = None
    fallback: Config | None = None

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

    It is a sentence encoder where somebody says how it pools, and a pre-trainer
    otherwise, if it has a masked-LM head.

    Attributes:
      kind: of model, in words, e.g. "run folder".
      path: where it is.
      config: everything about the encoder and the tokenizer; of a pre-trainer
        a `PretrainingConfig`, whose `encoder.pooling` means nothing.
      recorded: what its files say, as `section.key` of the configuration.
      vocabulary: a piece for each row of the table of word embeddings.
      weights: every weight of the encoder by the names of `weights.py`; what
        it lacks is `Zeros`.
      files: it was read from.
      notes: for the user: what was left out, chosen or differs.
      head: every weight of its masked-LM head by the names of
        `head_weights.py`, or None; a sentence encoder may have one, too.
    """

    kind: str
    path: str
    config: Config
    recorded: dict[str, object]
    vocabulary: Vocabulary
    weights: dict[str, Weight]
    files: tuple[pathlib.Path, ...]
    notes: tuple[str, ...] = ()
    head: dict[str, Weight] | None = None

    @property
    def is_pretrainer(self) -> bool:
        """Whether it is a pre-trainer, which says nothing about pooling."""
        return isinstance(self.config, PretrainingConfig)

    @property
    def all_weights(self) -> dict[str, Weight]:
        """The encoder's weights, and of a pre-trainer the head's."""
        if self.head is None or not self.is_pretrainer:
            return self.weights
        return self.weights | self.head


_POOLING = "encoder.pooling"
# What a user may change although the model's files say something else.
_CHOICES = (_POOLING, "tokenizer.max_length", "tokenizer.ids")


def resolve_config(
    recorded: dict[str, object],
    options: ModelOptions,
    assumed: dict[str, object],
    origin: str,
    base: Config | None = None,
    head: FoundHead = NO_HEAD,
    has_pooler: bool = True,
) -> tuple[Config, tuple[str, ...]]:
    """The configuration of a model on disk.

    Args:
      recorded: what the model's files say, as `section.key`.
      assumed: defaults of the format, for what neither says.
      base: has the sections that are not about the model; the defaults.
      head: with it, the model need not say how it pools.
      has_pooler: whether the model has a trained one.

    Returns:
      the configuration, a pre-trainer's where nobody says how it pools, and a
      note for each value that was chosen or assumed.

    Raises:
      InputError: nobody says something that is needed, or the user says what
        the files contradict, or a pooling for which the model has no pooler.
    """
    values, notes = _with_choices(recorded, options, origin)
    _add_defaults(values, notes, assumed, "as nothing records another")
    _add_defaults(values, notes, _configured(options), "as configured")
    missing = [key for key in _HINTS if key not in values]
    is_pretrainer = _POOLING in missing and (
        head.weights is not None
        or isinstance(options.fallback, PretrainingConfig)
    )
    if is_pretrainer:
        missing.remove(_POOLING)
    if missing:
        raise _not_recorded(origin, missing, has_pooler, head.problem)
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
    if (
        config.encoder.uses_pooler
        and not (has_pooler or is_pretrainer)
        and options.fallback is None
    ):
        raise pooler.missing(config.encoder.pooling, origin, base)
    return _with_base(config, base, is_pretrainer), tuple(notes)


def _configured(options: ModelOptions) -> dict[str, object]:
    """What the fallback says of what a user can state."""
    if options.fallback is None:
        return {}
    values = config_values(options.fallback)
    return {key: values[key] for key in _HINTS if key in values}


def _add_defaults(
    values: dict, notes: list[str], defaults: dict, reason: str
) -> None:
    for key, value in defaults.items():
        if key not in values:
            values[key] = value
            notes.append(f"{key}: {value}, {reason}")


def _with_base(
    config: ExperimentConfig,
    base: Config | None,
    is_pretrainer: bool,
) -> Config:
    """The encoder and the tokenizer, with the other sections of `base`."""
    if not is_pretrainer:
        if not isinstance(base, ExperimentConfig):
            return config
        return base.with_model(config.encoder, config.tokenizer)
    if not isinstance(base, PretrainingConfig):
        base = PretrainingConfig()
    return dataclasses.replace(
        base, encoder=config.encoder, tokenizer=config.tokenizer
    )


def _not_recorded(
    origin: str, missing: list[str], has_pooler: bool, problem: str = ""
) -> InputError:
    names = [key.partition(".")[2] for key in missing]
    hint = _HINTS[missing[0]]
    if missing[0] == _POOLING and not has_pooler:
        hint = _HINT_WITHOUT_POOLER
    message = (
        f"{origin} does not record its {' and '.join(names)}. State it, "
        f"as in labse.load(path, {names[0]}=...) or labse convert "
        f"--{names[0]}=... ({hint})."
    )
    if problem and _POOLING in missing:
        message += f" As a pre-trainer it needs no pooling, but {problem}."
    return InputError(message)


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


_HINT_WITHOUT_POOLER = "cls: [CLS] itself; mean: the mean over the pieces"
_HINTS = {
    _POOLING: "cls_tanh: BERT's pooler over [CLS], as the published "
    f"LaBSE has it; {_HINT_WITHOUT_POOLER}",
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


def config_values(config: Config) -> dict[str, object]:
    """A whole configuration's encoder and tokenizer as `section.key`.

    Without the pooling of a pre-trainer, which means nothing.
    """
    return {
        f"{section}.{key}": value
        for section in ("encoder", "tokenizer")
        for key, value in dataclasses.asdict(getattr(config, section)).items()
        if f"{section}.{key}" != _POOLING
        or isinstance(config, ExperimentConfig)
    }


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


def head_notes(head: FoundHead, config: Config) -> tuple[str, ...]:
    """A note if a model's head cannot be used, or is of no use to it."""
    if head.problem:
        return (head.problem,)
    if head.weights is None or isinstance(config, PretrainingConfig):
        return ()
    return ("left out of the sentence encoder: its masked-LM head",)


def check_pooling(model: StoredModel) -> None:
    """Raises `InputError` where nobody says how the model pools."""
    if model.is_pretrainer:
        has_pooler = not pooler.is_absent(model.weights)
        raise _not_recorded(model.path, [_POOLING], has_pooler)


def load_encoder(
    model: StoredModel, compute_dtype: str = "float32", word_table: bool = True
) -> SentenceEncoder:
    """The encoder with the model's weights.

    Without `word_table` it has no table of word embeddings, and needs
    `input_word_embeddings`.

    Raises:
      InputError: it is a pre-trainer; see `check_pooling`.
    """
    check_pooling(model)
    encoder = SentenceEncoder(model.config.encoder, compute_dtype)
    encoder.build(word_table=word_table)
    assign_weights(encoder, model, in_blocks=True)
    return encoder


def assign_weights(
    encoder: SentenceEncoder, model: StoredModel, in_blocks: bool = False
) -> None:
    """Gives a built encoder the model's weights.

    What the model lacks, such as a pooler, stays as it is: random, where it is
    to be trained.

    `in_blocks` copies the table a block of rows at a time. That is not possible
    under a strategy, where TensorFlow assigns a part of a variable on the first
    replica only.
    """
    for variable in encoder.variables:
        name, weight = _find_weight(variable, model.weights)
        if isinstance(weight, Zeros):
            continue
        if in_blocks and name.endswith(WORD_EMBEDDINGS):
            _assign_rows(variable, weight)
        else:
            variable.assign(weight.read())


def assign_head(head: MaskedLMHead, model: StoredModel) -> None:
    """Gives a built masked-LM head the weights of the model's, `model.head`.

    The table of word embeddings, which the head shares, is the encoder's and
    stays as it is; see `assign_weights`.
    """
    for variable in head.variables:
        if not variable.name.removesuffix(":0").endswith(WORD_EMBEDDINGS):
            variable.assign(_find_weight(variable, model.head)[1].read())


def _find_weight(variable, weights: Mapping[str, Weight]) -> tuple[str, Weight]:
    """A variable's name, and its weight."""
    name = variable.name.removesuffix(":0")
    parts = name.split("/")
    # Inside another model the name has that model's as a prefix.
    suffixes = ("/".join(parts[start:]) for start in range(len(parts)))
    weight = next((weights[each] for each in suffixes if each in weights), None)
    if weight is None or tuple(variable.shape) != weight.shape:
        raise ValueError(f"{name} {variable.shape} has no weight.")
    return name, weight


def _assign_rows(variable, weight: Weight) -> None:
    start = 0
    for block in weight.row_blocks():
        variable[start : start + len(block)].assign(block)
        start += len(block)
