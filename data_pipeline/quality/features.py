"""What a sentence looks like, whatever its language: numbers for a classifier.

A text is read as a sequence of kinds of characters: a letter, a capital, a
digit, a mark that ends sentences and so on, of all scripts. The features are
the shares of the kinds, the length, and which three runs of kinds follow one
another, the ends of the text included. No word and no letter is a feature, so
what was learned from the pages of one language holds for others
(docs/quality.md has what character n-grams did instead).

A text starts with a capital if its first letter has no case, and ends with a
mark if its last letter is of a script that ends sentences without one (Thai,
Lao), so that no script lacks what others have.
"""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from data_pipeline.sentences.terminators import (
    PLAIN_MARKS,
    SPACED_MARKS,
    TIBETAN_MARKS,
)

KINDS = (
    *("edge", "space", "capital", "letter", "digit"),
    *("end mark", "clause mark", "colon", "quote", "dash"),
    *("bracket", "separator", "symbol", "other mark", "control"),
)
_NUMBER = {name: number for number, name in enumerate(KINDS)}
_EDGE, _CAPITAL, _END_MARK = 0, _NUMBER["capital"], _NUMBER["end mark"]

# Marks whose Unicode category does not tell what they are for.
_MARKS = {
    "end mark": SPACED_MARKS + PLAIN_MARKS + TIBETAN_MARKS + "\uff0e",
    "clause mark": ",;\u060c\u061b\u3001\uff0c\uff1b\u104a\u1363\uff64",
    "colon": ":\uff1a\u1361",
    "separator": "|/\\\u2022\u00b7\u203a\u00bb\u2190\u2192\u25ba\u25b6\u25b8",
    "quote": "'\"\u2018\u2019",
    "symbol": "@#&%*_",
}
_CATEGORIES = {
    **{"Lu": "capital", "Lt": "capital", "Nd": "digit", "Nl": "digit"},
    **{"No": "digit", "Pi": "quote", "Pf": "quote", "Pd": "dash"},
    **{"Ps": "bracket", "Pe": "bracket", "Cf": "letter"},
    **{"Cc": "control", "Cn": "control", "Co": "control", "Cs": "control"},
}
_CLASSES = {
    **{"L": "letter", "M": "letter", "N": "digit", "Z": "space"},
    **{"P": "other mark", "S": "symbol"},
}

# Above it, there are only ideographs in Unicode's plan, tags and private use.
_LAST = 0x32000
# How many letters a character stands for, about: the Universal Declaration has
# 3.9 times as many characters in English as in Chinese, 2.6 times as many as in
# Japanese and 2.3 times as many as in Korean.
_WIDE = [(0x2E80, 0xA4CF, 3), (0xAC00, 0xD7A3, 2), (0xF900, 0xFAFF, 3)]
_WITHOUT_END_MARKS = (0x0E00, 0x0EFF)  # Thai and Lao.
# Lengths in letters, as powers of 2, at which the slope may change.
_BENDS = (0, 4, 5, 6, 7, 8)
NUM_RUNS = len(KINDS) ** 3

NAMES = (
    *(f"length over {2**bend}" for bend in _BENDS),
    *(f"root of share of {kind}" for kind in KINDS[1:]),
    *(f"share of {kind}" for kind in KINDS[1:]),
)
NUM_FEATURES = len(NAMES) + NUM_RUNS


def sentence_features(sentences: Sequence[str]) -> scipy.sparse.csr_matrix:
    """The features of sentences, float64 [sentences, NUM_FEATURES].

    First those of `NAMES`; then, for each three runs of kinds a, b, c, at
    (a * K + b) * K + c with K kinds, the root of its share of the sentence's.
    """
    kinds, owners, widths = _kinds(sentences)
    count = len(sentences)
    table = np.bincount(
        owners * len(KINDS) + kinds, minlength=count * len(KINDS)
    ).reshape(count, len(KINDS))[:, 1:]
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    length = np.log2(np.maximum(widths, 1))
    dense = np.hstack(
        [
            np.maximum(length[:, None] - np.array(_BENDS), 0),
            np.sqrt(shares),
            shares,
        ]
    )
    return scipy.sparse.hstack(
        [scipy.sparse.csr_matrix(dense), _runs(kinds, owners, count)],
        format="csr",
    )


def _kinds(sentences: Sequence[str]):
    """Each character's kind and sentence; each sentence's length in letters.

    An edge stands before and after each sentence.
    """
    tables = _tables()
    joined = "".join(f"\0{sentence}\0" for sentence in sentences)
    content = joined.encode("utf-32-le", "surrogatepass")
    codes = np.minimum(np.frombuffer(content, np.uint32), _LAST)
    lengths = np.array([len(each) + 2 for each in sentences], np.int64)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths) - 1
    starts = ends - lengths + 1
    kinds = tables["kind"][codes].astype(np.int64)
    first, last = starts + 1, ends - 1
    kinds[first[tables["is_caseless"][codes[first]]]] = _CAPITAL
    kinds[last[tables["has_no_end"][codes[last]]]] = _END_MARK
    kinds[starts] = kinds[ends] = _EDGE
    widths = np.bincount(owners, tables["width"][codes], len(lengths))
    return kinds, owners, widths


def _runs(kinds, owners, count: int) -> scipy.sparse.csr_matrix:
    is_first = np.ones(len(kinds), bool)
    is_first[1:] = (kinds[1:] != kinds[:-1]) | (kinds[1:] == _EDGE)
    kinds, owners = kinds[is_first], owners[is_first]
    runs = (kinds[:-2] * len(KINDS) + kinds[1:-1]) * len(KINDS) + kinds[2:]
    inside = owners[:-2] == owners[2:]
    runs, owners = runs[inside], owners[:-2][inside]
    found = scipy.sparse.csr_matrix(
        (np.ones(len(runs)), (owners, runs)), shape=(count, NUM_RUNS)
    )
    totals = np.bincount(owners, minlength=count)
    found.data = np.sqrt(found.data / np.repeat(totals, np.diff(found.indptr)))
    return found


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    """Properties of characters by code point up to `_LAST`."""
    categories = [unicodedata.category(chr(code)) for code in range(_LAST + 1)]
    kinds = [_NUMBER[_kind(category)] for category in categories]
    for kind, marks in _MARKS.items():
        for mark in marks:
            kinds[ord(mark)] = _NUMBER[kind]
    kinds[ord("\t")] = kinds[ord("\n")] = _NUMBER["space"]
    kinds[_LAST] = _NUMBER["letter"]  # All further ideographs.
    # Marks add no letter; an edge has no width.
    widths = np.array([category[0] != "M" for category in categories], float)
    widths[0] = 0
    for first, last, width in _WIDE:
        widths[first : last + 1] = width
    widths[0x20000:] = 3
    is_caseless = np.array([category == "Lo" for category in categories])
    has_no_end = np.zeros(_LAST + 1, bool)
    has_no_end[slice(*_WITHOUT_END_MARKS)] = True
    return {
        "kind": np.array(kinds, np.uint8),
        "width": widths,
        "is_caseless": is_caseless,
        "has_no_end": has_no_end,
    }


def _kind(category: str) -> str:
    return _CATEGORIES.get(category) or _CLASSES[category[0]]
