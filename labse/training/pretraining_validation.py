"""Masked-LM loss and accuracy on held-out text, by kind and language.

A sample of each language's texts, or pairs, is drawn from the files, always the
same ones, each in a sequence of its own. They are masked once, so that all
validations of all runs with the same files, vocabulary and masking predict the
same tokens.
"""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from labse.configs.pretraining import PretrainingConfig
from labse.data.pretraining_reader import unpacked_batch
from labse.errors import InputError
from labse.features import (
    BILINGUAL,
    MASKED_IDS,
    MASKED_POSITIONS,
    MASKED_WEIGHTS,
    MODEL_INPUTS,
)
from labse.files.pairs import PairFiles
from labse.files.reading import ReadOptions
from labse.files.texts import Texts
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.training.masked_predictions import MaskedPredictions

# Texts, or pairs, that are evaluated: of a language, and of all languages of a
# kind. 4,096 texts of 30 tokens have 25,000 masked ones.
SAMPLE = 256
TOTAL = 4096
MLM, TLM = "mlm", "tlm"
# The masks do not depend on the run's seed: two runs are compared.
_SEED = 0
_LEAST_LENGTH = 32
_MASKED = (MASKED_POSITIONS, MASKED_IDS, MASKED_WEIGHTS)


class _Group(NamedTuple):
    """Sequences of one kind and language."""

    kind: str  # MLM or TLM
    language: str  # or "en-de"
    rows: dict[str, np.ndarray]  # of a batch, see `unpacked_batch`


class _Bucket(NamedTuple):
    """Sequences of about the same length, of all groups.

    `rows` are cut to the bucket's length; `groups`: int [n], of each one.
    """

    rows: dict[str, np.ndarray]
    groups: np.ndarray


class MaskedLMValidation:
    """Evaluates a masked language model on the same tokens each time."""

    def __init__(
        self,
        monolingual: Sequence[str],
        bilingual: Sequence[str],
        tokenizer: WordPieceTokenizer,
        config: PretrainingConfig,
        reading: ReadOptions | None = None,
    ):
        """Reads and masks the samples.

        Args:
          monolingual: files of texts, or globs, for MLM; may be empty.
          bilingual: files of pairs, for TLM; may be empty.
          tokenizer: of the run.
          config: its masking and length.
          reading: what files do not say by themselves.

        Raises:
          InputError: a file breaks a rule, or no token of a language can be
            masked.
        """
        samples = {}
        if monolingual:
            samples[MLM] = _sample(Texts(monolingual, reading))
        if bilingual:
            samples[TLM] = _sample(
                (
                    f"{pair.source_language}-{pair.target_language}",
                    (pair.source.encode(), pair.target.encode()),
                )
                for pair in PairFiles(bilingual, reading)
            )
        self._groups = [
            _Group(kind, language, _masked_rows(texts, tokenizer, config))
            for kind, sample in samples.items()
            for language, texts in sorted(sample.items())
        ]
        for group in self._groups:
            _check_masks(group)
        self._buckets = _buckets(self._groups, config)
        self._predict = None, None

    def evaluate(self, model: MaskedLanguageModel) -> dict:
        """Loss and accuracy of the masked tokens, on all devices in use here.

        Returns:
          `accuracy` and `loss`, the means over all languages of both kinds; and
          under `mlm` and `tlm` those of the kind, and of each of its
          `languages`.
        """
        # Kept for the next validation, so that its graphs are.
        if self._predict[0] is not model:
            self._predict = model, MaskedPredictions(model)
        sums = np.zeros([len(self._groups), 3])
        for bucket in self._buckets:
            loss, correct = self._predict[1](bucket.rows)
            weights = bucket.rows[MASKED_WEIGHTS]
            # What is predicted at unused entries means nothing.
            of_row = [
                np.where(weights > 0, each, 0.0).sum(axis=1)
                for each in (loss, correct, weights)
            ]
            np.add.at(sums, bucket.groups, np.stack(of_row, axis=1))
        figures = sums[:, :2] / sums[:, 2:]
        return self._report(figures)

    def release(self) -> None:
        """Lets go of the last model, so that its memory is free."""
        self._predict = None, None

    def _report(self, figures: np.ndarray) -> dict:
        """From the loss and the accuracy of each group: float [groups, 2]."""
        report = _named(figures.mean(axis=0))
        for kind in dict.fromkeys(group.kind for group in self._groups):
            rows = [
                number
                for number, group in enumerate(self._groups)
                if group.kind == kind
            ]
            report[kind] = {
                **_named(figures[rows].mean(axis=0)),
                "languages": {
                    self._groups[row].language: _named(figures[row])
                    for row in rows
                },
            }
        return report


