"""Counts the words of each language.

Words are those of the tokenizer: the same normaliser, the same separators.
"""

import collections
from collections.abc import Iterable

from labse.preprocessing.vocabulary import BERT_MAX_CHARACTERS_PER_WORD

# Replaces a word that is [UNK] with any vocabulary.
_UNKNOWN_WORD = "\ue000"

_BATCH = 8192

# Above this many different words in a language (about 1 GB), the rarest are
# thinned out. Not all of them are dropped: in a script without spaces nearly
# all text is in words that occur once.
MAX_DIFFERENT_WORDS = 10_000_000


def count_words(
    texts: Iterable[tuple[str, bytes]],
) -> dict[str, collections.Counter[str]]:
    """Counts the words of each language.

    Words of more than 100 characters are left out: they are [UNK] with any
    vocabulary.

    Args:
      texts: (language, UTF-8 text); invalid bytes are ignored.

    Returns:
      language -> word -> count.
    """
    # Imported here so that `labse build-vocab --help` does not wait for it.
    import tensorflow as tf

    from labse.preprocessing import normalizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def split(batch):
        normalized = normalizer.normalize(
            batch, _UNKNOWN_WORD, BERT_MAX_CHARACTERS_PER_WORD
        )
        return normalizer.split_words(normalized).values

    counts = collections.defaultdict(collections.Counter)
    waiting = collections.defaultdict(list)

    def add(language):
        words = split(tf.constant(waiting.pop(language))).numpy().tolist()
        counts[language].update(words)
        if len(counts[language]) > MAX_DIFFERENT_WORDS:
            _drop_rare_words(counts[language])

    for language, text in texts:
        waiting[language].append(text)
        if len(waiting[language]) >= _BATCH:
            add(language)
    for language in list(waiting):
        add(language)
    return {language: _decode(counts[language]) for language in sorted(counts)}


def _decode(counts: collections.Counter[bytes]) -> collections.Counter[str]:
    decoded = collections.Counter(
        {word.decode(): count for word, count in counts.items()}
    )
    for word in [word for word in decoded if _UNKNOWN_WORD in word]:
        del decoded[word]
    return decoded


def _drop_rare_words(counts: collections.Counter) -> None:
    """Drops every other one of the rarest until half the room is free."""
    limit = 1
    while len(counts) > MAX_DIFFERENT_WORDS // 2:
        rare = [word for word, count in counts.items() if count <= limit]
        for word in rare[::2]:
            del counts[word]
        limit *= 2
