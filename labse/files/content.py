"""Guesses what a file holds by its first bytes."""

import codecs
import json
import re
import struct
import zlib
from typing import NamedTuple

from labse.files.compression import read_start

_HEAD_BYTES = 2**12
_LEAST_BYTES = 12  # of a TFRecord: length and its checksum

# First bytes, what they are of, and the compression or None.
_MAGIC = (
    (b"\x1f\x8b", "a gzip file", "gz"),
    (b"BZh", "a bzip2 file", "bz2"),
    (b"\xfd7zXZ\x00", "an xz file", "xz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "zst"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)", None),
    (b"%PDF", "a PDF", None),
    (b"Obj\x01", "an Avro file", None),
    (b"ARROW1\0", "an Arrow or Feather file", None),
    (b"\x93NUMPY", "a NumPy array (.npy)", None),
    (b"SQLite format 3\0", "an SQLite database", None),
)
_TAR_PLACE = 257  # of the word "ustar"
_JSON_LINES = 5  # that are enough
_LONGEST_LINE = 2**24
_LEAST_RETURNS = 2  # that are line ends, and not a slip

# Of these, a first line names the columns of a table.
_HEADERS = ({"source", "target"}, {"text", "language"})


class Guess(NamedTuple):
    """What a file seems to hold.

    Attributes:
      what: in words, "a Parquet file".
      kind: the name of its format, or empty.
      compression: one of `COMPRESSIONS`, or empty.
      is_foreign: whether a text file cannot begin like that.
      advice: the remedy, where a new name does not help.
    """

    what: str
    kind: str = ""
    compression: str = ""
    is_foreign: bool = True
    advice: str = ""

    def remedy(self, path: str) -> str:
        """What to do about the file."""
        if self.advice:
            return self.advice
        return f"If it is, rename it to {_stem(path)}.{_ENDING[self.kind]}" + (
            f".{self.compression}." if self.compression else "."
        )


BINARY = Guess(
    "binary data, or text that is not UTF-8",
    is_foreign=False,
    advice="Convert text to UTF-8: iconv -f ENCODING -t UTF-8.",
)
_ZLIB = Guess(
    "zlib data, such as TFRecords with the compression ZLIB",
    advice="Write it uncompressed, or with GZIP and a name in .gz.",
)
_ZIP_ADVICE = (
    "Unpack or convert it (.xlsx and .docx are such), and name its files; a "
    "zip file of a Moses corpus is named .zip."
)
_ENDING = {
    "txt": "txt",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "parquet": "parquet",
    "record": "tfrecord",
    "tmx": "tmx",
    "zip": "zip",
}


def head(path: str, compression: str = "", size: int = _HEAD_BYTES) -> bytes:
    """The first bytes, decompressed; none where they are damaged."""
    return read_start(path, compression, size)


def ends_lines_by_returns(path: str, compression: str) -> bool:
    """Whether a file has carriage returns and no line feed, as far as seen."""
    start = head(path, compression)
    if b"\n" in start or start.count(b"\r") < _LEAST_RETURNS:
        return False
    content = head(path, compression, _LONGEST_LINE)
    return bool(content) and b"\n" not in content


def guess_decompressed(start: bytes) -> Guess:
    """What a compressed file holds whose content starts with these bytes."""
    found = guess_content(start)
    if found.compression:
        return Guess(
            f"{found.what}: it is compressed twice",
            advice="Unpack it once, and give it the name of what is inside.",
        )
    if found.kind == "parquet":
        return found._replace(advice="Unpack it, and name it .parquet.")
    return found


def guess_rows(start: bytes) -> Guess | None:
    """What a .txt holds if it seems to be rows with fields; else None."""
    text = start.decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(start) >= _HEAD_BYTES and len(lines) > 1:
        lines.pop()  # It may be incomplete.
    if not lines:
        return None
    if all(map(_is_object, lines[:_JSON_LINES])):
        return Guess("JSON lines", "jsonl")
    names = {name.strip().lower() for name in lines[0].split("\t")}
    if any(header <= names for header in _HEADERS):
        return Guess("tab-separated text with a header", "tsv")
    return None


