import glob
import itertools
import os
import random

import numpy as np
import pytest
import tensorflow as tf
import tokenizers

from labse.errors import InputError
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Ids:               5     6     7      8        9     10   11   12    13
TINY = [*SPECIAL, "un", "##aff", "##able", "hello", ",", "中", "[", "]", "MASK"]

# Written for this test: a few words in each of 60 scripts and then the odd
# cases of text from the web.
SCRIPTS = [
    "Good morning, how are you today? It's 9:30 o'clock.",
    "Ça va très bien, merci ! «\u00a0Où est-il\u00a0?\u00a0»",
    "Größe, Straße, Übung; ÄÖÜ",
    "Dobrý večer, jak se máš? Žluťoučký kůň",
    "Merhaba, nasılsın? İstanbul'da ılık",
    "Xin chào, bạn khỏe không?",
    "Доброе утро! Как дела?",
    "Қайырлы таң, қалайсың?",
    "Καλημέρα, τι κάνεις; Ὀδυσσεύς",
    "Բարի լույս, ինչպե՞ս ես։",
    "დილა მშვიდობისა, როგორ ხარ?",
    "בוקר טוב, מה שלומך? שָׁלוֹם",
    "צו מאָרגן, וואָס מאַכסטו?",
    "صباح الخير، كيف حالك؟ ٱلسَّلَامُ",
    "صبح بخیر، می‌روم خانه‌ها",
    "صبح بخیر، آپ کیسے ہیں؟ شکریہ۔",
    "ܒܪܝܟ ܨܦܪܐ܂",
    "ދުވަހެއް، ކިހިނެއްތަ؟",
    "ߌ ߣߌ ߛߐ߬ߜߐ߬ߡߊ߫",
    "सुप्रभात, आप कैसे हैं? क्षत्रिय। ॥",
    "শুভ সকাল, আপনি কেমন আছেন?",
    "ਸ਼ੁਭ ਸਵੇਰ, ਤੁਸੀਂ ਕਿਵੇਂ ਹੋ?",
    "સુપ્રભાત, તમે કેમ છો?",
    "ସୁପ୍ରଭାତ, ଆପଣ କେମିତି ଅଛନ୍ତି?",
    "காலை வணக்கம், எப்படி இருக்கிறீர்கள்?",
    "శుభోదయం, మీరు ఎలా ఉన్నారు?",
    "ಶುಭೋದಯ, ನೀವು ಹೇಗಿದ್ದೀರಿ?",
    "സുപ്രഭാതം, എന്‍റെ പേര് അവന്‍",
    "සුබ උදෑසනක්, ඔබට කොහොමද? ශ්‍රී",
    "สวัสดีตอนเช้า คุณสบายดีไหม ฯลฯ",
    "ສະບາຍດີຕອນເຊົ້າ ເຈົ້າສະບາຍດີບໍ",
    "བཀྲ་ཤིས་བདེ་ལེགས། ཁྱེད་རང་སྐུ་གཟུགས་",
    "မင်္ဂလာပါ၊ နေကောင်းလား။",
    "អរុណ​សួស្តី តើ​អ្នក​សុខសប្បាយ​ទេ។",
    "እንደምን አደርክ፣ ሰላም ነው፧",
    "ᎣᏏᏲ, ᏙᎯᏧ?",
    "ᐊᐃᓐᖓᐃ ᖃᓄᐃᑉᐱᑦ᙮",
    "ᚠᚢᚦᚨᚱᚲ᛫ᚷᚹ",
    "ᚉᚑᚔᚋ᚛ᚁᚂ",
    "ᠥᠭᠯᠡᠭᠡᠨᠦ᠋ ᠮᠡᠨᠳᠦ᠂",
    "早上好，你好吗？「中文」字。",
    "早晨，你好嗎？𠀀𪜀㐀",
    "おはようございます。お元気ですか？ーカタカナ・テスト",
    "좋은 아침입니다. 잘 지내세요? 한국어",
    "ㄓㄨˋ ㄧㄣ",
    "ꆈꌠꉙ ꀉꑌ",
    "Magandang umaga, ᜋᜄᜈ᜶",
    "ᬒᬁ ᬲ᭄ᬯᬲ᭄ᬢ᭄ᬬᬲ᭄ᬢᬸ᭟",
    "ꦱꦸꦒꦼꦁ ꦌꦚ꧀ꦗꦁ꧉",
    "ᮝᮤᮜᮥᮏᮨᮀ ᮈᮔ᮪ᮏᮤᮀ",
    "ᦍᦲᦃᦱᧃ ᦎᦱᧄ",
    "ᤛᤣᤘᤠᤖᤥ᥄",
    "ꯍꯥꯌꯗꯥꯁꯤꯡ꯫",
    "ᱡᱚᱦᱟᱨ ᱾",
    "ⵜⵉⴼⴰⵡⵉⵏ ⵎⴰⵏⵣⴰⴽⵉⵏ⵰",
    "ⲛⲁⲛⲉ ⲧⲟⲟⲩ⳿",
    "𐌲𐍉𐌳𐍃 𐌳𐌰𐌲𐍃",
    "𐤔𐤋𐤌 𐤏𐤋𐤉𐤊",
    "𒀭𒂗𒆤 𓀀𓂀",
    "ꕙꔤ ꗬꖟ꘎",
    "𞤔𞤢𞤪𞤢𞤥 𞤱𞤢𞤤𞥞",
    "ⰔⰎⰑⰂⰑ 𐐔𐐯𐑅",
]
ODD = [
    "",
    " ",
    "tabs\tand\r\nlines\x0band\x0cfeeds\x85here",
    "zero\u200bwidth soft\u00adhyphen \ufeffmark \u2060join\u200d",
    "\u200e\u202aleft to right\u202c \u2066isolate\u2069",
    "null\x00 \x01\x1f\x7f controls",
    "private \ue000\uf8ff and \ufffd",
    "spaces: \u00a0\u1680\u2003\u2009\u202f\u205f\u3000\u2028\u2029end",
    "👩\u200d👩\u200d👧 family, 👍🏽 ok\ufe0f 🇩🇪 1️\u20e3",
    "e\u0301 vs é, n\u0303, ﬁ ﬀ, Å Å",
    "price: 5€ $3 £2 ¥1 ₹9 +=<>|~^`",
    "!!!???...—–‘’“”„«»‹›¿¡†‡•…",
    "＂ｆｕｌｌ　ｗｉｄｔｈ＂，！？ ｶﾀｶﾅ",
    "user@example.org https://example.org/a?b=c#d_e",
    "[CLS_] ##suffix # # [unused1] [PAD",
    "new signs \u061d\u2e43\u2e5d\u166d\U000111c9\U0002b820\U0002b91f",
    "unassigned \u0378\U000e0080\U0003fffe \u0890\u08e2",
]


