import pytest

from data_pipeline.corpora.character_encoding import decode_page

RUSSIAN = "Сегодня хорошая погода, и мы пойдём гулять в парк."
JAPANESE = "今日は天気がいいので、公園へ散歩に行きましょう。"
FRENCH = "Où êtes-vous allé hier après le dîner ? À l'opéra."


def page(text, meta=""):
    meta = f'<meta charset="{meta}">' if meta else ""
    return f"<html><head>{meta}</head><body>{text}</body></html>"


@pytest.mark.parametrize(
    "text, encoding, declared, meta",
    [
        (RUSSIAN, "utf-8", "", ""),
        (RUSSIAN, "utf-8", "iso-8859-1", "windows-1251"),  # both lie
        (RUSSIAN, "windows-1251", "windows-1251", ""),
        (RUSSIAN, "windows-1251", "", "windows-1251"),
        (RUSSIAN, "windows-1251", "iso-8859-1", "windows-1251"),
        (RUSSIAN * 5, "windows-1251", "iso-8859-1", ""),  # by detection
        (RUSSIAN * 5, "koi8-r", "", ""),
        (RUSSIAN * 5, "windows-1251", "utf-8", ""),
        (RUSSIAN, "utf-16", "", ""),  # with a mark
        ("Good morning", "utf-16-le", "", ""),
        ("Good morning", "utf-16-be", "", "utf-8"),
        (JAPANESE, "shift_jis", "shift_jis", ""),
        (JAPANESE, "euc_jp", "", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", ""),
        (FRENCH, "latin-1", "iso-8859-1", ""),
        (FRENCH, "latin-1", "no such encoding", ""),
        ("你好，世界" * 9, "gb18030", "gb2312", ""),
    ],
)
def test_encodings(text, encoding, declared, meta):
    content = page(text, meta)
    assert decode_page(content.encode(encoding), declared) == content


def test_a_byte_order_mark_goes():
    assert decode_page(b"\xef\xbb\xbfabc", "latin-1") == "abc"


def test_damaged_bytes_are_replaced():
    content = page(RUSSIAN * 100).encode() + b"\xff\xfe"
    assert decode_page(content, "utf-8") == page(RUSSIAN * 100) + "\ufffd" * 2


def test_a_cut_character_goes():
    content = page(RUSSIAN).encode()[:-15] + "я".encode()[:1]
    assert decode_page(content, "latin-1").startswith(page(RUSSIAN)[:-15])


def test_utf_16_is_not_believed():
    """Who reads its name in ASCII has shown that it is not."""
    content = page(RUSSIAN * 100, "utf-16").encode() + b"\xff"
    assert decode_page(content) == page(RUSSIAN * 100, "utf-16") + "\ufffd"


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\0", b"\x1b", b"\xff"])
def test_anything_is_decoded(content):
    decode_page(content, "iso-2022-jp").encode()
