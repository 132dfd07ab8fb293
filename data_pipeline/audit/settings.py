"""What an audit is to find out."""

import dataclasses
import functools

from labse.configs.schema import TokenizerConfig
from labse.files.reading import ReadOptions


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an audit is to find out; it is sent to the workers.

    Attributes:
      is_monolingual: whether rows are texts; both sides of pairs are, then.
      options: what the files do not say by themselves.
      vocab: the vocabulary's file; empty: pieces are not counted.
      tokenizer: the configuration's.
      max_length: longest text in training, with [CLS] and [SEP].
      batch: the global batch size.
      is_identifying: whether the language of texts is identified.
    """

    is_monolingual: bool
    options: ReadOptions
    vocab: str
    tokenizer: TokenizerConfig
    max_length: int
    batch: int
    is_identifying: bool

    def to_json(self) -> dict[str, object]:
        """What the counts depend on."""
        return dataclasses.asdict(self)


@functools.lru_cache(maxsize=1)
def piece_counter(vocab: str, tokenizer: TokenizerConfig):
    """The counter of pieces, loaded once in a process.

    It is a function from texts to three arrays, int [texts]: words, words that
    are [UNK], and pieces.
    """
    import numpy as np
    import tensorflow as tf

    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import SUFFIX_PREFIX, Vocabulary

    vocabulary = Vocabulary.read(vocab)
    word_pieces = WordPieceTokenizer.from_config(vocabulary, tokenizer)
    is_first = np.array(
        [not piece.startswith(SUFFIX_PREFIX) for piece in vocabulary.pieces]
    )
    tokenize = tf.function(
        word_pieces.tokenize,
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )

    def count(texts: list[str]):
        pieces = tokenize(tf.constant([each.encode() for each in texts]))
        ids, splits = pieces.values.numpy(), pieces.row_splits.numpy()
        owners = np.repeat(np.arange(len(texts)), np.diff(splits))

        def number(of) -> np.ndarray:
            return np.bincount(owners[of], minlength=len(texts))

        return (
            number(is_first[ids]),
            number(ids == vocabulary.unk_id),
            np.diff(splits),
        )

    return count
