"""A WordPiece vocabulary, read from a file with one piece a line.

The line number (from 0) is the id. A piece is everything before the line feed:
LaBSE's own vocabulary has pieces with a no-break space inside, so nothing is
ever stripped.
"""

import collections
import hashlib
import os
import re
from collections.abc import Iterable

from labse.errors import InputError
from labse.files.remote_path import as_path

PAD = "[PAD]"
UNK = "[UNK]"
CLS = "[CLS]"
SEP = "[SEP]"
MASK = "[MASK]"
SUFFIX_PREFIX = "##"  # before a piece that does not begin a word

# A longer word is [UNK] to the BERT tokenizer of Hugging Face.
BERT_MAX_CHARACTERS_PER_WORD = 100
SPECIAL_PIECES = (PAD, UNK, CLS, SEP, MASK)

# Limits of the WordPiece model of TensorFlow Text, which would end the process
# with a less clear error.
MAX_PIECES = 2**22
MAX_PIECE_BYTES = 256
UNUSED = re.compile(r"\[unused\d*\]")  # BERT's, for later use.


class Vocabulary:
    """The pieces of a vocabulary in the order of their ids.

    Attributes:
      pieces: tuple of the pieces; the index of a piece is its id.
      pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special pieces
        (BERT's files have [UNK] at 100, others elsewhere).
    """

    def __init__(self, pieces: Iterable[str], origin: str = "vocabulary"):
        """Checks and keeps the pieces.

        `origin` is the file they came from, for messages.

        Raises:
          InputError: a piece is empty, too long or repeated, a special piece
            is missing, all are special, or there are too many.
        """
        self.pieces = tuple(pieces)
        self._check(origin)
        ids = {
            piece: index
            for index, piece in enumerate(self.pieces)
            if piece in SPECIAL_PIECES
        }
        missing = [piece for piece in SPECIAL_PIECES if piece not in ids]
        if missing:
            raise InputError(
                f"{origin}: a vocabulary has {' '.join(SPECIAL_PIECES)}, "
                f"one a line. Missing in its {len(self.pieces)} lines: "
                f"{' '.join(missing)}. Is it a WordPiece vocab.txt of BERT?"
            )
        if all(map(_is_reserved, self.pieces)):
            raise InputError(
                f"{origin}: a vocabulary has pieces of words. Received "
                f"{len(self.pieces)} lines, all special: "
                f"{' '.join(self.pieces[:8])}. Pass a complete vocab.txt; "
                "labse build-vocab makes one from text."
            )
        self.pad_id = ids[PAD]
        self.unk_id = ids[UNK]
        self.cls_id = ids[CLS]
        self.sep_id = ids[SEP]
        self.mask_id = ids[MASK]

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Vocabulary":
        r"""Reads a vocab.txt.

        Lines end with \n, or all of them with \r\n (a file that went through
        Windows). No other character ends a line and none is stripped.

        Raises:
          InputError: the file is missing or empty, is not UTF-8, or breaks a
            rule of `__init__`; the message has the file and the line.
        """
        origin = os.fspath(path)
        try:
            content = as_path(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(
                f"{origin}: there is no such vocabulary file. Pass the path "
                "of a vocab.txt with one piece a line."
            ) from error
        return cls(_split_lines(content, origin), origin)

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the pieces in their order."""
        return hashlib.sha256("\n".join(self.pieces).encode()).hexdigest()

    @property
    def reserved_ids(self) -> tuple[int, ...]:
        """Ids, ascending, of pieces that no word has: special, [unused1]."""
        return tuple(
            index
            for index, piece in enumerate(self.pieces)
            if _is_reserved(piece)
        )

    @property
    def has_capitals(self) -> bool:
        """Whether the vocabulary must be a cased one."""
        return any(
            re.search("[A-Z]", piece) and not piece.startswith("[")
            for piece in self.pieces
        )

    def _check(self, origin: str) -> None:
        if len(self.pieces) > MAX_PIECES:
            raise InputError(
                f"{origin}: a vocabulary has at most {MAX_PIECES:,} pieces. "
                f"Received {len(self.pieces):,}."
            )
        for number, piece in enumerate(self.pieces, start=1):
            if "\0" in piece:
                raise InputError(
                    f"{origin}:{number}: a piece has no NUL character. "
                    f"Received {piece[:40]!r}. Pass a vocab.txt, or fetch "
                    "it again if it is one."
                )
            if not piece:
                raise InputError(
                    f"{origin}:{number}: a piece has at least one character. "
                    "Received an empty line. Remove it; note that this "
                    "changes the ids of all later pieces."
                )
            # A character has at most 4 bytes: most pieces are short enough.
            if len(piece) * 4 > MAX_PIECE_BYTES and (
                len(piece.encode()) > MAX_PIECE_BYTES
            ):
                raise InputError(
                    f"{origin}:{number}: a piece has at most "
                    f"{MAX_PIECE_BYTES} bytes of UTF-8. Received "
                    f"{len(piece.encode())}: {piece[:40]!r}..."
                )
        if len(set(self.pieces)) < len(self.pieces):
            raise InputError(self._describe_duplicates(origin))

    def _describe_duplicates(self, origin: str) -> str:
        counts = collections.Counter(self.pieces)
        repeated = [piece for piece, count in counts.items() if count > 1]
        piece = repeated[0]
        numbers = [n for n, p in enumerate(self.pieces, start=1) if p == piece]
        return (
            f"{origin}:{numbers[1]}: every piece occurs once in a vocabulary. "
            f"Received {piece!r} on lines {', '.join(map(str, numbers))}"
            f" ({len(repeated)} pieces are repeated). Was the file normalised "
            "or stripped?"
        )


def _is_reserved(piece: str) -> bool:
    """Whether the piece is never a part of a word."""
    return piece in (*SPECIAL_PIECES, SUFFIX_PREFIX) or bool(
        UNUSED.fullmatch(piece)
    )


def _split_lines(content: bytes, origin: str) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{origin}:{number}: a vocabulary is UTF-8. Received the byte "
            f"0x{content[error.start]:02x}, which is not "
            f"({error.reason}). Convert the file to UTF-8."
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise InputError(
            f"{origin}: a vocabulary has one piece a line. Received an empty "
            "file. Fetch or make it again."
        )
    if all(line.endswith("\r") for line in lines):
        lines = [line[:-1] for line in lines]
    return lines
