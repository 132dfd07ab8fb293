"""The ids of TF Hub's preprocessors against tensorflow_text.BertTokenizer."""

import glob
import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from export import golden
from labse.configs.schema import TokenizerConfig
from labse.errors import InputError
from labse.preprocessing import hub_normalizer
from labse.preprocessing.rare_characters import code_points
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in code_points(hub_normalizer._LETTERS)]
SMALL = [*SPECIAL, "a", "##a", "b", "##b", "s", "##s", "##i", "e", "中", ","]

both_cases = pytest.mark.parametrize("lower_case", [False, True])


def peer_tokenizer(pieces, lower_case):
    """`BertTokenizer` as the preprocessors on TF Hub have it."""
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant([piece.encode() for piece in pieces]),
            tf.range(len(pieces), dtype=tf.int64),
        ),
        num_oov_buckets=1,
    )
    return tf_text.BertTokenizer(
        table, token_out_type=tf.int32, lower_case=lower_case
    )


def differences(pieces, texts, lower_case, ids="tensorflow_hub"):
    """(text, peer's ids, our ids) of the texts, bytes, that differ."""
    tokenizer = WordPieceTokenizer(
        Vocabulary(pieces), 100, lower_case=lower_case, ids=ids
    )
    peer = peer_tokenizer(pieces, lower_case)
    found = []
    for start in range(0, len(texts), 8192):
        batch = texts[start : start + 8192]
        theirs = peer.tokenize(tf.constant(batch)).merge_dims(1, 2)
        ours = tokenizer.tokenize(tf.constant(batch))
        if not are_equal(theirs, ours):
            rows = zip(batch, theirs.to_list(), ours.to_list(), strict=True)
            found += [row for row in rows if row[1] != row[2]]
    return found


def are_equal(one, other):
    """Of ragged tensors; much faster than by lists."""
    return all(
        np.array_equal(a, b)
        for a, b in (
            (one.row_lengths(), other.row_lengths()),
            (one.flat_values, other.flat_values),
        )
    )


def pieces_of(texts):
    """All characters of the texts as they are and lower-cased."""
    folded = tf_text.normalize_utf8(tf_text.case_fold_utf8(texts), "NFD")
    characters = set(b"".join([*texts, *folded.numpy()]).decode("utf-8"))
    # Some characters must be free to stand for others.
    taken = set(map(chr, code_points(hub_normalizer._PLACEHOLDERS)))
    characters = sorted(characters - taken - set(" \0"))
    return [*SPECIAL, *characters, *(f"##{c}" for c in characters)]


def test_by_hand():
    tokenizer = WordPieceTokenizer.from_config(
        Vocabulary([*SMALL, "[", "]", "CLS", "cls"]),
        TokenizerConfig(ids="tensorflow_hub", max_bytes_per_word=100),
    )
    # Ids from 5: a ##a b ##b s ##s ##i e 中 , [ ] CLS
    texts = [
        "a\u200db",  # a zero-width joiner ends a word
        "a\u00a0b a",  # a no-break space does not
        "a\u3000b,",  # nor does an ideographic one
        "a\ue000b",  # a private-use character is a letter
        "b中a",
        "[CLS]",  # not the special piece
        "a" * 100,
        "a" * 101,  # over 100 bytes
        "",
        b"b a\xffb,a",  # a broken byte is a letter
    ]
    assert tokenizer.tokenize(tf.constant(texts)).to_list() == [
        [5, 7],
        [1, 5],
        [1, 14],
        [1],
        [7, 13, 5],
        [15, 17, 16],
        [5] + 99 * [6],
        [1],
        [],
        [7, 1, 14, 5],
    ]


@both_cases
def test_sentences_equal_the_peer(lower_case):
    texts = [text.encode() for text in golden.read_sentences()[0]]
    pieces = pieces_of(texts)
    assert differences(pieces, texts, lower_case) == []
    # The comparison can fail.
    assert len(differences(pieces, texts, lower_case, "hugging_face")) > 5


def code_point_differences(codes, forms, lower_case):
    texts = [
        form.format(chr(code)).encode()
        for code in codes
        if not 0xD800 <= code < 0xE000
        for form in forms
    ]
    return differences(SMALL, texts, lower_case)


@both_cases
def test_code_points_equal_the_peer(lower_case):
    """Planes 0, 1 and the tags; every 64th of the ideographs and the rest."""
    codes = [*range(0x20000), *range(0x20000, 0x110000, 64)]
    codes += [*range(0x2B700, 0x2BA00), *range(0xE0000, 0xE0200)]
    assert code_point_differences(codes, ("a{}b",), lower_case) == []


@pytest.mark.slow
@both_cases
def test_every_code_point_equals_the_peer(lower_case):
    forms = ("a{}b", "{}", "{0}{0}", "b {0}A\u0301{0}B")
    assert code_point_differences(range(0x110000), forms, lower_case) == []