def peer_tokenizer(pieces):
    """Hugging Face's cased BERT tokenizer, special pieces as plain text."""
    peer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            {piece: index for index, piece in enumerate(pieces)},
            unk_token="[UNK]",
        )
    )
    peer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    peer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return peer


def differences(pieces, texts, tokenizer=None):
    """(text, peer's ids, our ids) of the texts that differ."""
    tokenizer = tokenizer or WordPieceTokenizer(Vocabulary(pieces))
    peer = peer_tokenizer(pieces)
    found = []
    for start in range(0, len(texts), 8192):
        batch = texts[start : start + 8192]
        ragged = tokenizer.tokenize([text.encode() for text in batch])
        theirs = [code.ids for code in peer.encode_batch_fast(batch)]
        flat = list(itertools.chain.from_iterable(theirs))
        splits = np.cumsum([0, *map(len, theirs)])
        if np.array_equal(splits, ragged.row_splits) and np.array_equal(
            flat, ragged.values
        ):
            continue
        ours = ragged.to_list()
        found += [
            (text, their, our)
            for text, their, our in zip(batch, theirs, ours, strict=True)
            if their != our
        ]
    return found


def script_pieces():
    """Special pieces, every character of the texts, and some longer pieces."""
    words = " ".join(SCRIPTS + ODD).split()
    characters = sorted(set("".join(words)) - {"\0"})
    long = {word[:3] for word in words} | {"##" + w[-2:] for w in words}
    pieces = [*characters, *("##" + c for c in characters), *sorted(long)]
    # LaBSE's own vocabulary has pieces like the last three.
    pieces += ["10", "##\u00a0000", "##"]
    # Punctuation that is a letter to the peer is in none of our pieces.
    letters = set("\0\u061d\u2e43\u2e5d\U0001e95e\U0002b820\U0002b91f")
    kept = [
        piece for piece in dict.fromkeys(pieces) if not letters & set(piece)
    ]
    return SPECIAL + kept


