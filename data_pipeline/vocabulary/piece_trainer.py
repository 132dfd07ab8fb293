"""Pieces by Hugging Face's WordPiece trainer, the same in every run.

It repeatedly merges the most frequent pair of pieces.
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.vocabulary.repeated_parts import Parts
from labse.preprocessing.vocabulary import MAX_PIECE_BYTES, SUFFIX_PREFIX

# The trainer takes texts, not counts, so a word is repeated by its count. More
# than this many words only cost time.
MAX_TRAINING_WORDS = 20_000_000
# With few words, each is repeated so that fractions of smoothed counts matter.
_MAX_REPEAT = 10
_CHUNK = 1000
# Put before a part from inside a word. No word has it: the normaliser removes
# private-use characters.
_INSIDE = "\ue000"


def train(parts: Parts, size: int, fixed: Sequence[str]) -> list[str]:
    """The pieces that are not in `fixed`, most useful first.

    A phrase without spaces can be longer than a vocabulary's pieces are allowed
    to be: it is left out, the pieces that it is made of are not. Words whose smoothed count rounds to nothing at MAX_TRAINING_WORDS in all
    are left out.

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
        special_tokens=list(fixed),
        # No other characters: so it leaves out _INSIDE, and what follows it is
        # not the beginning of a word.
        limit_alphabet=0,
        continuing_subword_prefix=SUFFIX_PREFIX,
        # Elsewhere than in a terminal it writes empty lines.
        show_progress=sys.stdout.isatty() and sys.stderr.isatty(),
    )
    repeats = _repeats(parts.weights)
    tokenizer.train_from_iterator(_texts(parts.texts, repeats), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    known = set(fixed)
    return [
        piece
        for piece in sorted(ids, key=ids.__getitem__)
        if piece not in known and len(piece.encode()) <= MAX_PIECE_BYTES
    ]


def _repeats(weights: np.ndarray) -> np.ndarray:
    """int64 [parts]: how often the trainer gets each part."""
    total = float(weights.sum())
    scale = min(_MAX_REPEAT, MAX_TRAINING_WORDS / total) if total else 0
    return np.rint(weights * scale).astype(np.int64)


def _texts(parts: Sequence[bytes], repeats: np.ndarray) -> Iterator[str]:
    """Texts of about _CHUNK words, in which each part is repeated."""
    inside, prefix = _INSIDE.encode(), SUFFIX_PREFIX.encode()
    waiting, words = [], 0
    for row in np.flatnonzero(repeats).tolist():
        part, left = parts[row], int(repeats[row])
        if part.startswith(prefix):
            part = inside + part.removeprefix(prefix)
        while left:
            some = min(left, _CHUNK)
            waiting.append((part + b" ") * some)
            words, left = words + some, left - some
            if words >= _CHUNK:
                yield b"".join(waiting).decode()
                waiting, words = [], 0
    if waiting:
        yield b"".join(waiting).decode()
