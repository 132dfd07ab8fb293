"""Counts the pieces, words and [UNK] that a tokenizer returns for texts.

Words are those of the tokenizer: each has one first piece, which is [UNK] or
does not begin with "##". So words are counted by their first pieces, and the
share of [UNK] is the share of words that became [UNK].
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from labse.files.chunks import chunked
from labse.preprocessing import normalizer
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SUFFIX_PREFIX
from labse.progress import ProgressBar

_BATCH_TEXTS = 8192
_BATCH_BYTES = 2**24
# Words that became [UNK] and are remembered, so that they are read once.
_MAX_REMEMBERED_WORDS = 2**18


@dataclasses.dataclass
class Figures:
    """Counts for the texts of a language.

    Attributes:
      texts: number of texts.
      words: of the tokenizer.
      unknown_words: those that are [UNK].
      pieces: with [UNK], without [CLS] and [SEP].
      characters: of the words; a word that is too long counts as one.
    """

    texts: int = 0
    words: int = 0
    unknown_words: int = 0
    pieces: int = 0
    characters: int = 0

    @property
    def unknown_rate(self) -> float:
        """The share of words that are [UNK]; 0 if there is no word."""
        return self.unknown_words / max(1, self.words)

    @property
    def pieces_per_word(self) -> float:
        """Pieces per word; 0 if there is no word."""
        return self.pieces / max(1, self.words)

    @property
    def pieces_per_character(self) -> float:
        """Pieces per character, since words differ from script to script."""
        return self.pieces / max(1, self.characters)


class PieceCounter:
    """Counts the pieces of a tokenizer, in memory of a fixed size.

    Attributes:
      tokenizer: returns the pieces.
      counts: int64 [vocab_size], how often each piece was returned.
      languages: the figures of each language.
      unknown: collects words that became [UNK], or None.
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
    """Collects the words of texts that contain [UNK].

    A word is [UNK] if its reading, piece by piece, comes to a point where no
    piece fits. The tokenizer does not return the pieces read before.

    Attributes:
      ids: of the pieces read before, in words that are [UNK].
      characters: those of all words of these texts.
    """

    def __init__(self, tokenizer: WordPieceTokenizer):
        self.ids = set()
        self.characters = set()
        pieces = tokenizer.vocabulary.pieces
        self._max_bytes = tokenizer.max_bytes_per_word
        self._piece_ids = {piece: index for index, piece in enumerate(pieces)}
        self._originals = _originals(tokenizer)
        self._seen = set()

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
        def split(texts):
            words = normalizer.split_words(tokenizer.normalize(texts))
            return tf.unique(words.values)[0]

        self._split = split

    def add(self, texts: Sequence[bytes]) -> None:
        """Reads texts that contain [UNK]."""
        if not texts:
            return
        for word in self._split(tf.constant(texts)).numpy().tolist():
            if word in self._seen:
                continue
            if len(self._seen) >= _MAX_REMEMBERED_WORDS:
                self._seen.clear()
            self._seen.add(word)
            letters = word.decode("utf-8", "ignore").translate(self._originals)
            self.characters.update(letters)
            # A longer word is [UNK] with any vocabulary.
            if len(word) <= self._max_bytes:
                ids, complete = read_word(letters, self._piece_ids)
                self.ids.update(() if complete else ids)


def read_word(
    word: str, ids: Mapping[str, int], inside: bool = False
) -> tuple[list[int], bool]:
    """Reads a word as WordPiece does: the longest piece first, from the left.

    Args:
      word: as in pieces, without "##".
      inside: whether the text is the continuation of a word, so that its first
        piece begins with "##" too.

    Returns:
      the ids, and whether they reach the end; if not, the word is [UNK].
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


def count_pieces(
    counters: Sequence[PieceCounter],
    texts: Iterable[tuple[str, bytes]],
    what: str,
) -> None:
    """Adds texts to each counter, with a progress bar.

    A text comes with its language before it and is valid UTF-8.
    """
    with ProgressBar(desc=what, unit=" texts", unit_scale=True) as bar:
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


def _originals(tokenizer: WordPieceTokenizer) -> dict[int, str]:
    """Placeholders in normalised texts -> the characters of pieces.

    A tokenizer may replace a character that its WordPiece model would take for
    a separator by one that no piece has.
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
