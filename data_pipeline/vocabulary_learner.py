"""A WordPiece vocabulary from word counts of many languages.

Feng et al. 2022, section 3.2: a cased vocabulary in which small languages
weigh more than their share of the text (smoothing exponent 0.3).

The pieces themselves come from Hugging Face's trainer, which merges the most
frequent pair of pieces again and again.
"""

import collections
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping

from labse.errors import InputError
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

# The trainer takes texts, not counts: a word is repeated as often as it
# counts. More than this many words only cost time.
_MAX_TRAINING_WORDS = 20_000_000
# With few words, each is repeated so that fractions of smoothed counts tell.
_MAX_REPEAT = 10
_CHUNK = 1000


def smoothing_coefficients(
    words: Mapping[str, int], exponent: float
) -> dict[str, float]:
    """What each word of a language counts after smoothing.

    With p_l the share of language l, its words count
    p_l^S / (sum_k p_k^S * p_l), so that the language's smoothed share is
    p_l^S / sum_k p_k^S, and the total stays. (TensorFlow Text's vocabulary
    tool, which section 3.2 names.)

    Args:
      words: language -> words in all.
      exponent: S; 1 leaves the shares as they are, 0 makes them equal.

    Raises:
      InputError: the exponent is not between 0 and 1.
    """
    if not 0 <= exponent <= 1:
        raise InputError(
            "The smoothing exponent is between 0 (languages count the same) "
            f"and 1 (as they are). Received {exponent}."
        )
    total = sum(words.values())
    shares = {language: n / total for language, n in words.items() if n}
    norm = sum(share**exponent for share in shares.values())
    return {
        language: share**exponent / (norm * share)
        for language, share in shares.items()
    }


def describe_languages(
    counts: Mapping[str, Mapping[str, int]], exponent: float
) -> str:
    """A table: words of each language, its share before and after smoothing."""
    words = {language: sum(c.values()) for language, c in counts.items()}
    coefficients = smoothing_coefficients(words, exponent)
    total = sum(words.values())
    lines = [f"{'language':<12}{'words':>14}{'share':>10}{'smoothed':>10}"]
    for language in sorted(coefficients, key=lambda name: (-words[name], name)):
        share = words[language] / total
        smoothed = share * coefficients[language]
        lines.append(
            f"{language:<12}{words[language]:>14,}{share:>10.3%}{smoothed:>10.3%}"
        )
    return "\n".join(lines)


def learn(
    counts: Mapping[str, Mapping[str, int]],
    vocab_size: int,
    smoothing_exponent: float = 0.3,
    min_count: int = 2,
    unused: int = DEFAULT_UNUSED,
    max_characters: int = DEFAULT_MAX_CHARACTERS,
) -> list[str]:
    """Learns a vocabulary; the same counts give the same one.

    Args:
      counts: language -> word -> count.
      vocab_size: number of pieces, special pieces and characters included.
      smoothing_exponent: see `smoothing_coefficients`.
      min_count: words and characters seen less often, over all languages, do
        not count.
      unused: number of [unused] pieces after [PAD]; 99 puts [UNK] at 100.
      max_characters: most characters to keep, the most frequent (smoothed).

    Returns:
      vocab_size pieces: [PAD], [unused1]..., [UNK], [CLS], [SEP], [MASK], the
      characters by code point, their ## forms, then longer pieces from the
      most useful on. Characters that always stand alone have no ## form.

    Raises:
      InputError: there are no words, the size has no room for the special
        pieces and characters, or the text does not hold as many pieces.
    """
    words = _smoothed_counts(counts, smoothing_exponent, min_count)
    characters = _characters(counts, words, min_count, max_characters)
    kept = set(characters)
    words = {word: n for word, n in words.items() if kept.issuperset(word)}
    fixed = [
        *special_pieces(unused),
        *characters,
        *(SUFFIX_PREFIX + c for c in _inside_words(characters)),
    ]
    if vocab_size <= len(fixed):
        raise InputError(
            f"vocab_size has room for {5 + unused} special pieces, "
            f"{len(characters)} characters and their ## forms: more than "
            f"{len(fixed)}. Received {vocab_size}. Raise it, or raise "
            "min_count, or lower max_characters."
        )
    longer = _train(words, vocab_size, fixed)
    pieces = fixed + longer[: vocab_size - len(fixed)]
    if len(pieces) < vocab_size:
        raise InputError(
            f"The text holds {len(pieces)} different pieces at "
            f"min_count={min_count}. Received vocab_size={vocab_size}. Lower "
            "it or give more text."
        )
    return pieces


