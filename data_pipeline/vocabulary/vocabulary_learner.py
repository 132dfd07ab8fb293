"""A WordPiece vocabulary from word counts of many languages.

Feng et al. 2022, section 3.2: a cased vocabulary in which small languages
weigh more than their share of the text (smoothing exponent 0.3).

The pieces come from Hugging Face's trainer, which repeatedly merges the most
frequent pair of pieces. Its input is words, or in place of rare words the parts
that recur elsewhere (`repeated_parts`); of its pieces, those that are never
used are left out (`absorbed_pieces`).
"""

import collections
from collections.abc import Iterable, Iterator, Mapping

from data_pipeline.vocabulary import absorbed_pieces, repeated_parts
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

# The trainer takes texts, not counts, so a word is repeated by its count. More
# than this many words only cost time.
_MAX_TRAINING_WORDS = 20_000_000
# With few words, each is repeated so that fractions of smoothed counts matter.
_MAX_REPEAT = 10
_CHUNK = 1000
# Put before a part from inside a word. No word has it: the normaliser removes
# private-use characters.
_INSIDE = "\ue000"
# This many times vocab_size are learned, to choose from. In texts of 0.6 and
# 18 million words 8 to 13 % of them were only steps towards longer ones.
_SURPLUS = 1.5


def smoothing_coefficients(
    words: Mapping[str, int], exponent: float
) -> dict[str, float]:
    """The weight of each word of a language after smoothing.

    With p_l the share of language l, its words have the weight
    p_l^S / (sum_k p_k^S * p_l), so that the language's smoothed share is
    p_l^S / sum_k p_k^S, and the total is unchanged. (TensorFlow Text's
    vocabulary tool, which section 3.2 names.)

    Args:
      words: language -> total number of words.
      exponent: S; 1 leaves the shares unchanged, 0 makes them equal.

    Raises:
      InputError: the exponent is not between 0 and 1.
    """
    if not 0 <= exponent <= 1:
        raise InputError(
            "The smoothing exponent is between 0 (all languages have the same "
            f"weight) and 1 (no smoothing). Received {exponent}."
        )
    total = sum(words.values())
    shares = {language: n / total for language, n in words.items() if n}
    norm = sum(share**exponent for share in shares.values())
    return {
        language: share**exponent / (norm * share)
        for language, share in shares.items()
    }


