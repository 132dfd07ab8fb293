"""The uncased tokenizer against Hugging Face's."""

import glob
import os
import random
import subprocess
import sys

import pytest
import tensorflow as tf
import tokenizers

from export import golden
from labse.configs.schema import TokenizerConfig
from labse.preprocessing import lower_case, normalizer
from labse.preprocessing.rare_characters import code_points
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNCASED = tokenizers.normalizers.BertNormalizer(lowercase=True)


def peer_tokenizer(pieces):
    """Hugging Face's uncased BERT tokenizer, special pieces as plain text."""
    peer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            {piece: index for index, piece in enumerate(pieces)},
            unk_token="[UNK]",
        )
    )
    peer.normalizer = UNCASED
    peer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return peer


def differences(pieces, texts, lower_case=True):
    """(text, peer's ids, our ids) of the texts that differ."""
    tokenizer = WordPieceTokenizer(Vocabulary(pieces), lower_case=lower_case)
    peer = peer_tokenizer(pieces)
    found = []
    for start in range(0, len(texts), 8192):
        batch = texts[start : start + 8192]
        theirs = [code.ids for code in peer.encode_batch_fast(batch)]
        ours = tokenizer.tokenize([text.encode() for text in batch]).to_list()
        found += [
            row
            for row in zip(batch, theirs, ours, strict=True)
            if row[1] != row[2]
        ]
    return found


def pieces_of(texts):
    """Every character that the peer makes of the texts, but no rare ones."""
    # No vocabulary has these, says the normaliser; it never finds them.
    letters = set(map(chr, code_points(normalizer._LETTERS)))
    characters = sorted(
        set("".join(map(UNCASED.normalize_str, texts))) - letters - set(" \0")
    )
    return [*SPECIAL, *characters, *(f"##{c}" for c in characters)]


def test_by_hand():
    texts = [
        "ÀÉÎ Ångström ÆØ",
        "Straße ẞ",  # not "ss"
        "ΟΔΟΣ Ά",  # no final sigma
        "İIıi",
        "ﬁ Ⅷ ǅ",  # no compatibility, but small letters
        "Й한",  # Й is И with a breve; Hangul comes apart
        "\u212a\u0130",  # Kelvin's sign is a K
        "\u1c89\ua7cb\U00010d65\U00016ea0",  # capitals since Unicode 12
        "\U000105c9\u08d3\u0301\u08cf",  # new signs stay, in their order
        "plain ascii ABC",
    ]
    assert [t.decode() for t in lower_case.lower(texts).numpy()] == [
        "aei angstrom æø",
        "straße ß",
        "οδοσ α",
        "iiıi",
        "ﬁ ⅷ ǆ",
        "и\u1112\u1161\u11ab",
        "ki",
        "\u1c8a\u0264\U00010d85\U00016ebb",
        "\U000105c9\u08d3\u08cf",
        "plain ascii abc",
    ]


