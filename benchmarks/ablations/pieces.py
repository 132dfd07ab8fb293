"""What a vocabulary makes of the small languages."""

import pathlib

import numpy as np

from benchmarks.ablations.arms import (
    UNK,
)
from benchmarks.ablations.settings import SMALL, TEST_CODE
from labse.configs.schema import TokenizerConfig
from labse.evaluation.tasks import tatoeba
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary


def count(vocabulary_path: pathlib.Path, folder: pathlib.Path) -> dict:
    """The share of [UNK] in per cent: their mean, and by language.

    Of all pieces of the language's Tatoeba test set.
    """
    vocabulary = Vocabulary.read(str(vocabulary_path))
    tokenizer = WordPieceTokenizer.from_config(vocabulary, TokenizerConfig())
    unknown = vocabulary.pieces.index("[UNK]")
    shares = {}
    for language in SMALL:
        rows = tatoeba.read_pairs(folder, TEST_CODE[language])
        ids = tokenizer.tokenize([text for _, text in rows]).flat_values
        shares[language] = 100 * float(np.mean(ids.numpy() == unknown))
    return {UNK: float(np.mean(list(shares.values()))), "unk": shares}
