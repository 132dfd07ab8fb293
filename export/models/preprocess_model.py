"""The `preprocess` SavedModel: TF Hub's preprocessor API.

A drop-in for universal-sentence-encoder-cmlm/multilingual-preprocess/2, the
preprocessor of google/LaBSE/2.
"""

import tensorflow as tf

from export.models.retracing import relax_shapes
from labse.features import MODEL_INPUTS
from labse.preprocessing import packing
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SUFFIX_PREFIX, Vocabulary

MAX_SEGMENTS = 2  # BERT has two token types.


def build_preprocess_model(
    tokenizer: WordPieceTokenizer, vocabulary_path: str, seq_length: int
) -> tuple[tf.train.Checkpoint, dict]:
    """The object to save, and its signatures.

    Args:
      tokenizer: text to ids.
      vocabulary_path: the file that becomes the asset `vocab_file`.
      seq_length: default length of the rows.

    Returns:
      root: callable with string [n], which returns a dict of int32 [n,
        seq_length]. Has `tokenize` (string [n] to int32 [n, (words),
        (pieces)]), `tokenize.get_special_tokens_dict`, `bert_pack_inputs`
        and `vocab_file`.
      signatures: `serving_default`, the same from `text`.
    """
    vocabulary = tokenizer.vocabulary
    strings = tf.TensorSpec([None], tf.string, "text")
    root = tf.train.Checkpoint()
    root.__call__ = _function(
        lambda text: tokenizer(text, seq_length, seq_length)[0], strings
    )
    root.tokenize = tf.train.Checkpoint()
    root.tokenize.__call__ = _function(
        words_function(tokenizer, vocabulary), strings
    )
    special_tokens = special_tokens_dict(vocabulary)
    root.tokenize.get_special_tokens_dict = tf.train.Checkpoint()
    root.tokenize.get_special_tokens_dict.__call__ = _function(
        lambda: {key: tf.constant(i) for key, i in special_tokens.items()}
    )
    root.bert_pack_inputs = tf.train.Checkpoint()
    root.bert_pack_inputs.__call__ = _pack_function(vocabulary, seq_length)
    root.vocab_file = tf.saved_model.Asset(vocabulary_path)
    return root, {"serving_default": root.__call__}


def _function(function, *specs: tf.TensorSpec):
    return tf.function(function, autograph=False, input_signature=specs)


def special_tokens_dict(vocabulary: Vocabulary) -> dict[str, int]:
    """The ids of the special pieces under TF Hub's names."""
    return {
        "vocab_size": len(vocabulary),
        "padding_id": vocabulary.pad_id,
        "start_of_sequence_id": vocabulary.cls_id,
        "end_of_segment_id": vocabulary.sep_id,
        "mask_id": vocabulary.mask_id,
    }


def words_function(tokenizer: WordPieceTokenizer, vocabulary: Vocabulary):
    """A function from string [n] to int32 [n, (words), (pieces)].

    The tokenizer returns pieces, not grouped by words. A word begins at each
    piece without "##": a "##" in a text is punctuation, so no word begins with
    such a piece.
    """
    with tf.init_scope():
        begins_word = tf.constant(
            [not piece.startswith(SUFFIX_PREFIX) for piece in vocabulary.pieces]
        )

    def words(texts):
        pieces = tokenizer.tokenize(texts)
        begins = tf.gather(begins_word, pieces.values)
        # [pieces + 1]: words that begin before each piece.
        words_before = tf.cumsum(tf.pad(tf.cast(begins, tf.int64), [[1, 0]]))
        starts = tf.where(begins)[:, 0]
        end = tf.size(begins, tf.int64)[tf.newaxis]
        return tf.RaggedTensor.from_row_splits(
            tf.RaggedTensor.from_row_splits(
                pieces.values, tf.concat([starts, end], 0)
            ),
            tf.gather(words_before, pieces.row_splits),
        )

    return words


def _pack_function(vocabulary: Vocabulary, default_seq_length: int):
    """`bert_pack_inputs`, traced for 1 or 2 segments of words or pieces."""

    @tf.function(autograph=False)
    def pack(inputs, seq_length=default_seq_length):
        return pack_segments(inputs, vocabulary, seq_length)

    # A trace for a tensor serves every number: where no other trace fits, a
    # loaded function turns a Python int into a tensor.
    length = tf.TensorSpec([], tf.int32, "seq_length")
    for ragged_rank in (1, 2):
        rows = tf.RaggedTensorSpec([None] * (ragged_rank + 1), tf.int32)
        for num_segments in range(1, MAX_SEGMENTS + 1):
            pack.get_concrete_function([rows] * num_segments, seq_length=length)
        # A saved Keras model passes the only element of a list by itself.
        pack.get_concrete_function(rows, seq_length=length)
    relax_shapes(pack)
    return pack


def pack_segments(
    segments: list[tf.RaggedTensor] | tf.RaggedTensor,
    vocabulary: Vocabulary,
    seq_length,
) -> dict[str, tf.Tensor]:
    """One or two segments to model inputs, as `tf_text.BertPackInputs` does.

    Args:
      segments: int32 [n, (pieces)] or [n, (words), (pieces)] each; a single
        one may be given without a list.
      vocabulary: has the ids of the special pieces.
      seq_length: int32 []; two segments that are too long lose pieces at
        their ends, the longer one first, until both fit.

    Returns:
      dict of int32 [n, seq_length]. The second segment with its [SEP] has
      type 1.
    """
    if isinstance(segments, tf.RaggedTensor):
        segments = [segments]
    segments = [
        rows.merge_dims(1, -1) if rows.ragged_rank > 1 else rows
        for rows in segments
    ]
    if len(segments) == 1:
        return packing.pack(segments[0], vocabulary, seq_length, seq_length)[0]
    first, second = _trim(*segments, seq_length - 3)
    special = tf.ones([first.nrows(), 1], tf.int32)
    ids = tf.concat(
        [
            special * vocabulary.cls_id,
            first,
            special * vocabulary.sep_id,
            second,
            special * vocabulary.sep_id,
        ],
        axis=1,
    )
    shape = tf.stack([tf.cast(first.nrows(), tf.int32), seq_length])
    first_length = tf.cast(first.row_lengths(), tf.int32) + 2
    length = tf.cast(ids.row_lengths(), tf.int32)
    position = tf.range(seq_length)[tf.newaxis]  # [1, seq_length]
    mask = tf.cast(position < length[:, tf.newaxis], tf.int32)
    in_second = tf.cast(position >= first_length[:, tf.newaxis], tf.int32)
    values = (
        ids.to_tensor(vocabulary.pad_id, shape=shape),
        mask,
        mask * in_second,
    )
    return dict(zip(MODEL_INPUTS, values, strict=True))


def _trim(first: tf.RaggedTensor, second: tf.RaggedTensor, room):
    """Truncates both to at most `room` pieces together, about half each."""
    lengths = [tf.cast(s.row_lengths(), tf.int32) for s in (first, second)]
    room = tf.maximum(room, 0)
    # The other may use what one does not need; an odd piece goes to the first.
    keep_first = tf.minimum(
        lengths[0], tf.maximum(room - room // 2, room - lengths[1])
    )
    keep_second = tf.minimum(lengths[1], room - keep_first)
    return _prefixes(first, keep_first), _prefixes(second, keep_second)


def _prefixes(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    position = tf.ragged.range(tf.cast(rows.row_lengths(), tf.int32))
    keep = position.with_values(
        position.values < tf.repeat(lengths, position.row_lengths())
    )
    return tf.ragged.boolean_mask(rows, keep.with_row_splits_dtype(tf.int64))