def _named(figures: np.ndarray) -> dict[str, float]:
    loss, accuracy = map(float, figures)
    return {"accuracy": accuracy, "loss": loss}


def _sample(rows: Iterable[tuple[str, object]]) -> dict[str, list]:
    """Some texts of each language, each equally likely.

    At most `SAMPLE`, by Algorithm R (Vitter 1985); where these are more than
    `TOTAL`, equally many of each language. The random numbers are the same for
    each language, so that its sample does not depend on others' texts.
    """
    found, draws, counts = {}, {}, collections.Counter()
    for language, text in rows:
        sample = found.setdefault(language, [])
        counts[language] += 1
        if len(sample) < SAMPLE:
            sample.append(text)
            continue
        random = draws.setdefault(language, np.random.default_rng(_SEED))
        place = random.integers(counts[language])
        if place < SAMPLE:
            sample[place] = text
    most = max(min(SAMPLE, TOTAL // max(len(found), 1)), 1)
    for language, sample in found.items():
        # The first ones are more likely those of the beginning of the file.
        order = np.random.default_rng(_SEED).permutation(len(sample))
        found[language] = [sample[place] for place in sorted(order[:most])]
    return found


def _masked_rows(
    texts: list, tokenizer: WordPieceTokenizer, config: PretrainingConfig
) -> dict[str, np.ndarray]:
    """The masked sequences of some texts or pairs, as one batch."""
    if isinstance(texts[0], tuple):
        texts = tuple(map(tf.constant, zip(*texts, strict=True)))
        count = len(texts[0])
    else:
        texts, count = tf.constant(texts), len(texts)
    batch = unpacked_batch(
        texts,
        tokenizer,
        config.tokenizer.max_length,
        config.masking,
        _SEED,
        tf.range(count, dtype=tf.int64),
    )
    return {name: values.numpy() for name, values in batch.items()}


def _check_masks(group: _Group) -> None:
    """Raises `InputError` where no token of a language is masked."""
    if group.rows[MASKED_WEIGHTS].any():
        return
    count = len(group.rows[BILINGUAL])
    what = {MLM: "text", TLM: "pair"}[group.kind] + "s" * (count > 1)
    raise InputError(
        "Validation predicts masked tokens of each language. No token of "
        f"{group.language} can be masked: {count} {what} of it, empty or "
        "without a piece of the vocabulary but [UNK]. Give longer ones, take "
        "the language out, or use a vocabulary that has it."
    )


def _buckets(
    groups: Sequence[_Group], config: PretrainingConfig
) -> list[_Bucket]:
    """All groups' sequences by their lengths, powers of two.

    A TPU compiles a program for each shape.
    """
    numbers = np.repeat(
        np.arange(len(groups)), [len(group.rows[BILINGUAL]) for group in groups]
    )
    rows = {
        name: np.concatenate([group.rows[name] for group in groups])
        for name in groups[0].rows
    }
    lengths = rows["input_mask"].sum(axis=1)
    longest, shorter, found = config.tokenizer.max_length, 0, []
    length = min(_LEAST_LENGTH, longest)
    while shorter < longest:
        chosen = (lengths > shorter) & (lengths <= length)
        if chosen.any():
            own = {name: values[chosen] for name, values in rows.items()}
            found.append(_Bucket(_cut(own, length, config), numbers[chosen]))
        shorter, length = length, min(2 * length, longest)
    return found


def _cut(
    rows: dict[str, np.ndarray], length: int, config: PretrainingConfig
) -> dict[str, np.ndarray]:
    """The sequences cut to a length, and their masks to what that can have."""
    masked = int(np.ceil(config.masking.share * length))
    masked = min(max(masked, 1), config.masking.max_masked)
    widths = dict.fromkeys(MODEL_INPUTS, length) | dict.fromkeys(
        _MASKED, masked
    )
    return {
        name: values[:, : widths[name]] if name in widths else values
        for name, values in rows.items()
    }
