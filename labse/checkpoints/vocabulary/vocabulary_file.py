"""A model's vocab.txt."""

import os

from labse.errors import InputError
from labse.formats.model_file import cached, head
from labse.preprocessing.vocabulary import Vocabulary


def read_vocabulary(path: str | os.PathLike) -> Vocabulary:
    """A model's vocab.txt.

    Raises:
      InputError: see `head` and `Vocabulary.read`.
    """
    head(path)
    try:
        return Vocabulary.read(path)
    except InputError as error:
        again = cached(path)
        raise InputError(f"{error} {again}") if again else error from None
