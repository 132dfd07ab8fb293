"""A WordPiece vocabulary from word counts of many languages.

Feng et al. 2022, section 3.2: a cased vocabulary in which small languages
weigh more than their share of the text (smoothing exponent 0.3).

The pieces come from Hugging Face's trainer (`piece_trainer`). Its input is
words, or in place of rare words the parts that recur elsewhere
(`repeated_parts`); of its pieces, those that are never used are left out
(`absorbed_pieces`).
"""

from collections.abc import Iterable, Sequence

from absl import logging

from data_pipeline.vocabulary import (
    absorbed_pieces,
    characters,
    piece_trainer,
    repeated_parts,
)
from data_pipeline.vocabulary.word_table import WordTable
from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.preprocessing.vocabulary import (
    CLS,
    MASK,
    PAD,
    SEP,
    SUFFIX_PREFIX,
    UNK,
)

# BERT's files have [PAD] at 0, [unused1] to [unused99], [UNK] at 100.
DEFAULT_UNUSED = 99

# LaBSE's 501,153 pieces hold some 15,000 characters; all that Unicode has
# would leave a vocabulary of 120,000 without room for words.
DEFAULT_MAX_CHARACTERS = 30_000

# This many times vocab_size are learned, to choose from. In texts of 0.6 and
# 18 million words 8 to 13 % of them were only steps towards longer ones.
_SURPLUS = 1.5


def learn_vocabulary(
    table: WordTable,
    vocab_size: int,
    min_count: int = 2,
    unused: int = DEFAULT_UNUSED,
    max_characters: int = DEFAULT_MAX_CHARACTERS,
) -> list[str]:
    """Learns a vocabulary; equal words give equal vocabularies.

    Args:
      table: words with their counts, raw and smoothed.
      vocab_size: number of pieces, special pieces and characters included.
      min_count: a piece of several characters occurs at least this often
        over all languages, in any words, before smoothing.
      unused: number of [unused] pieces after [PAD]; 99 puts [UNK] at 100.
      max_characters: most characters to keep; see
        `characters.choose_characters`.

    Returns:
      vocab_size pieces: [PAD], [unused1]..., [UNK], [CLS], [SEP], [MASK], the
      characters by code point, their ## forms, then longer pieces, the most
      useful first. Characters that are words by themselves have no ## form.

    Raises:
      InputError: the size has no room for the special pieces and characters,
        or the text has too few different pieces.
    """
    if min_count < 1:
        raise InputError(f"min_count is at least 1. Received {min_count}.")
    kept = characters.choose_characters(
        characters.character_weights(table), max_characters
    )
    fixed = [
        *special_pieces(unused),
        *kept,
        *(SUFFIX_PREFIX + c for c in _inside_words(kept)),
    ]
    if vocab_size <= len(fixed):
        raise InputError(
            f"vocab_size has room for {5 + unused} special pieces, "
            f"{len(kept)} characters and their ## forms: more than "
            f"{len(fixed)}. Received {vocab_size}. Raise it or lower "
            "max_characters."
        )
    parts = repeated_parts.cut(table, kept, min_count)
    size = int(_SURPLUS * vocab_size)
    logging.info(
        "Learning up to %s pieces from %s words and parts of words.",
        f"{size:,}",
        f"{len(parts.texts):,}",
    )
    longer = piece_trainer.train(parts, size, fixed)
    del parts
    pieces = fixed + absorbed_pieces.choose(
        fixed, longer, table, vocab_size - len(fixed)
    )
    if len(pieces) < vocab_size:
        raise InputError(
            f"The text has {len(pieces)} different pieces at "
            f"min_count={min_count}. Received vocab_size={vocab_size}. Lower "
            "it or min_count, or provide more text."
        )
    return pieces


def special_pieces(unused: int) -> list[str]:
    """The special pieces in BERT's order."""
    if unused < 0:
        raise InputError(f"unused is at least 0. Received {unused}.")
    names = [f"[unused{number}]" for number in range(1, unused + 1)]
    return [PAD, *names, UNK, CLS, SEP, MASK]


def write_vocabulary(path: str, pieces: Iterable[str]) -> None:
    """Writes a vocab.txt atomically."""
    with atomic_file(path) as file:
        file.writelines(f"{piece}\n" for piece in pieces)


def _inside_words(letters: Sequence[str]) -> list[str]:
    """The characters that do not end a word."""
    import tensorflow as tf

    from labse.preprocessing import normalizer

    words = normalizer.split_words(
        tf.constant([f"a{character}b".encode() for character in letters])
    )
    lengths = words.row_lengths().numpy()
    return [c for c, n in zip(letters, lengths, strict=True) if n == 1]
