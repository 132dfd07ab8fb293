"""Guesses what a file holds by its first bytes."""

import codecs
import json
import os
import re
import zlib
from typing import NamedTuple

from labse.files.compression import COMPRESSIONS
from labse.files.formats.tfrecord import checksum

HEAD_BYTES = 2**12
_JSON_LINES = 5  # that are enough
# Of these, a first line names the columns of a table.
_HEADERS = ({"source", "target"}, {"text", "language"})
_ROOT = re.compile(r"<([A-Za-z][\w.:-]*)")
_NO_ELEMENT = re.compile(r"<\?.*?\?>|<!--.*?-->", re.DOTALL)
# Endings that a better name replaces; others may be a part of the name.
_REPLACED = re.compile(
    r"\.(txt|tsv|jsonl|parquet|tfrecords?|record|tmx|zip|gz|bz2|xz|zst|json|"
    r"ndjson|tab|csv|text|dat)",
    re.IGNORECASE,
)


class Guess(NamedTuple):
    """What a file seems to hold."""

    what: str  # in words, "a Parquet file"
    kind: str = ""  # the name of its format, or empty
    advice: str = ""  # the remedy, where a new name does not help
    compression: str = ""  # one of `COMPRESSIONS`, or empty
    is_foreign: bool = True  # whether a text file cannot begin like that

    def remedy(self, path: str) -> str:
        """What to do about the file."""
        if self.advice:
            return self.advice
        for _ in range(2):
            stem, ending = os.path.splitext(path)
            path = stem if _REPLACED.fullmatch(ending) else path
        ending = "tfrecord" if self.kind == "record" else self.kind
        packed = f".{self.compression}" if self.compression else ""
        return f"If it is, rename it to {path}.{ending}{packed}."


BINARY = Guess(
    "binary data, or text that is not UTF-8",
    advice="Convert text to UTF-8: iconv -f ENCODING -t UTF-8.",
    is_foreign=False,
)
_UNPACK = "Unpack or convert it, and name its files."
# First bytes, what they are of, its kind, and the remedy.
_MAGIC = (
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)", "", _UNPACK),
    (b"%PDF", "a PDF", "", _UNPACK),
    (b"Obj\x01", "an Avro file", "", _UNPACK),
    (b"ARROW1\0", "an Arrow or Feather file", "", _UNPACK),
    (b"\x93NUMPY", "a NumPy array (.npy)", "", _UNPACK),
    (b"SQLite format 3\0", "an SQLite database", "", _UNPACK),
    (b"PAR1", "a Parquet file", "parquet", ""),
    (
        *(b"PK\x03\x04", "a zip file", "zip"),
        "Unpack or convert it (.xlsx and .docx are such), and name its files; "
        "a zip file of a Moses corpus is named .zip.",
    ),
)


def guess_content(start: bytes) -> Guess:
    """What a file holds that starts with these bytes."""
    if not start:
        return Guess("an empty file", advice="Make or fetch it again.")
    for name, each in COMPRESSIONS.items():
        if start.startswith(each.magic):
            return _guess_compressed(start, each.words, name)
    for magic, *found in _MAGIC:
        if start.startswith(magic):
            return Guess(*found)
    if start.startswith(b"ustar", 257):
        return Guess(
            *("a tar archive", ""), "Unpack it (tar -xf), and name its files."
        )
    if len(start) >= 12 and start[8:12] == checksum(start[:8]):
        return Guess("a TFRecord file", "record")
    if encoding := _wide_encoding(start):
        text = start[: len(start) // 2 * 2].decode("utf-16", errors="replace")
        text = text.lstrip("\ufeff \r\n")
        if encoding == "UTF-16" and text.startswith(("<?xml", "<tmx")):
            return _guess_xml(text)
        return Guess(
            f"text in {encoding}",
            advice=f"Convert it: iconv -f {encoding} -t UTF-8 IN > OUT.",
        )
    return _guess_text(start)


def guess_decompressed(start: bytes, compression: str) -> Guess:
    """What a compressed file holds whose content starts with these bytes."""
    found = guess_content(start)
    if found.compression:
        found = Guess(
            f"{found.what}: it is compressed twice",
            advice="Unpack it once, and give it the name of what is inside.",
        )
    elif found.kind == "parquet":
        found = found._replace(advice="Unpack it, and name it .parquet.")
    return found._replace(compression=compression)


def guess_rows(start: bytes) -> Guess | None:
    """What a .txt holds if it seems to be rows with fields; else None."""
    text = start.decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(start) >= HEAD_BYTES and len(lines) > 1:
        lines.pop()  # It may be incomplete.
    if not lines:
        return None
    if all(map(_is_object, lines[:_JSON_LINES])):
        return Guess("JSON lines", "jsonl")
    names = {name.strip().lower() for name in lines[0].split("\t")}
    if any(header <= names for header in _HEADERS):
        return Guess("tab-separated text with a header", "tsv")
    return None


def _guess_compressed(start: bytes, what: str, compression: str) -> Guess:
    inner = Guess("", "txt")
    if compression == "gz":
        try:
            unpacked = zlib.decompressobj(31).decompress(start, HEAD_BYTES)
        except zlib.error:
            unpacked = b""
        inner = guess_content(unpacked) if unpacked else inner
    if inner.advice and inner.is_foreign:
        what, advice = f"{what} that holds {inner.what}", inner.advice
        return Guess(what, "", f"Unpack it first. {advice}", compression)
    kind = inner.kind if inner.kind not in ("", "parquet") else "txt"
    return Guess(what, kind, compression=compression)


def _wide_encoding(start: bytes) -> str:
    """UTF-16 or UTF-32, by a byte order mark or the zeros of ASCII."""
    for width, marks in (
        (4, (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
        (2, (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
    ):
        bytes_of = [start[place:64:width] for place in range(width)]
        first_half = b"".join(bytes_of[: width // 2])
        last_half = b"".join(bytes_of[width // 2 :])
        if start.startswith(marks) or (
            len(start) >= 2 * width
            and (
                (all(bytes_of[0]) and not any(last_half))
                or (all(bytes_of[-1]) and not any(first_half))
            )
        ):
            return f"UTF-{8 * width}"
    return ""


def _guess_text(start: bytes) -> Guess:
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        text = decoder.decode(start, final=len(start) < HEAD_BYTES)
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
            advice="Write one object a line, as .jsonl "
            "(jq -c '.[]' IN.json > OUT.jsonl).",
            is_foreign=False,
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


def _guess_binary(start: bytes) -> Guess:
    try:
        # b"x": a window of 32 KiB, as nearly all have.
        if start[:1] == b"x" and zlib.decompressobj().decompress(start, 1):
            return Guess(
                "zlib data, such as TFRecords with the compression ZLIB",
                advice="Write it uncompressed, or with GZIP and a name in .gz.",
            )
    except zlib.error:
        pass  # It only begins so.
    return BINARY


def _is_object(line: str) -> bool:
    try:
        value = json.loads(line)
        return isinstance(value, dict) and bool(value)
    except (ValueError, RecursionError):
        # Of a long first line, only the beginning is known.
        return len(line.encode()) >= HEAD_BYTES - 8 and line[1:2] == '"'