@pytest.fixture(scope="module")
def tiny():
    return WordPieceTokenizer(Vocabulary(TINY))


def test_ids_by_hand(tiny):
    pieces = tiny.tokenize(
        [
            "unaffable, hello",  # un ##aff ##able , hello
            "",
            "hello中hello",  # a CJK character is a word
            "unhello hello",  # [UNK] hello
            "[MASK]",  # not the special piece: [ MASK ]
        ]
    )
    assert pieces.dtype == tf.int32
    assert pieces.to_list() == [
        [5, 6, 7, 9, 8],
        [],
        [8, 10, 8],
        [1, 8],
        [11, 13, 12],
    ]


def test_normalize(tiny):
    texts = ["a\u00a0b\tc\u3000d", "e\u200bf\x00g\u00adh\x85i", "plain é 中"]
    assert [t.decode() for t in tiny.normalize(texts).numpy()] == [
        "a b c d",
        "efghi",
        "plain é 中",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b"he\xffllo",
        b"\xc0\x80hello",  # overlong
        b"hel\xed\xa0\x80lo",  # a surrogate
        b"hello\xe2\x82",  # cut off
        b"\xf4\x90\x80\x80hello",  # over U+10FFFF
        b"\x80\xbfhello",
    ],
)
def test_broken_bytes_are_dropped(tiny, broken):
    assert tiny.tokenize([broken, b"hello"]).to_list() == [[8], [8]]


def test_random_bytes_never_fail(tiny):
    rng = random.Random(7)
    texts = [rng.randbytes(rng.randrange(40)) for _ in range(2000)]
    normalized = tiny.normalize(texts).numpy()
    for text in normalized:
        text.decode()
    assert tiny.tokenize(texts).nrows() == 2000


def test_every_script_equals_the_peer():
    assert len(SCRIPTS) >= 40
    pieces = script_pieces()
    assert differences(pieces, SCRIPTS + ODD) == []
    ids = WordPieceTokenizer(Vocabulary(pieces)).tokenize(SCRIPTS)
    # The comparison means little if all is [UNK].
    assert np.mean(ids.values.numpy() == 1) < 0.01


def test_the_comparison_can_fail():
    """Without our normaliser, TensorFlow Text differs in the odd texts."""
    import tensorflow_text as tf_text

    plain = tf_text.FastBertTokenizer(script_pieces(), token_out_type=tf.int32)
    assert len(differences(script_pieces(), SCRIPTS + ODD, plain)) > 10


FORMS = ("{}", "a{}b", "{0}{0}1")


def code_point_differences(codes, forms):
    texts = [
        form.format(chr(code))
        for code in codes
        if not 0xD800 <= code < 0xE000
        for form in forms
    ]
    pieces = [*SPECIAL, "a", "b", "1", "##a", "##b", "##1", "é", "##é", "。"]
    return differences(pieces, texts)


def test_code_points_equal_the_peer():
    """Planes 0, 1 and the tags; every 64th of the ideographs and the rest."""
    codes = [*range(0x20000), *range(0x20000, 0x110000, 64)]
    codes += [*range(0x2B700, 0x2BA00), *range(0xE0000, 0xE0200)]
    assert code_point_differences(codes, FORMS[:2]) == []


@pytest.mark.slow
def test_every_code_point_equals_the_peer():
    assert code_point_differences(range(0x110000), FORMS) == []


