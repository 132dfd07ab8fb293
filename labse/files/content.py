"""What a file looks like by its first bytes."""

import codecs
import json
import struct
import zlib
from typing import NamedTuple

_HEAD_BYTES = 2**12
_LEAST_BYTES = 12  # of a TFRecord: length and its checksum

# First bytes, what they are of, and the compression or None.
_MAGIC = (
    (b"\x1f\x8b", "a gzip file", "gz"),
    (b"BZh", "a bzip2 file", "bz2"),
    (b"\xfd7zXZ\x00", "an xz file", "xz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", None),
    (b"PK\x03\x04", "a zip file (.xlsx and .docx are such)", None),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls, .doc)", None),
    (b"%PDF", "a PDF", None),
)


class Look(NamedTuple):
    """What the first bytes look like.

    Attributes:
      what: in words, "a Parquet file".
      kind: one of `kinds`' kinds, or empty.
      compression: "gz", "bz2", "xz", or empty.
      is_foreign: whether a text file cannot begin so.
      advice: the remedy where a new name is none.
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


_BINARY = Look(
    "binary data, or text that is not UTF-8",
    is_foreign=False,
    advice="Convert text to UTF-8: iconv -f ENCODING -t UTF-8.",
)
_ENDING = {
    "txt": "txt",
    "tsv": "tsv",
    "jsonl": "jsonl",
    "parquet": "parquet",
    "record": "tfrecord",
}


def head(path: str) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(_HEAD_BYTES)


def look(start: bytes) -> Look:
    """What a file looks like that starts with these bytes."""
    if not start:
        return Look("an empty file", advice="Make or fetch it again.")
    for magic, what, compression in _MAGIC:
        if start.startswith(magic):
            return _compressed(start, what, compression)
    if start.startswith(b"PAR1"):
        return Look("a Parquet file", "parquet")
    if _is_record(start):
        return Look("a TFRecord file", "record")
    if _is_utf_16(start):
        return Look(
            "text in UTF-16",
            advice="Convert it: iconv -f UTF-16 -t UTF-8 IN > OUT.",
        )
    return _look_at_text(start)


def _compressed(start: bytes, what: str, compression: str | None) -> Look:
    if compression is None:
        return Look(what, advice="Unpack or convert it, and name its files.")
    inner = Look("", "txt")
    if compression == "gz":
        try:
            unpacked = zlib.decompressobj(31).decompress(start, _HEAD_BYTES)
        except zlib.error:
            unpacked = b""
        inner = look(unpacked) if unpacked else inner
    kind = inner.kind or "txt"
    return Look(what, "txt" if kind == "parquet" else kind, compression)


def _is_record(start: bytes) -> bool:
    """Whether a TFRecord's length and its checksum stand there."""
    if len(start) < _LEAST_BYTES:
        return False
    from google_crc32c import value as crc32c

    checksum = crc32c(start[:8])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.unpack("<I", start[8:12])[0] == masked


def _is_utf_16(start: bytes) -> bool:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    even, odd = start[0:64:2], start[1:64:2]
    return len(start) >= 4 and (
        (not any(even) and all(odd)) or (not any(odd) and all(even))
    )


def _look_at_text(start: bytes) -> Look:
    try:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        text = decoder.decode(start, final=len(start) < _HEAD_BYTES)
    except UnicodeDecodeError:
        return _BINARY
    if "\0" in text:
        return _BINARY
    first = text.split("\n", 1)[0].strip()
    if first.startswith("{") and _is_object(first):
        return Look("JSON lines", "jsonl", is_foreign=False)
    if first.startswith(("{", "[")) and text.count('"') > 1:
        return Look(
            "a JSON document",
            is_foreign=False,
            advice="Write one object a line, as .jsonl "
            "(jq -c '.[]' IN.json > OUT.jsonl).",
        )
    if "\t" in first:
        return Look("tab-separated text", "tsv", is_foreign=False)
    return Look("text in UTF-8", "txt", is_foreign=False)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        # A long first line is cut; its beginning must do.
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
    *("gz", "bz2", "xz", "json", "ndjson", "tab", "csv", "text", "dat"),
}
