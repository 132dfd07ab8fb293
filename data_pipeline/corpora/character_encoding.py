"""Which character encoding a page is in.

As in HTML (https://html.spec.whatwg.org/#determining-the-character-encoding): a
byte order mark, the HTTP field, then `<meta>`, then detection. Pages lie: what
is valid UTF-8 is UTF-8 whatever is declared, `<meta>` has the word against
servers' default Latin-1, and a declared Latin encoding gives way if the bytes
are those of another script.
"""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_META = re.compile(
    rb"""<meta[^>]{1,400}?charset\s*=\s*["']?\s*([\w:.-]{1,40})""",
    re.IGNORECASE,
)
_XML = re.compile(rb"""<\?xml[^>]{1,200}?encoding\s*=\s*["']([\w:.-]{1,40})""")
_HEAD_BYTES = 2**14  # where `<meta>` is looked for; browsers: 1024
_DETECTION_BYTES = 2**16
# Of characters; a few damaged ones do not show that the encoding is wrong.
_MAX_REPLACED_SHARE = 0.001
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN = frozenset(("cp1252", "iso8859-1", "latin-1", "cp1250", "cp1254"))
_NAMES = """
big5 big5hkscs cp1251 cp1253 cp1255 cp1256 cp866 cp874 cp932 euc_jp euc_kr
gb18030 gbk iso8859-5 iso8859-6 iso8859-7 iso8859-8 koi8-r koi8-u shift_jis
"""
_OTHER_SCRIPTS = frozenset(_NAMES.split())
# ASCII byte by byte, so it is valid UTF-8 as well.
_ESCAPED = "iso2022_jp"


def decode_page(content: bytes, declared: str = "") -> str:
    """The text of a page; bytes that do not fit become U+FFFD.

    Args:
      content: of the page.
      declared: the encoding of the HTTP field `Content-Type`, or empty.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    head = content[:_HEAD_BYTES]
    meta = _META.search(head) or _XML.match(head.lstrip())
    names = [declared, meta[1].decode("ascii", "replace") if meta else ""]
    found = [name for name in map(_codec, names) if name]
    if b"\0" in head and (encoding := _wide(head)):
        return content.decode(encoding, "replace")
    if _ESCAPED not in found or b"\x1b" not in content:
        try:
            # The last character may have been cut.
            return codecs.utf_8_decode(content, "strict", False)[0]
        except UnicodeDecodeError:
            pass
    if len(found) == 2 and found[0] in _LATIN:
        found.reverse()
    return _best(content, found)


def _best(content: bytes, found: list[str]) -> str:
    """Decoded as the first encoding that fits, or the one that fits best."""
    detected = _codec(detect_encoding(content, _DETECTION_BYTES) or "")
    if found and found[0] in _LATIN and detected in _OTHER_SCRIPTS:
        found.insert(0, detected)
    texts = []
    for encoding in dict.fromkeys([*found, detected or "cp1252", "cp1252"]):
        text = content.decode(encoding, "replace")
        replaced = text.count("\ufffd")
        if replaced <= _MAX_REPLACED_SHARE * len(text):
            return text
        texts.append((replaced, len(texts), text))
    return min(texts)[2]


def _codec(name: str) -> str:
    """Python's name of an encoding of HTML's list; empty for others."""
    mapped = map_encoding_to_html5(name.strip("\"' "), False) if name else None
    if not mapped:
        return ""
    if mapped.startswith("utf-16"):
        return "utf-8"  # As in HTML: whoever could read the name, read ASCII.
    try:
        return codecs.lookup(mapped).name
    except LookupError:
        return ""


def _wide(head: bytes) -> str:
    """UTF-16 without a mark, by the zeros of ASCII."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > len(head) / 8 and not even:
        return "utf-16-le"
    if even > len(head) / 8 and not odd:
        return "utf-16-be"
    return ""