def special_pieces(unused: int) -> list[str]:
    """The special pieces in BERT's order."""
    if unused < 0:
        raise InputError(f"unused is at least 0. Received {unused}.")
    names = [f"[unused{number}]" for number in range(1, unused + 1)]
    return [PAD, *names, UNK, CLS, SEP, MASK]


def write(path: str, pieces: Iterable[str]) -> None:
    """Writes a vocab.txt, the whole of it or nothing."""
    folder = os.path.dirname(path) or "."
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(piece.encode() + b"\n" for piece in pieces)
        # mkstemp's file is for its owner alone.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _smoothed_counts(
    counts: Mapping[str, Mapping[str, int]], exponent: float, min_count: int
) -> dict[str, float]:
    """Word -> smoothed count over all languages, sorted by word."""
    raw = collections.Counter()
    smoothed = collections.Counter()
    coefficients = smoothing_coefficients(
        {language: sum(words.values()) for language, words in counts.items()},
        exponent,
    )
    # Sorted: the sum of floats depends on the order.
    for language in sorted(coefficients):
        coefficient = coefficients[language]
        for word, count in counts[language].items():
            raw[word] += count
            smoothed[word] += count * coefficient
    words = {w: smoothed[w] for w in sorted(raw) if raw[w] >= min_count}
    if not words:
        raise InputError(
            f"The text holds a word that is seen min_count={min_count} times. "
            f"Received {len(raw)} different words, all rarer. Give more text "
            "or lower min_count."
        )
    return words


def _characters(
    counts: Mapping[str, Mapping[str, int]],
    words: Mapping[str, float],
    min_count: int,
    max_characters: int,
) -> list[str]:
    """The characters to keep, by code point."""
    raw = collections.Counter()
    for language_words in counts.values():
        for word, count in language_words.items():
            for character in word:
                raw[character] += count
    weight = collections.Counter()
    for word, count in words.items():
        for character in word:
            weight[character] += count
    frequent = sorted(
        (c for c in raw if raw[c] >= min_count),
        key=lambda c: (-weight[c], -raw[c], c),
    )
    return sorted(frequent[:max_characters])


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
    words: Mapping[str, float], vocab_size: int, fixed: list[str]
) -> list[str]:
    """The pieces that are not in `fixed`, most useful first."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=1,
        # The trainer numbers ## forms in the order of a hash table that
        # differs from run to run, and settles ties by number
        # (huggingface/tokenizers issue 1794). Here all have their number
        # before it starts: equal counts give equal pieces.
        special_tokens=fixed,
        limit_alphabet=len(fixed),
        continuing_subword_prefix=SUFFIX_PREFIX,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_repeat(words), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    known = set(fixed)
    return [p for p in sorted(ids, key=ids.__getitem__) if p not in known]


def _repeat(words: Mapping[str, float]) -> Iterator[str]:
    """Texts in which each word stands as often as it counts."""
    scale = min(_MAX_REPEAT, _MAX_TRAINING_WORDS / sum(words.values()))
    for word, count in words.items():
        repeats = round(count * scale)
        while repeats > 0:
            yield f"{word} " * min(repeats, _CHUNK)
            repeats -= _CHUNK
