"""Counts what a tokenizer makes of texts: pieces, words, [UNK].

A word is what the tokenizer splits off: each has one first piece, which is
[UNK] or does not begin with "##". So words are counted by their first pieces,
and the share of [UNK] is the share of words that became [UNK].
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tqdm

from labse.files.chunks import chunked
from labse.preprocessing import normalizer
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SUFFIX_PREFIX

_BATCH_TEXTS = 8192
_BATCH_BYTES = 2**24
# Words with [UNK] that are remembered, so that none is read often.
_MAX_REMEMBERED_WORDS = 2**18


@dataclasses.dataclass
class Figures:
    """What a tokenizer makes of the texts of a language.

    Attributes:
      texts: how many.
      words: of the tokenizer.
      unknown_words: of these are [UNK].
      pieces: an [UNK] is one; [CLS] and [SEP] are none.
      characters: of the words; a word that is too long counts as one.
    """

    texts: int = 0
    words: int = 0
    unknown_words: int = 0
    pieces: int = 0
    characters: int = 0

    @property
    def unknown_rate(self) -> float:
        """The share of words that are [UNK]; 0 where there is no word."""
        return self.unknown_words / max(1, self.words)

    @property
    def pieces_per_word(self) -> float:
        """Pieces per word; 0 where there is no word."""
        return self.pieces / max(1, self.words)

    @property
    def pieces_per_character(self) -> float:
        """Pieces per character: what a word is depends on the script."""
        return self.pieces / max(1, self.characters)


class PieceCounter:
    """Counts the pieces that a tokenizer gives, in memory of a fixed size.

    Attributes:
      tokenizer: whose pieces.
      counts: int64 [vocab_size], how often each piece was given.
      languages: the figures of each language.
      unknown: takes note of words that became [UNK], or None.
    """

    def __init__(
        self,
        tokenizer: WordPieceTokenizer,
        unknown: "UnknownWords | None" = None,
    ):
        self.tokenizer = tokenizer
        self.unknown = unknown
        pieces = tokenizer.vocabulary.pieces
        self.counts = np.zeros(len(pieces), np.int64)
        self.languages = collections.defaultdict(Figures)
        self._is_first = np.array(
            [not piece.startswith(SUFFIX_PREFIX) for piece in pieces]
        )

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        def tokenize(texts):
            pieces = tokenizer.tokenize(texts)
            letters = tf.strings.regex_replace(
                tokenizer.normalize(texts), " ", ""
            )
            characters = tf.strings.length(letters, "UTF8_CHAR")
            return pieces.values, pieces.row_splits, characters

        self._tokenize = tokenize

    def add(self, languages: Sequence[str], texts: Sequence[bytes]) -> None:
        """Counts texts, each in valid UTF-8 and with its language."""
        values, row_splits, characters = (
            tensor.numpy() for tensor in self._tokenize(tf.constant(texts))
        )
        self.counts += np.bincount(values, minlength=len(self.counts))
        is_unknown = values == self.tokenizer.vocabulary.unk_id
        unknown = _row_sums(is_unknown, row_splits)
        rows = np.stack(
            [
                np.ones_like(unknown),
                _row_sums(self._is_first[values], row_splits),
                unknown,
                np.diff(row_splits),
                characters,
            ]
        )  # [5, texts]
        names, places = np.unique(languages, return_inverse=True)
        for place, name in enumerate(names.tolist()):
            more = Figures(*rows[:, places == place].sum(axis=1).tolist())
            self.languages[name] = _sum([self.languages[name], more])
        if self.unknown is not None:
            self.unknown.add([texts[row] for row in np.flatnonzero(unknown)])

    def total(self) -> Figures:
        """The figures of all languages together."""
        return _sum(self.languages.values())


class UnknownWords:
    """Reads the words of texts that have [UNK] in them.

    A word is [UNK] when its reading, piece by piece, comes to where no piece
    fits. The tokenizer does not tell which pieces it had read until then.

    Attributes:
      ids: of the pieces with which words that are [UNK] begin.
      characters: those of all words of these texts.
    """

    def __init__(self, tokenizer: WordPieceTokenizer):
        self.ids = set()
        self.characters = set()
        pieces = tokenizer.vocabulary.pieces
        self._max_bytes = tokenizer.max_bytes_per_word
        self._piece_ids = {piece: index for index, piece in enumerate(pieces)}
        self._back = _standing_for(tokenizer)
        self._seen = set()

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        def split(texts):
            words = normalizer.split_words(tokenizer.normalize(texts))
            return tf.unique(words.values)[0]

        self._split = split

    def add(self, texts: Sequence[bytes]) -> None:
        """Reads texts that have [UNK] in them."""
        if not texts:
            return
        for word in self._split(tf.constant(texts)).numpy().tolist():
            if word in self._seen:
                continue
            if len(self._seen) >= _MAX_REMEMBERED_WORDS:
                self._seen.clear()
            self._seen.add(word)
            letters = word.decode("utf-8", "ignore").translate(self._back)
            self.characters.update(letters)
            # A longer one is [UNK] whatever the vocabulary is.
            if len(word) <= self._max_bytes:
                ids, complete = read_word(letters, self._piece_ids)
                self.ids.update(() if complete else ids)


def read_word(
    word: str, ids: Mapping[str, int], inside: bool = False
) -> tuple[list[int], bool]:
    """Reads a word as WordPiece does: the longest piece first, from the left.

    Args:
      word: as it stands in pieces, without "##".
      ids: from a piece to its id.
      inside: whether the word goes on another one: its first piece begins
        with "##" too.

    Returns:
      the ids, and whether they reach the end; where they do not, the word is
      [UNK].
    """
    found, start = [], 0
    while start < len(word):
        prefix = SUFFIX_PREFIX if start or inside else ""
        for end in range(len(word), start, -1):
            piece = ids.get(prefix + word[start:end])
            if piece is not None:
                break
        else:
            return found, False
        found.append(piece)
        start = end
    return found, True


def count(
    counters: Sequence[PieceCounter],
    texts: Iterable[tuple[str, bytes]],
    what: str,
) -> None:
    """Gives the same texts to each counter, with a bar.

    Args:
      counters: what counts.
      texts: (language, text in valid UTF-8).
      what: what is done, for the bar.
    """
    with tqdm.tqdm(desc=what, unit=" texts", unit_scale=True) as bar:
        for chunk in chunked(
            texts, lambda item: len(item[1]), _BATCH_TEXTS, _BATCH_BYTES
        ):
            languages, batch = map(list, zip(*chunk, strict=True))
            for counter in counters:
                counter.add(languages, batch)
            bar.update(len(batch))


def _sum(figures: Iterable[Figures]) -> Figures:
    rows = [dataclasses.astuple(row) for row in figures]
    return Figures(*map(sum, zip(*rows, strict=True)))


def _row_sums(values: np.ndarray, row_splits: np.ndarray) -> np.ndarray:
    """The sums of the rows of a ragged array; rows may be empty."""
    sums = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return sums[row_splits[1:]] - sums[row_splits[:-1]]


def _standing_for(tokenizer: WordPieceTokenizer) -> dict[int, str]:
    """From characters of normalised texts to those of pieces they stand for.

    A tokenizer may put a character that no piece has in the place of one that
    its WordPiece model would take for a separator.
    """
    letters = sorted(set().union(*tokenizer.vocabulary.pieces))
    known = set(letters)
    found = {}
    normalized = tokenizer.normalize(tf.constant(letters)).numpy().tolist()
    for letter, changed in zip(letters, normalized, strict=True):
        changed = changed.decode("utf-8", "ignore")
        if len(changed) == 1 and changed not in known:
            found[ord(changed)] = letter
    return found