@both_cases
@pytest.mark.parametrize("in_pieces", [False, True])
def test_separators_that_pieces_hold_are_found(lower_case, in_pieces):
    """LaBSE's vocabulary has one of a no-break space and three zeros."""
    pieces = [*SMALL, "a b"]
    if in_pieces:
        for letter in LETTERS[::2]:
            pieces += [letter, f"##{letter}", f"##{letter}b", f"a{letter}"]
    taken = hub_normalizer.find_placeholders(pieces, "\ue000").values()
    assert len(taken) == (len(LETTERS[::2]) if in_pieces else 0)
    texts = [
        form.format(letter).encode()
        for letter in [*LETTERS, *taken, "\ue000", "\ue001", " ", "\x01"]
        for form in ("a{}b", "{}", "{0}{0}a", "b{} a", "a b{}", "a{0},{0}b")
    ]
    # 97 to 102 bytes: the place of the limit depends on the separator's.
    texts += [
        (f"{'a' * count}{letter}b").encode()
        for letter in LETTERS
        for count in range(95, 100)
    ]
    assert differences(pieces, texts, lower_case) == []
    found = WordPieceTokenizer(
        Vocabulary(pieces), 100, ids="tensorflow_hub"
    ).tokenize(["a\u00a0b"])
    # "##\u00a0b" has the number 19, after "a b", "\u00a0" and "##\u00a0";
    # "a\u00a0", 20, is longer than "a".
    assert found.to_list() == [[19, 8] if in_pieces else [1]]


@both_cases
def test_random_bytes_equal_the_peer(lower_case):
    rng = random.Random(11)
    alphabet = b"aB ,\xc3\xa9\xe4\xb8\xad\xff\x80\xf0\x9f\xed\xa0\xcd\xb8\xc2"
    texts = [
        bytes(rng.choice(alphabet) for _ in range(rng.randrange(9)))
        for _ in range(40000)
    ]
    texts += [rng.randbytes(rng.randrange(12)) for _ in range(20000)]
    pieces = [*SMALL, "B", "##B", "é", "##e", "\ufffd", "##\ufffd"]
    assert differences(pieces, texts, lower_case) == []


@both_cases
def test_random_mixtures_equal_the_peer(lower_case):
    rng = random.Random(12)
    odd = [
        *LETTERS,
        *"\0\t\n \u200c\u00ad\u0301\ufe0f中ΣIİéßﬁÅ각\ufffd\ue000'[]",
    ]
    odd += ["\u302e", "\U0001d165", "\U0001d16d", "\u08d3", "\U000105c9"]
    texts = [
        "".join(
            rng.choice(odd)
            if rng.random() < 0.4
            else chr(rng.randrange(0x20, 0x3100))
            for _ in range(rng.randrange(20))
        ).encode()
        for _ in range(20000)
    ]
    assert differences(pieces_of(texts), texts, lower_case) == []


@both_cases
def test_long_words_equal_the_peer(lower_case):
    letters = ["a", "é", "ก", "𐌰", "中", "ß", "ﬁ"]
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    pieces += ["s", "##s", "f", "##f", "##i", "e", "##e"]
    texts = [
        f"a {letter * count}{tail} a".encode()
        for letter in letters
        for count in (24, 25, 26, 33, 34, 49, 50, 51, 99, 100, 101, 300)
        for tail in ("", "a", ".a", "\u00a0a", "\u3000")
    ]
    assert differences(pieces, texts, lower_case) == []


@both_cases
def test_real_texts_equal_the_peer(data_dir, lower_case):
    texts = []
    for path in sorted(glob.glob(f"{data_dir}/tatoeba_v1/tatoeba.*-eng.*")):
        with open(path, "rb") as file:
            texts += file.read().split(b"\n")
    for path in sorted(glob.glob(f"{data_dir}/udhr/*.tsv")):
        with open(path, "rb") as file:
            texts += [line.split(b"\t")[-1] for line in file]
    assert len(texts) > 200_000
    texts = sorted(set(texts))  # One in ten is a copy.
    for name in ("bert_multi_cased", "smaller_labse_15lang"):
        vocabulary = Vocabulary.read(f"{data_dir}/vocabs/{name}.vocab.txt")
        assert differences(vocabulary.pieces, texts, lower_case) == []


def test_errors():
    with pytest.raises(
        InputError,
        match="one of hugging_face, tensorflow_hub. Received: 'tf_hub'",
    ):
        WordPieceTokenizer(Vocabulary(SMALL), ids="tf_hub")
    with pytest.raises(InputError, match="tensorflow_hub. Received: 'TF'"):
        TokenizerConfig(ids="TF")
    private = [chr(code) for code in code_points(hub_normalizer._PLACEHOLDERS)]
    pieces = [*SMALL, *private, "a\u3000"]
    with pytest.raises(InputError, match="has none left for '\\\\u3000'"):
        WordPieceTokenizer(Vocabulary(pieces), ids="tensorflow_hub")
    # No piece needs one.
    WordPieceTokenizer(Vocabulary(pieces[:-1]), ids="tensorflow_hub")