def learn_vocabulary(
    counts: Mapping[str, Mapping[str, int]],
    vocab_size: int,
    smoothing_exponent: float = 0.3,
    min_count: int = 2,
    unused: int = DEFAULT_UNUSED,
    max_characters: int = DEFAULT_MAX_CHARACTERS,
) -> list[str]:
    """Learns a vocabulary; equal counts give equal vocabularies.

    Args:
      counts: language -> word -> count.
      vocab_size: number of pieces, special pieces and characters included.
      smoothing_exponent: see `smoothing_coefficients`.
      min_count: a piece of several characters occurs at least this often
        over all languages, in any words, before smoothing.
      unused: number of [unused] pieces after [PAD]; 99 puts [UNK] at 100.
      max_characters: most characters to keep, the most frequent (smoothed).
        Rare ones are kept too: a word with an unknown one is [UNK].

    Returns:
      vocab_size pieces: [PAD], [unused1]..., [UNK], [CLS], [SEP], [MASK], the
      characters by code point, their ## forms, then longer pieces, the most
      useful first. Characters that are words by themselves have no ## form.

    Raises:
      InputError: there are no words, the size has no room for the special
        pieces and characters, or the text has too few different pieces.
    """
    if min_count < 1:
        raise InputError(f"min_count is at least 1. Received {min_count}.")
    raw, smoothed = _sums(counts, smoothing_exponent)
    characters = _characters(smoothed, max_characters)
    fixed = [
        *special_pieces(unused),
        *characters,
        *(SUFFIX_PREFIX + c for c in _inside_words(characters)),
    ]
    if vocab_size <= len(fixed):
        raise InputError(
            f"vocab_size has room for {5 + unused} special pieces, "
            f"{len(characters)} characters and their ## forms: more than "
            f"{len(fixed)}. Received {vocab_size}. Raise it or lower "
            "max_characters."
        )
    parts = _frequent_parts(raw, smoothed, characters, min_count)
    longer = _train(parts, int(_SURPLUS * vocab_size), fixed)
    pieces = fixed + absorbed_pieces.choose(
        fixed, longer, list(raw), vocab_size - len(fixed)
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


def _sums(
    counts: Mapping[str, Mapping[str, int]], exponent: float
) -> tuple[dict[str, int], dict[str, float]]:
    """Word -> count over all languages, raw and smoothed, both sorted."""
    raw = collections.Counter()
    smoothed = collections.Counter()
    coefficients = smoothing_coefficients(
        {language: sum(words.values()) for language, words in counts.items()},
        exponent,
    )
    # Sorted, because a sum of floats depends on the order.
    for language in sorted(coefficients):
        coefficient = coefficients[language]
        for word, count in counts[language].items():
            raw[word] += count
            smoothed[word] += count * coefficient
    if not raw:
        raise InputError("A vocabulary is learned from words. Received none.")
    words = sorted(raw)
    return {w: raw[w] for w in words}, {w: smoothed[w] for w in words}


def _characters(words: Mapping[str, float], max_characters: int) -> list[str]:
    """The characters to keep, by code point."""
    weight = collections.Counter()
    for word, count in words.items():
        for character in word:
            weight[character] += count
    frequent = sorted(weight, key=lambda c: (-weight[c], c))
    return sorted(frequent[:max_characters])


def _frequent_parts(
    raw: Mapping[str, int],
    smoothed: Mapping[str, float],
    characters: list[str],
    min_count: int,
) -> dict[str, float]:
    """Words and parts of rare words -> smoothed count, sorted.

    Each occurs `min_count` times, and so does every piece of it.
    """
    parts = repeated_parts.cut(raw, characters, min_count)
    weights = collections.Counter()
    for word, count in smoothed.items():
        for part in parts.get(word, (word,)):
            weights[part] += count
    return {part: weights[part] for part in sorted(weights)}


def _inside_words(characters: list[str]) -> list[str]:
    """The characters that do not end a word."""
    import tensorflow as tf

    from labse.preprocessing import normalizer

    words = normalizer.split_words(
        tf.constant([f"a{character}b".encode() for character in characters])
    )
    lengths = words.row_lengths().numpy()
    return [c for c, n in zip(characters, lengths, strict=True) if n == 1]


def _train(
    parts: Mapping[str, float], size: int, fixed: list[str]
) -> list[str]:
    """The pieces that are not in `fixed`, most useful first.

    Args:
      parts: words, and parts of words, with their smoothed counts.
      size: most pieces, `fixed` included.
      fixed: special pieces and characters.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=1,
        # The trainer numbers ## forms in the order of a hash table that
        # differs from run to run, and breaks ties by number
        # (huggingface/tokenizers issue 1794). Here all have their number
        # before it starts: equal counts give equal pieces.
        special_tokens=fixed,
        # No other characters: so it leaves out _INSIDE, and what follows it is
        # not the beginning of a word.
        limit_alphabet=0,
        continuing_subword_prefix=SUFFIX_PREFIX,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_repeat(parts), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    known = set(fixed)
    return [p for p in sorted(ids, key=ids.__getitem__) if p not in known]


def _repeat(parts: Mapping[str, float]) -> Iterator[str]:
    """Texts in which each part is repeated according to its count."""
    total = sum(parts.values())
    scale = min(_MAX_REPEAT, _MAX_TRAINING_WORDS / total) if total else 0
    for part, count in parts.items():
        if part.startswith(SUFFIX_PREFIX):
            part = _INSIDE + part.removeprefix(SUFFIX_PREFIX)
        repeats = round(count * scale)
        while repeats > 0:
            yield f"{part} " * min(repeats, _CHUNK)
            repeats -= _CHUNK
