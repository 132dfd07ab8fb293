import pytest

from labse.configs.schema import TokenizerConfig
from labse.errors import InputError
from labse.preprocessing.new_pieces import check_pieces, read_new_pieces
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = Vocabulary([*SPECIAL, "a", "##a", "old"])
CASED = TokenizerConfig()
UNCASED = TokenizerConfig(lower_case=True)
HUB = TokenizerConfig(ids="tensorflow_hub", max_bytes_per_word=100)


def write(tmp_path, content):
    path = tmp_path / "new.txt"
    path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    return str(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_new_pieces_with_their_lines(tmp_path, end):
    lines = ["[PAD]", "[unused1]", "[UNK]", "neu", "a", "##neu", "old", "##a"]
    path = write(tmp_path, end.join(lines))
    found = read_new_pieces(path, VOCABULARY)
    assert found == ({"neu": 4, "##neu": 6}, 3)
    assert list(found[0]) == ["neu", "##neu"]


@pytest.mark.parametrize(
    "content,message",
    [
        ("", r"new\.txt has one piece a line. Received an empty file"),
        ("neu\nx\nneu\n", r"new\.txt:3: every piece .* once.*'neu' on lines 1"),
        ("neu\n\nx\n", r"new\.txt:2: a piece has at least one character"),
        ("n" * 257, r"new\.txt:1: a piece has at most 256 bytes"),
        (b"gut\nsch\xf6n\n", r"new\.txt:2: text is UTF-8.*0xf6"),
        ("a\nold\n[PAD]\n", r"does not have yet. Received 2 pieces"),
    ],
)
def test_errors_of_the_file(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=message):
        read_new_pieces(path, VOCABULARY)


def test_there_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: there is no such file"):
        read_new_pieces(f"{tmp_path}/none.txt", VOCABULARY)


def refused(config, pieces):
    """The pieces that the tokenizer cannot give, each checked alone."""
    wrong = []
    for piece in pieces:
        try:
            check_pieces({piece: 7}, "new.txt", config)
        except InputError as error:
            assert f"{piece!r} on line 7. Remove" in str(error)
            wrong.append(piece)
    return wrong


GOOD = ["neu", "##neu", "ß", "##กา", "日", ",", "n" * 100, "##" + "n" * 99, "a"]
ALWAYS_BAD = [
    "##",
    "two words",
    "don't",
    "##,",  # Punctuation stands alone.
    "##日",  # So do Chinese characters,
    "日本",
    "a\u200bb",  # Removed, or the end of a word.
    "##\tb",
    "###a",
    " neu",
    "\t",
]


@pytest.mark.parametrize("config", [CASED, UNCASED, HUB])
def test_a_piece_must_be_able_to_come_up(config):
    assert refused(config, GOOD) == []
    assert refused(config, ALWAYS_BAD) == ALWAYS_BAD


def test_what_depends_on_the_tokenizer():
    case = ["Neu", "##É", "##\u0301", "\u00e9", "한", "##ก็"]
    assert refused(CASED, case) == []
    assert refused(UNCASED, case) == case
    words = ["n" * 101, "##" + "n" * 100]  # Of more than 100 characters.
    assert refused(CASED, words) == words
    thai = ["\u0e01" * 34]  # Of 102 bytes.
    assert refused(CASED, thai) == []
    assert refused(HUB, thai) == thai
    spaces = ["##\u00a0a"]  # TF Hub's tokenizer takes it for a letter.
    assert refused(CASED, spaces) == spaces
    assert refused(HUB, spaces) == []


def test_one_error_names_the_first_lines():
    lines = {f"{letter} {letter}": n for n, letter in enumerate("abcdefg", 3)}
    with pytest.raises(InputError) as error:
        check_pieces({"neu": 1, "##neu": 2, **lines}, "new.txt", UNCASED)
    assert str(error.value).startswith("new.txt:3: ")
    assert "(uncased, ids of hugging_face)" in str(error.value)
    assert "'a a' on line 3, 'b b' on line 4" in str(error.value)
    assert "'e e' on line 7 and 2 more. Remove" in str(error.value)
