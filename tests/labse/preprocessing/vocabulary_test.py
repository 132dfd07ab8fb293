import hashlib

import pytest

from labse.errors import InputError
from labse.preprocessing.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(tmp_path, content):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    return path


def read(tmp_path, pieces):
    return Vocabulary.read(
        write(tmp_path, "".join(f"{p}\n" for p in pieces).encode())
    )


def test_ids_are_looked_up(tmp_path):
    vocabulary = read(
        tmp_path, ["a", "[MASK]", "[SEP]", "[CLS]", "b", "[UNK]", "[PAD]"]
    )
    assert len(vocabulary) == 7
    assert vocabulary.pieces[4] == "b"
    assert vocabulary.mask_id == 1
    assert vocabulary.sep_id == 2
    assert vocabulary.cls_id == 3
    assert vocabulary.unk_id == 5
    assert vocabulary.pad_id == 6


def test_only_line_feeds_end_a_piece_and_nothing_is_stripped(tmp_path):
    odd = ["##", "##\u00a0000", "\u2028", "a\u0085", "\u3000b", "c\r"]
    assert read(tmp_path, SPECIAL + odd).pieces == (*SPECIAL, *odd)


def test_last_line_feed_may_be_missing(tmp_path):
    path = write(tmp_path, "\n".join([*SPECIAL, "a"]).encode())
    assert Vocabulary.read(path).pieces == (*SPECIAL, "a")


def test_windows_line_ends_on_every_line_are_taken_off(tmp_path):
    pieces = [*SPECIAL, "a"]
    path = write(tmp_path, "".join(f"{p}\r\n" for p in pieces).encode())
    assert Vocabulary.read(path).pieces == tuple(pieces)


def test_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(InputError, match="no such vocabulary file.*vocab.txt"):
        Vocabulary.read(tmp_path / "none.txt")


def test_empty_file(tmp_path):
    with pytest.raises(InputError, match="Received an empty file"):
        Vocabulary.read(write(tmp_path, b""))


def test_broken_utf8_names_the_line(tmp_path):
    with pytest.raises(InputError, match=r"vocab\.txt:3: .*UTF-8.*0xff"):
        Vocabulary.read(write(tmp_path, b"[PAD]\n[UNK]\na\xffb\n"))


def test_duplicates_name_both_lines(tmp_path):
    with pytest.raises(
        InputError,
        match=r"vocab\.txt:8: .*'x' on lines 6, 8 \(2 pieces are repeated\)",
    ):
        read(tmp_path, [*SPECIAL, "x", "y", "x", "y"])


def test_missing_special_pieces_are_named(tmp_path):
    with pytest.raises(InputError, match=r"vocab\.txt: .*: \[UNK\] \[MASK\]"):
        read(tmp_path, ["[PAD]", "[CLS]", "[SEP]", "a"])


def test_empty_line_names_the_line(tmp_path):
    with pytest.raises(InputError, match=r"vocab\.txt:6: .*empty line"):
        read(tmp_path, [*SPECIAL, "", "a"])


def test_piece_of_more_than_256_bytes(tmp_path):
    assert len(read(tmp_path, [*SPECIAL, "é" * 128])) == 6
    with pytest.raises(InputError, match=r":6: .*256 bytes.*Received 258"):
        read(tmp_path, [*SPECIAL, "é" * 129])


def test_nul_in_a_piece(tmp_path):
    with pytest.raises(InputError, match=r":6: .*no NUL"):
        read(tmp_path, [*SPECIAL, "a\0"])


@pytest.mark.parametrize("others", [[], ["[unused0]", "[unused99]"], ["##"]])
def test_nothing_but_special_pieces(tmp_path, others):
    path = tmp_path / "vocab.txt"
    pieces = [*SPECIAL, *others]
    path.write_text("".join(f"{piece}\n" for piece in pieces))
    with pytest.raises(InputError) as error:
        Vocabulary.read(path)
    assert str(error.value).startswith(
        f"{path}: a vocabulary has pieces of words. Received {len(pieces)} "
        "lines, all special: [PAD] "
    )


def test_the_fingerprint_is_of_the_pieces(tmp_path):
    one = read(tmp_path, [*SPECIAL, "a", "b"]).fingerprint
    # sha256sum of the lines, the last one without its line feed.
    assert (
        one
        == hashlib.sha256(
            b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb"
        ).hexdigest()
    )
    windows = "".join(f"{piece}\r\n" for piece in [*SPECIAL, "a", "b"])
    path = write(tmp_path, windows.encode())
    assert Vocabulary.read(path).fingerprint == one
    assert read(tmp_path, [*SPECIAL, "b", "a"]).fingerprint != one