def test_long_words_equal_the_peer():
    pieces = [*SPECIAL, "x", "##x", "ก", "##ก", "中", "𐌰", "##𐌰", ".", "y"]
    texts = [
        f"y {character * count}{tail} y"
        for character in ("x", "ก", "中", "𐌰", "x\u200b")
        for count in (33, 34, 99, 100, 101, 133, 134, 201, 500)
        for tail in ("", "x", ".x", "中x", "\u00a0x", "\u2e43")
    ]
    assert differences(pieces, texts) == []


def test_limits_of_a_word_can_be_changed():
    vocabulary = Vocabulary([*SPECIAL, "x", "##x"])
    texts = ["x" * 100, "x" * 101, "x" * 400, "x" * 401]

    def lengths(**limits):
        tokenizer = WordPieceTokenizer(vocabulary, **limits)
        return tokenizer.tokenize(texts).row_lengths().numpy().tolist()

    assert lengths() == [100, 1, 1, 1]
    assert lengths(max_characters_per_word=None) == [100, 101, 400, 1]
    assert lengths(max_bytes_per_word=99) == [1, 1, 1, 1]


def test_pieces_that_no_word_can_be_are_never_found():
    pieces = [*SPECIAL, "a", "##a", "b", "a b", "## b", "\x11", "a\x11b"]
    texts = ["a b", "a\x11b", "\x11", "a a b", "b\x01a"]
    assert differences(pieces, texts) == []


def test_random_mixtures_equal_the_peer():
    rng = random.Random(3)
    special = "\0\t\n \u00a0\u200c\u200d\u00ad\u0301\ufe0f👩中\U0002b820\u166d"
    special += "\u061dกำ\ufffd\ue000\u3000#'[]_"
    texts = [
        "".join(
            rng.choice(special)
            if rng.random() < 0.3
            else chr(
                rng.choice([rng.randrange(97, 123), rng.randrange(0x3100)])
            )
            for _ in range(rng.randrange(25))
        )
        for _ in range(20000)
    ]
    assert differences(script_pieces(), texts) == []


def test_tatoeba_equals_the_peer():
    folder = os.environ.get("LABSE_DATA_DIR")
    if not folder:
        pytest.skip("LABSE_DATA_DIR, the folder of real data, is not set")
    texts = []
    for path in sorted(glob.glob(f"{folder}/tatoeba_v1/tatoeba.*-eng.*")):
        with open(path, encoding="utf-8", newline="\n") as file:
            texts += file.read().split("\n")
    assert len(texts) > 170_000
    for name in ("bert_multi_cased", "smaller_labse_15lang"):
        vocabulary = Vocabulary.read(f"{folder}/vocabs/{name}.vocab.txt")
        assert differences(vocabulary.pieces, texts) == []


def test_call_truncates_and_counts(tiny):
    inputs, num_tokens, truncated = tiny(
        ["unaffable, hello", "hello", "", "hello hello hello"], 5
    )
    # [CLS] 2, [SEP] 3, [PAD] 0; 5 tokens leave room for 3 pieces.
    assert inputs["input_word_ids"].numpy().tolist() == [
        [2, 5, 6, 7, 3],
        [2, 8, 3, 0, 0],
        [2, 3, 0, 0, 0],
        [2, 8, 8, 8, 3],
    ]
    assert inputs["input_mask"].numpy().tolist() == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1],
    ]
    assert not inputs["input_type_ids"].numpy().any()
    assert num_tokens.numpy().tolist() == [5, 3, 2, 5]
    assert truncated.numpy().tolist() == [True, False, False, False]
    assert {v.dtype for v in inputs.values()} == {tf.int32}
    assert num_tokens.dtype == tf.int32 and truncated.dtype == tf.bool


def test_batch_is_as_long_as_its_longest_row(tiny):
    inputs, _, _ = tiny(["hello", "hello hello"], 64)
    assert inputs["input_word_ids"].shape == (2, 4)


def test_padded_length_is_static(tiny):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def pack(texts):
        inputs = tiny.pack(tiny.tokenize(texts), 4, 8)
        assert inputs["input_word_ids"].shape.as_list() == [None, 8]
        assert inputs["input_mask"].shape.as_list() == [None, 8]
        assert inputs["input_type_ids"].shape.as_list() == [None, 8]
        return inputs

    ids = pack(["hello hello hello"])["input_word_ids"].numpy().tolist()
    assert ids == [[2, 8, 8, 3, 0, 0, 0, 0]]


