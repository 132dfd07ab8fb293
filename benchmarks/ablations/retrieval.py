"""Tatoeba, each language to English, among its test set and a large pool."""

import pathlib
from collections.abc import Callable

import numpy as np

from benchmarks.ablations.arms import (
    OWN_P1,
    POOL_P1,
    SMALL_P1,
)
from benchmarks.ablations.settings import LARGE, POOL, SMALL, TEST_CODE
from labse.evaluation.retrieval import EncodeFn, TextEmbeddings, match
from labse.evaluation.tasks import tatoeba

Pairs = list[tuple[str, str]]  # (English, text)


def read_test(folder: pathlib.Path) -> tuple[dict[str, Pairs], list[str]]:
    """The pairs of each language, and `POOL` different English sentences.

    The pool holds the English of all these pairs, then that of Tatoeba's other
    languages in their order.
    """
    pairs = {
        language: tatoeba.read_pairs(folder, code)
        for language, code in TEST_CODE.items()
    }
    pool = dict.fromkeys(text for own in pairs.values() for text, _ in own)
    for language in tatoeba.find_languages(folder):
        pool.update(
            dict.fromkeys(
                text for text, _ in tatoeba.read_pairs(folder, language)
            )
        )
    return pairs, list(pool)[:POOL]


def evaluate(encode_fn: EncodeFn, folder: pathlib.Path) -> dict:
    """P@1 in per cent, means over languages, and by language.

    A text that stands with several English sentences is found with any.
    """
    pairs, pool = read_test(folder)
    embeddings = TextEmbeddings(
        encode_fn, [*pool, *(text for own in pairs.values() for _, text in own)]
    )
    own, large = {}, {}
    for language, rows in pairs.items():
        own[language] = _precision(embeddings, rows, None)
        large[language] = _precision(embeddings, rows, pool)
    return {
        POOL_P1: float(np.mean([large[language] for language in LARGE])),
        OWN_P1: float(np.mean([own[language] for language in LARGE])),
        SMALL_P1: float(np.mean([own[language] for language in SMALL])),
        "languages": {"own": own, "pool": large},
    }


def truncated(
    is_truncated: Callable[[list[str]], np.ndarray], folder: pathlib.Path
) -> dict[str, float]:
    """The share of each language's test sentences that are, in per cent."""
    return {
        language: 100 * float(np.mean(is_truncated([text for _, text in rows])))
        for language, rows in read_test(folder)[0].items()
    }


def _precision(
    embeddings: TextEmbeddings, rows: Pairs, pool: list[str] | None
) -> float:
    candidates = pool or list(dict.fromkeys(english for english, _ in rows))
    queries = list(dict.fromkeys(text for _, text in rows))
    matches = match(
        embeddings, queries, candidates, [(text, en) for en, text in rows]
    )
    return 100 * float(np.mean([each.is_right for each in matches]))
