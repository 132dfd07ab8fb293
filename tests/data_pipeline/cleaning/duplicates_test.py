import hashlib
import random

from data_pipeline.cleaning.duplicates import (
    page_keys,
    sentence_keys,
    span_keys,
)
from data_pipeline.documents import Document


def digest(content):
    return hashlib.blake2b(content, digest_size=16).digest()


def test_the_key_of_a_sentence_is_of_its_language_and_letters():
    keys = sentence_keys(Document(["A b!", "a  B", "a c"], "", "en"))
    assert keys == [digest(b"en\tab"), digest(b"en\tab"), digest(b"en\tac")]
    assert sentence_keys(Document(["A b!"], "", "de")) == [digest(b"de\tab")]


def test_spans_have_three_sentences():
    keys = [digest(bytes([number])) for number in range(4)]
    assert span_keys(keys) == [
        digest(keys[0] + keys[1] + keys[2]),
        digest(keys[1] + keys[2] + keys[3]),
    ]
    assert span_keys(keys[:2]) == []


def page(words, language="en"):
    return Document([" ".join(words)], "", language)


def test_pages_that_share_most_words_share_a_band():
    words = [f"w{number}" for number in range(300)]
    changed = [*words[:150], "other", *words[151:]]
    # 5 of 296 grams differ: Jaccard 291 / 301 = 0.97; a band is in common
    # with probability 1 - (1 - 0.97^8)^14 > 0.999999.
    others = random.Random(0).sample(words, 300)
    first, near, far, german, short = page_keys(
        [
            page(words),
            page(changed),
            page(others),
            page(words, "de"),
            page(words[:4]),
        ]
    )
    assert len(set(first)) == 14
    assert set(first) & set(near)
    assert not set(first) & set(far)
    assert not set(first) & set(german)
    assert short == []


def test_the_characters_of_chinese_are_words():
    text = "\u6211\u4eec\u7684\u56fd\u5bb6\u5f88\u5927\u3002"
    (keys,) = page_keys([Document([text], "", "zh")])
    assert len(keys) == 14