@pytest.mark.parametrize("padded_length,columns", [(None, 2), (7, 7)])
def test_empty_batch(tiny, padded_length, columns):
    inputs, num_tokens, truncated = tiny(
        tf.constant([], tf.string), 7, padded_length
    )
    for name in ("input_word_ids", "input_mask", "input_type_ids"):
        assert inputs[name].shape == (0, columns)
    assert num_tokens.shape == (0,) and truncated.shape == (0,)


def test_special_ids_come_from_the_vocabulary():
    pieces = ["x", "[SEP]", "[MASK]", "[PAD]", "[CLS]", "[UNK]"]
    inputs, _, _ = WordPieceTokenizer(Vocabulary(pieces))(["x y", ""], 9)
    assert inputs["input_word_ids"].numpy().tolist() == [
        [4, 0, 5, 1],
        [4, 1, 3, 3],
    ]


def test_in_a_dataset(tiny):
    dataset = (
        tf.data.Dataset.from_tensor_slices(["hello", "unaffable", "hello,"])
        .batch(2)
        .map(lambda texts: tiny(texts, 4, 4)[0], num_parallel_calls=2)
    )
    ids = [b["input_word_ids"].tolist() for b in dataset.as_numpy_iterator()]
    assert ids == [[[2, 8, 3, 0], [2, 5, 6, 3]], [[2, 8, 9, 3]]]


def test_saved_model_holds_the_model_once_and_v1_loads_it(tmp_path):
    pieces = [*SPECIAL, "hello", *(f"word{n}" for n in range(20000))]
    tokenizer = WordPieceTokenizer(Vocabulary(pieces))
    spec = [tf.TensorSpec([None], tf.string)]
    module = tf.Module()
    module.tokenizer = tokenizer
    signatures = {
        name: tf.function(
            lambda text, length=length: tokenizer(text, length)[0],
            input_signature=spec,
        )
        for name, length in (("short", 4), ("long", 64), ("longer", 128))
    }
    tf.saved_model.save(module, tmp_path, signatures)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.pb"))
    buffer_size = tokenizer._wordpiece._model.shape[0]
    assert buffer_size > 300_000
    assert size < 1.5 * buffer_size

    texts = ["hello word7 word9", ""]
    expected = [[2, 5, 13, 3], [2, 3, 0, 0]]
    loaded = tf.saved_model.load(tmp_path).signatures["short"]
    ids = loaded(tf.constant(texts))["input_word_ids"].numpy().tolist()
    assert ids == expected
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path))
        signature = meta.signature_def["short"]
        ids = session.run(
            signature.outputs["input_word_ids"].name,
            {signature.inputs["text"].name: texts},
        )
    assert ids.tolist() == expected


def test_errors(tiny):
    with pytest.raises(
        InputError, match="max_length is at least 3.*Received 2"
    ):
        tiny(["hello"], 2)
    with pytest.raises(
        InputError, match="Received padded_length=4, max_length=5"
    ):
        tiny(["hello"], 5, 4)
    with pytest.raises(InputError, match=r"shape \[n\]. Received shape \(\)"):
        tiny.tokenize("hello")
    with pytest.raises(InputError, match="max_bytes_per_word.*Received 0"):
        WordPieceTokenizer(Vocabulary(TINY), max_bytes_per_word=0)
    with pytest.raises(InputError, match="from 1 to 999.*Received 1000"):
        WordPieceTokenizer(Vocabulary(TINY), max_characters_per_word=1000)
    private = [*SPECIAL, *map(chr, range(0xE000, 0xF900))]
    with pytest.raises(InputError, match="leaves one private-use character"):
        WordPieceTokenizer(Vocabulary(private))


@pytest.mark.parametrize("piece", ["a.", "##.", "中a"])
def test_no_piece_that_a_word_is_read_as(piece):
    with pytest.raises(InputError, match="none of which is a word"):
        WordPieceTokenizer(Vocabulary([*SPECIAL, piece]))
