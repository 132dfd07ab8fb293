"""Which kind of corpus a file is, by its content and its name."""

import bz2
import os
import re
import zlib

from labse.errors import InputError
from labse.files import content
from labse.files.compression import (
    COMPRESSIONS,
    check_exists,
    compression_of,
    read_start,
)
from labse.files.kinds import check_content, kind_by_name

ARCHIVE, DUMP, HTML, ROWS = "archive", "dump", "html", "rows"

_MEDIAWIKI = re.compile(r"<mediawiki[\s>]")
_ARCHIVE_NAME = re.compile(r"\.(warc|wet)(\.|$)")
_DUMP_NAME = re.compile(r"\.xml(-p\d+p\d+)?[^/]*$")
_HTML_NAME = re.compile(r"\.x?html?(\.|$)")
_WAT_NAME = re.compile(r"\.wat(\.|$)")
_ARCHIVE_COMPRESSIONS = ("", "gz", "zst")  # FastWARC's
# A block of bzip2 holds 900 kB, and nothing of it is there before its end.
_MAX_PACKED_BYTES = 2**21
_STREAMS = {
    "gz": lambda: zlib.decompressobj(31),
    "bz2": bz2.BZ2Decompressor,
}


def corpus_kind(path: str) -> str:
    """One of `ARCHIVE`, `DUMP`, `HTML` and `ROWS`.

    What begins as an archive or a dump is one whatever its name; otherwise the
    name decides, and where it tells nothing, a page is known by its content.

    Raises:
      InputError: the file is of another kind, or not what its name says.
    """
    check_exists(path)
    if not os.path.getsize(path):
        raise InputError(
            f"{path}: the file is empty. Make or fetch it again, or leave it "
            "out."
        )
    name = os.path.basename(path).lower()
    start, compression = _start_of(path)
    _refuse_other_archives(path, name, start)
    if start.lstrip().startswith(b"WARC/"):
        _check_compression(path, compression, _ARCHIVE_COMPRESSIONS)
        return ARCHIVE
    if _MEDIAWIKI.search(_decoded(start)):
        _check_compression(path, compression, (compression_of(path),))
        return DUMP
    kind = kind_by_name(path)
    if kind is not None:
        check_content(path, kind)
        return ROWS
    guess = content.guess_content(start)
    is_html = guess.what == "HTML" or (
        _HTML_NAME.search(name) and not guess.kind and not guess.compression
    )
    if is_html:
        _check_compression(path, compression, (compression_of(path),))
        return HTML
    if not start:  # Damaged from its first byte on, as its reader says.
        for pattern, kind in (_ARCHIVE_NAME, ARCHIVE), (_DUMP_NAME, DUMP):
            if pattern.search(name):
                return kind
    raise _unknown(path, guess)


def _start_of(path: str) -> tuple[bytes, str]:
    """The first bytes, unpacked, and the compression, both by the content."""
    start = read_start(path, "", content.HEAD_BYTES)
    for name, each in COMPRESSIONS.items():
        if start.startswith(each.magic):
            if name in _STREAMS:
                return _unpacked_start(path, _STREAMS[name]()), name
            return read_start(path, name, content.HEAD_BYTES), name
    return start, ""


def _unpacked_start(path: str, stream) -> bytes:
    """As `read_start`, but with what comes before a damage."""
    found = b""
    with open(path, "rb") as file:
        while (
            len(found) < content.HEAD_BYTES
            and file.tell() < _MAX_PACKED_BYTES
            and not stream.eof
            and (packed := file.read(content.HEAD_BYTES))
        ):
            try:
                found += stream.decompress(packed, content.HEAD_BYTES)
            except (zlib.error, OSError):
                break
    return found[: content.HEAD_BYTES]


def _decoded(start: bytes) -> str:
    """The text of first bytes, for a look at its first tag."""
    for width in (1, 0):
        if start[width : 2 * content.HEAD_BYTES : 2].count(0) > len(start) / 4:
            encoding = "utf-16-le" if width else "utf-16-be"
            return start.decode(encoding, "replace")
    return start.decode("utf-8", "replace")


def _check_compression(
    path: str, compression: str, allowed: tuple[str, ...]
) -> None:
    if compression in allowed:
        return
    found = COMPRESSIONS[compression].words if compression else "not compressed"
    raise InputError(
        f"{path}: the compression of an archive is gzip, Zstandard or none; "
        "that of another file is what its name ends in. The content is "
        f"{found}. Rename the file, or pack it again."
    )


def _refuse_other_archives(path: str, name: str, start: bytes) -> None:
    if start.startswith(b"filedesc:"):
        raise InputError(
            f"{path}: of web archives, WARC and WET are read. This is an ARC, "
            "the format before WARC. Convert it: warcio recompress IN.arc.gz "
            "OUT.warc.gz."
        )
    if _WAT_NAME.search(name) and start.startswith(b"WARC/"):
        raise InputError(
            f"{path}: a WAT file holds metadata of pages, and no text. Give "
            "the .warc.gz or .warc.wet.gz of the same name."
        )


def _unknown(path: str, guess: content.Guess) -> InputError:
    return InputError(
        f"{path}: a corpus is a web archive (.warc, .wet), a MediaWiki dump "
        "(.xml), a page (.html), or a file of texts or pairs: .txt, .tsv, "
        ".jsonl, .tmx, .parquet, .tfrecord or a Moses corpus; .gz, .bz2, .xz "
        f"or .zst may follow. The content looks like {guess.what}. "
        f"{guess.remedy(path)}"
    )
