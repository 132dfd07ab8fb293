"""Keys of what is equal: sentences, spans of sentences, and near pages."""

import functools
import hashlib
import re
from collections.abc import Sequence

import numpy as np

from data_pipeline.documents import Document
from data_pipeline.holdout import text_key

KEY_BYTES = 16  # 10^15 texts: two of them collide with a chance of 10^-9.
SPAN_SENTENCES = 3  # C4's: "any three-sentence span"; Raffel et al. 2020, 2.2.
# FineWeb2's (https://arxiv.org/abs/2506.20920): 14 bands of 8 hashes of
# 5-grams of words find three of four pages of which 75 % is shared.
NUM_BANDS = 14
BAND_HASHES = 8
GRAM_WORDS = 5
_SEED = 1
# Scripts that separate no words: Thai, Lao, Tibetan, Myanmar, Khmer, kana and
# Han. There each character counts as a word.
_WITHOUT_SPACES = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3041-\u9fff"
_WORDS = re.compile(
    rf"[{_WITHOUT_SPACES}\U00020000-\U0003ffff]|[^\W{_WITHOUT_SPACES}]+"
)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


def sentence_keys(document: Document) -> list[bytes]:
    """A key of each sentence: BLAKE2b of its language and its letters.

    Sentences that differ in case, punctuation or white space only are equal;
    see `text_key`.
    """
    head = f"{document.language}\t"
    return [
        _digest((head + text_key(line)).encode()) for line in document.lines
    ]


def span_keys(keys: Sequence[bytes]) -> list[bytes]:
    """The keys of the spans of a document, by the keys of its sentences."""
    return [
        _digest(b"".join(keys[start : start + SPAN_SENTENCES]))
        for start in range(len(keys) - SPAN_SENTENCES + 1)
    ]


def page_keys(pages: Sequence[Document]) -> list[list[bytes]]:
    """The keys of each page's bands; none where a page has under five words.

    Pages that are alike have a band in common: the more alike, the more
    probably. With a share s of their 5-grams in common (Jaccard), that is
    1 - (1 - s^8)^14: 0.77 for s = 0.75, and 0.9996 for 0.9.
    """
    from rensa import RMinHash

    grams = [_grams(" ".join(page.lines)) for page in pages]
    digests = RMinHash.digests_from_token_sets(
        grams, NUM_BANDS * BAND_HASHES, _SEED
    )
    return [
        _band_keys(page.language, digest) if found else []
        for page, found, digest in zip(pages, grams, digests, strict=True)
    ]


@functools.cache
def minhash_version() -> str:
    """What the values of `page_keys` depend on."""
    from rensa import RMinHash

    return f"rensa R-MinHash {RMinHash.ALGORITHM_VERSION}"


def _band_keys(language: str, digest: Sequence[int]) -> list[bytes]:
    content = np.array(digest, "<u4").tobytes()
    size = 4 * BAND_HASHES
    return [
        _digest(
            f"{language}\t{band}\t".encode() + content[size * band :][:size]
        )
        for band in range(NUM_BANDS)
    ]


def _grams(text: str) -> list[str]:
    words = _WORDS.findall(text.casefold())
    starts = range(len(words) - GRAM_WORDS + 1)
    return [" ".join(words[start : start + GRAM_WORDS]) for start in starts]
