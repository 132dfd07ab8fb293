"""A model's vocab.txt."""

import os
import pathlib

from labse.errors import InputError
from labse.formats import model_file
from labse.preprocessing.vocabulary import Vocabulary


def read_vocabulary(path: str | os.PathLike) -> Vocabulary:
    """A model's vocab.txt.

    Raises:
      InputError: see `model_file.read_head` and `Vocabulary.read`.
    """
    model_file.read_head(path)
    try:
        return Vocabulary.read(path)
    except InputError as error:
        again = model_file.refetch_hint(path)
        raise InputError(f"{error} {again}") if again else error from None


def write_vocabulary(path: pathlib.Path, vocabulary: Vocabulary) -> None:
    """Writes a vocab.txt."""
    lines = "".join(f"{piece}\n" for piece in vocabulary.pieces)
    # As bytes: Windows would change the line ends of a text file.
    path.write_bytes(lines.encode())
