"""Counts the words of each language.

Words are those of the tokenizer: the same normaliser, the same separators.
"""

import collections
from collections.abc import Callable, Iterable, Mapping

from labse.files.chunks import chunked
from labse.preprocessing.vocabulary import BERT_MAX_CHARACTERS_PER_WORD

# Language -> word in UTF-8 -> count.
Counts = Mapping[str, Mapping[bytes, int]]

# Replaces a word that is [UNK] with any vocabulary.
_UNKNOWN_WORD = "\ue000"

_BATCH_TEXTS = 8192
_BATCH_BYTES = 2**22


class WordCounter:
    """Counts words, and passes them on when they are many.

    Words of more than 100 characters are left out: they are [UNK] with any
    vocabulary.
    """

    def __init__(
        self, take: Callable[[Counts], None], max_words: int | None = None
    ):
        """Takes what gets the counts, whole or in parts.

        Args:
          take: is called by `count` at its end, and whenever there are more
            than `max_words` distinct ones, counted once in each language.
          max_words: a million take about 0.2 GB.
        """
        # Imported here so that `labse build-vocab --help` does not wait for it.
        import tensorflow as tf

        from labse.preprocessing import normalizer

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def split(batch):
            normalized = normalizer.normalize(
                batch, _UNKNOWN_WORD, BERT_MAX_CHARACTERS_PER_WORD
            )
            words = normalizer.split_words(normalized)
            return words.values, words.row_splits

        self._split = split
        self._take = take
        self._max_words = max_words

    def count(self, texts: Iterable[tuple[str, bytes]]) -> None:
        """Counts the words of (language, UTF-8 text).

        Invalid bytes are ignored.
        """
        counts = collections.defaultdict(collections.Counter)
        for chunk in chunked(
            texts, lambda text: len(text[1]), _BATCH_TEXTS, _BATCH_BYTES
        ):
            self._add(chunk, counts)
            found = sum(map(len, counts.values()))
            if self._max_words and found > self._max_words:
                self._take(_readable(counts))
                counts.clear()
        self._take(_readable(counts))

    def _add(self, chunk, counts) -> None:
        chunk.sort(key=lambda text: text[0])
        languages = [language for language, _ in chunk]
        words, splits = self._split([text for _, text in chunk])
        words, splits = words.numpy().tolist(), splits.numpy()
        start = 0
        for language, texts in collections.Counter(languages).items():
            end = start + texts
            counts[language].update(words[splits[start] : splits[end]])
            start = end


def count_words(texts: Iterable[tuple[str, bytes]]) -> Counts:
    """Counts the words of texts, all in memory; see `WordCounter`."""
    found = []
    WordCounter(found.append).count(texts)
    return found[0]


def _readable(counts: Counts) -> Counts:
    """Without words that no vocabulary can read."""
    unknown = _UNKNOWN_WORD.encode()
    return {
        language: {
            word: count for word, count in words.items() if unknown not in word
        }
        for language, words in sorted(counts.items())
    }