def guess_content(start: bytes) -> Guess:
    """What a file holds that starts with these bytes."""
    if not start:
        return Guess("an empty file", advice="Make or fetch it again.")
    for magic, what, compression in _MAGIC:
        if start.startswith(magic):
            return _compressed(start, what, compression)
    if start[_TAR_PLACE:].startswith(b"ustar"):
        return Guess(
            "a tar archive", advice="Unpack it (tar -xf), and name its files."
        )
    if start.startswith(b"PK\x03\x04"):
        return Guess("a zip file", "zip", advice=_ZIP_ADVICE)
    if start.startswith(b"PAR1"):
        return Guess("a Parquet file", "parquet")
    if _is_record(start):
        return Guess("a TFRecord file", "record")
    if _is_utf_32(start):
        return Guess(
            "text in UTF-32",
            advice="Convert it: iconv -f UTF-32 -t UTF-8 IN > OUT.",
        )
    if _is_utf_16(start):
        text = start[: len(start) // 2 * 2].decode("utf-16", errors="replace")
        if text.lstrip("\ufeff \r\n")[:20].startswith(("<?xml", "<tmx")):
            return _guess_xml(text)
        return Guess(
            "text in UTF-16",
            advice="Convert it: iconv -f UTF-16 -t UTF-8 IN > OUT.",
        )
    return _guess_text(start)


def _compressed(start: bytes, what: str, compression: str | None) -> Guess:
    if compression is None:
        return Guess(what, advice="Unpack or convert it, and name its files.")
    inner = Guess("", "txt")
    if compression == "gz":
        try:
            unpacked = zlib.decompressobj(31).decompress(start, _HEAD_BYTES)
        except zlib.error:
            unpacked = b""
        inner = guess_content(unpacked) if unpacked else inner
    if inner.advice and inner.is_foreign:
        return Guess(
            f"{what} that holds {inner.what}",
            "",
            compression,
            True,
            f"Unpack it first. {inner.advice}",
        )
    kind = inner.kind or "txt"
    return Guess(what, "txt" if kind == "parquet" else kind, compression)


def _is_record(start: bytes) -> bool:
    """Whether a TFRecord's length and its checksum stand there."""
    if len(start) < _LEAST_BYTES:
        return False
    from google_crc32c import value as crc32c

    checksum = crc32c(start[:8])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.unpack("<I", start[8:12])[0] == masked


def _is_utf_32(start: bytes) -> bool:
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return True
    first = [start[place:64:4] for place in range(4)]
    return len(start) >= 8 and (
        (all(first[0]) and not any(first[2] + first[3]))
        or (all(first[3]) and not any(first[0] + first[1]))
    )


def _is_utf_16(start: bytes) -> bool:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    even, odd = start[0:64:2], start[1:64:2]
    return len(start) >= 4 and (
        (not any(even) and all(odd)) or (not any(odd) and all(even))
    )


def _guess_text(start: bytes) -> Guess:
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        text = decoder.decode(start, final=len(start) < _HEAD_BYTES)
    except UnicodeDecodeError:
        return _guess_binary(start)
    if "\0" in text:
        return _guess_binary(start)
    opening = text.lstrip()[:20].lower()
    if opening.startswith(("<!doctype html", "<html")):
        return Guess(
            "HTML", advice="Take the text out of it, and write a text a line."
        )
    if opening.startswith(("<?xml", "<tmx", "<!doctype", "<xliff")):
        return _guess_xml(text)
    first = text.split("\n", 1)[0].strip()
    if first.startswith("{") and _is_object(first):
        return Guess("JSON lines", "jsonl", is_foreign=False)
    if first.startswith(("{", "[")) and text.count('"') > 1:
        return Guess(
            "a JSON document",
            is_foreign=False,
            advice="Write one object a line, as .jsonl "
            "(jq -c '.[]' IN.json > OUT.jsonl).",
        )
    if "\t" in first:
        return Guess("tab-separated text", "tsv", is_foreign=False)
    return Guess("text in UTF-8", "txt", is_foreign=False)


def _guess_xml(text: str) -> Guess:
    found = _ROOT.search(_NO_ELEMENT.sub("", text))
    if not found or found[1] == "tmx":
        return Guess("TMX", "tmx")
    return Guess(
        f"XML whose root is {found[1]}; of XML, only TMX is read",
        advice="Write its texts as .jsonl or .tsv.",
    )


_ROOT = re.compile(r"<([A-Za-z][\w.:-]*)")
_NO_ELEMENT = re.compile(r"<\?.*?\?>|<!--.*?-->", re.DOTALL)


def _guess_binary(start: bytes) -> Guess:
    try:
        # b"x": a window of 32 KiB, as nearly all have.
        if start[:1] == b"x" and zlib.decompressobj().decompress(start, 1):
            return _ZLIB
    except zlib.error:
        pass  # It only begins so.
    return BINARY


def _is_object(line: str) -> bool:
    try:
        value = json.loads(line)
        return isinstance(value, dict) and bool(value)
    except (ValueError, RecursionError):
        # Of a long first line, only the beginning is known.
        return len(line.encode()) >= _HEAD_BYTES - 8 and line[1:2] == '"'


def _stem(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    for _ in range(2):
        stem, _, ending = name.rpartition(".")
        if stem and ending.lower() in _REPLACED:
            name = stem
    return f"{folder}{slash}{name}"


# Endings that a better name replaces; others may be a part of the name.
_REPLACED = {
    *("txt", "tsv", "jsonl", "parquet", "tfrecord", "tfrecords", "record"),
    *(
        "tmx",
        "zip",
        "gz",
        "bz2",
        "xz",
        "zst",
        "json",
        "ndjson",
        "tab",
        "csv",
        "text",
        "dat",
    ),
}