def test_locale_of_the_machine_changes_nothing():
    """TensorFlow's lower-casing follows it: I becomes a dotless i."""
    code = (
        "import tensorflow as tf\n"
        "from labse.preprocessing import lower_case\n"
        "texts = ['I', 'éI', '\\u0130', '\\u00cc']\n"
        "print(ascii(tf.strings.lower(texts, 'utf-8').numpy()[0].decode()))\n"
        "print([t.decode() for t in lower_case.lower(texts).numpy()])\n"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    assert lines == [r"'\u0131'", "['i', 'ei', 'i', 'i']"]


def test_sentences_equal_the_peer():
    texts, _ = golden.read_sentences()
    pieces = pieces_of(texts)
    assert differences(pieces, texts) == []
    # The comparison can fail, and not because all is [UNK].
    assert len(differences(pieces, texts, lower_case=False)) > 30
    tokenizer = WordPieceTokenizer(Vocabulary(pieces), lower_case=True)
    ids = tokenizer.tokenize(texts).values.numpy()
    assert (ids == 1).mean() < 0.01


def code_point_differences(codes, forms):
    texts = [
        form.format(chr(code))
        for code in codes
        if not 0xD800 <= code < 0xE000
        for form in forms
    ]
    return differences([*SPECIAL, "a", "b", "##a", "##b", "e", "##i"], texts)


def test_code_points_equal_the_peer():
    """Planes 0, 1 and the tags; every 64th of the ideographs and the rest."""
    codes = [*range(0x20000), *range(0x20000, 0x110000, 64)]
    codes += [*range(0x2B700, 0x2BA00), *range(0xE0000, 0xE0200)]
    assert code_point_differences(codes, ("a{}b", "{}")) == []


@pytest.mark.slow
def test_every_code_point_equals_the_peer():
    forms = ("a{}b", "{}", "{0}{0}1", "A\u0301{0}\u0323B")
    assert code_point_differences(range(0x110000), forms) == []


def test_normal_forms_equal_the_peer():
    """What each character becomes, where a vocabulary would tell it."""
    letters = set(code_points(normalizer._LETTERS))
    characters = [
        chr(code)
        for code in (*range(0x30000), *range(0xE0000, 0xE0200))
        if not 0xD800 <= code < 0xE000 and code not in letters
    ]
    ours = normalizer.normalize(
        tf.constant([c.encode() for c in characters]), "\ue000", None, True
    )
    # Spaces around a character change no word.
    assert [
        (c, UNCASED.normalize_str(c).strip(), text.decode().strip())
        for c, text in zip(characters, ours.numpy().tolist(), strict=True)
        if UNCASED.normalize_str(c).strip() != text.decode().strip()
    ] == []


def test_random_mixtures_equal_the_peer():
    rng = random.Random(5)
    rare = code_points(lower_case._NOT_DECOMPOSED)
    for table in lower_case._NEW_CAPITALS:
        rare += code_points(table)
    odd = "\0\t \u00a0\u200d\u00ad\u0301\u0345\ufe0f中\U0002f800ΣςIİıéß"
    odd += "ﬁ각ᄀ\u302e"
    odd += "\U0001d165\U0001d16d\u1bf2\ufffd\ue000\U000f0378#'.Aa"

    def character():
        kind = rng.random()
        if kind < 0.3:
            return chr(rng.choice(rare))
        if kind < 0.6:
            return rng.choice(odd)
        return chr(rng.randrange(0x20, 0x3100))

    texts = [
        "".join(character() for _ in range(rng.randrange(15)))
        for _ in range(20000)
    ]
    assert differences(pieces_of(texts), texts) == []


def test_long_words_equal_the_peer():
    """100 characters is the limit, of what lower-casing leaves."""
    pieces = [*SPECIAL, *"xe\u1100\u1161", "##x", "##e", "##\u1100", "##\u1161"]
    texts = [
        f"x {letter * count}{tail} x"
        for letter in ("X", "É", "e\u0301", "가", "\u0301")
        for count in (33, 49, 50, 51, 99, 100, 101, 201)
        for tail in ("", "x", ".x", "\u0301")
    ]
    assert differences(pieces, texts) == []


def real_texts(folder):
    texts = []
    for path in sorted(glob.glob(f"{folder}/tatoeba_v1/tatoeba.*-eng.*")):
        with open(path, encoding="utf-8", newline="\n") as file:
            texts += file.read().split("\n")
    for path in sorted(glob.glob(f"{folder}/udhr/*.tsv")):
        with open(path, encoding="utf-8", newline="\n") as file:
            texts += [line.split("\t")[-1] for line in file]
    return texts


def test_real_texts_equal_the_peer(data_dir):
    texts = real_texts(data_dir)
    assert len(texts) > 200_000
    texts = sorted(set(texts))  # One in ten is a copy.
    cased = Vocabulary.read(f"{data_dir}/vocabs/bert_multi_cased.vocab.txt")
    lowered = map(UNCASED.normalize_str, cased.pieces[104:])
    pieces = [*SPECIAL, *sorted(p for p in set(lowered) if p.strip())]
    assert len(pieces) > 80_000
    assert differences(pieces, texts) == []


def test_saved_model_gives_the_same(tmp_path):
    config = TokenizerConfig(lower_case=True)
    tokenizer = WordPieceTokenizer.from_config(
        Vocabulary([*SPECIAL, "e", "##e", "中"]), config
    )
    module = tf.Module()
    module.tokenizer = tokenizer
    module.ids = tf.function(
        lambda texts: tokenizer.tokenize(texts).to_tensor(-1),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    # e 5, ##e 6, 中 7, [UNK] 1
    texts = tf.constant(["ÉE中Ê", "", "Ω"])
    expected = [[5, 6, 7, 5], [-1] * 4, [1, -1, -1, -1]]
    assert loaded.ids(texts).numpy().tolist() == expected
    assert loaded.ids(tf.constant([], tf.string)).shape[0] == 0
