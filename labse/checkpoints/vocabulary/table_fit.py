"""Whether a vocabulary belongs to a table of word embeddings."""

import os
import pathlib

from labse.checkpoints.stored_model import ModelOptions
from labse.checkpoints.vocabulary.vocab_txt import read_vocabulary
from labse.errors import InputError
from labse.formats import model_file
from labse.preprocessing.vocabulary import Vocabulary


def choose_vocabulary(
    own: Vocabulary | None, options: ModelOptions, origin: str
) -> Vocabulary:
    """The model's own vocabulary, or, where it has none, the user's.

    Raises:
      InputError: there is none, or the user names a different one.
    """
    if options.vocabulary is None:
        if own is None:
            raise InputError(
                f"{origin} comes without a vocabulary. State the path of its "
                "vocab.txt."
            )
        return own
    chosen = read_vocabulary(options.vocabulary)
    if own is not None and own.pieces != chosen.pieces:
        raise InputError(
            f"{origin} has its own vocabulary of {len(own):,} pieces, and "
            f"{options.vocabulary} is another, of {len(chosen):,}: the rows of "
            "its embeddings belong to other pieces. Use the model's own: the "
            "vocab.txt of its folder, or of what labse convert makes of it."
        )
    return chosen


# Tables are rounded up to a multiple of a power of two, at most this one.
_MOST_PADDING = 1024
_LEAST_MULTIPLE = 8


def check_vocabulary(
    vocabulary: Vocabulary, rows: int, path: str | pathlib.Path
) -> None:
    """Raises `InputError` where the table has another number of rows."""
    padding = rows - len(vocabulary)
    if padding > 0:
        remedy = (
            "Is this the model's own vocabulary, and is the file whole? If the "
            "table was padded to a multiple, add a line for each row that no "
            "piece has, such as [unused1], to the end of the vocabulary."
        )
    elif padding < 0:
        remedy = (
            "Is this the model's own vocabulary? If the vocabulary was padded "
            f"to a multiple, remove its last {-padding:,} pieces: they have no "
            "row."
        )
    else:
        return
    raise InputError(
        f"{path}: the vocabulary and the table of word embeddings must be "
        f"equally long. Received {len(vocabulary):,} pieces and {rows:,} "
        f"rows. {remedy} {model_file.refetch_hint(path)}".rstrip()
    )


def fit_table(
    vocabulary: Vocabulary, rows: int, path: str | pathlib.Path
) -> tuple[str, ...]:
    """Checks another project's table, which may be padded; returns notes.

    No id reaches rows beyond the vocabulary, so they are left out. But a
    truncated vocabulary is shorter than its table, too. So it may be shorter
    only if it is a tokenizer.json, which cannot be truncated unnoticed, or if
    vocab.txt ends with a line end and the number of rows was rounded up.

    Raises:
      InputError: vocabulary and table do not belong together.
    """
    padding = rows - len(vocabulary)
    if not 0 < padding < _MOST_PADDING or not _is_padding(rows, padding, path):
        check_vocabulary(vocabulary, rows, path)
        return ()
    return (
        f"left out: the last {padding} of {rows:,} rows of word embeddings, "
        "which are beyond the vocabulary, so that no id reaches them",
    )


def _is_padding(rows: int, padding: int, path: str | pathlib.Path) -> bool:
    if pathlib.Path(path).suffix == ".json":
        return True
    with model_file.open_binary(path) as file:
        file.seek(-1, os.SEEK_END)
        is_whole = file.read() == b"\n"
    multiple = rows & -rows  # The largest power of two that divides it.
    return is_whole and padding < multiple and multiple >= _LEAST_MULTIPLE
