"""Tests of sentence splitting; expected sentences are written by hand."""

import pickle
import random
import sys

import pytest

from data_pipeline.sentences.splitter import split_sentences
from data_pipeline.sentences.terminators import (
    CLOSERS,
    PLAIN_MARKS,
    SPACED_MARKS,
    TIBETAN_MARKS,
)

# Each sentence is one; joined by spaces (or nothing) they are the text.
SPACED = [
    ("en", ["It rains.", "Does it?", "Yes!", "It does…", "Well..."]),
    ("en", ["Dr. Smith met J. R. Doe at 3.30 p.m. on No. 5.", "They left."]),
    ("en", ['He said "No."', '"Why?" she asked.', "(Nobody knew.)", "So."]),
    ("en", ["See example.com or v1.2.", "The end.[12]", "Next."]),
    ("en", ["In 1990.", "1. First things first.", "It cost 5."]),
    ("de", ["Am 3. Mai kam Ludwig XIV. z. B. nach Bonn.", "Er blieb."]),
    ("de", ["„Ja.“", "»Nein!«", "Das ist ca. 3 km entfernt."]),
    ("en", ["It was 3. May came next."[:9], "May came next."]),
    ("fr", ["Il dit « Oui. »", "Elle aussi.", "M. Dupont rit."]),
    ("el", ["Πού είναι;", "Εδώ.", "Ο κ. Ράλλης ήρθε."]),
    ("hi", ["यह एक घर है।", "वह कहाँ है?", "डॉ. राव आए।"]),
    ("ur", ["یہ گھر ہے۔", "کیا؟", "ہاں۔"]),
    ("hy", ["Սա տուն է։", "Ո՞ւր է նա:", "Այստեղ։"]),
    ("my", ["ဒါက အိမ်ပါ။", "ဟုတ်တယ်၊ မှန်တယ်။"]),
    ("km", ["នេះជាផ្ទះ។", "បាទ។"]),
    ("am", ["ይህ ቤት ነው።", "የት ነው፧", "እዚህ::"]),
    ("ka", ["ეს სახლია.", "სად არის?", "1990 წ. მაისში."]),
    ("ko", ["이것은 집이다.", "정말?", "네."]),
    ("bo", ["ཁྱིམ་ཡིན།", "ང་དང་། ཁྱོད་ཡིན།"]),
    ("ku", ["Ew baş e.", "Tu çawa yî?"]),
    ("nl", ["Het regent.", "'s Morgens ook."]),
    ("und", ["One.", "Two."]),
    ("pt-BR", ["O Sr. Silva chegou.", "Sim."]),
]
UNSPACED = [
    ("zh", ["这是房子。", "他说：“好。”", "是吗？", "不！", "约3.5米。"]),
    ("ja", ["「行こう。」と言った。", "はい！", "「本当？」", "そうだ。"]),
    ("ja", ["１．雨が降る．", "約３．５メートル．"]),
    ("zh", ["王．李走了。"]),
    ("am", ["ይህ፡ቤት፡ነው።", "የት፡ነው፧"]),
    ("ti", ["ይህ፡ቤት፡ነው፡፡", "የት፡ነው።"]),
]


@pytest.mark.parametrize(("language", "sentences"), SPACED)
def test_sentences_joined_by_spaces(language, sentences):
    assert split_sentences(" ".join(sentences), language) == sentences


@pytest.mark.parametrize(("language", "sentences"), UNSPACED)
def test_sentences_joined_by_nothing(language, sentences):
    assert split_sentences("".join(sentences), language) == sentences


def test_what_only_the_language_knows():
    assert len(split_sentences("Am 3. Mai.", "de")) == 1
    assert len(split_sentences("It was 3. May came.", "en")) == 2
    assert len(split_sentences("A; B.", "el")) == 2
    assert len(split_sentences("A; B.", "en")) == 1


def test_the_end_of_a_line_ends_a_sentence():
    assert split_sentences("no mark\nnone\u2028 \n\n...Third") == [
        "no mark",
        "none",
        "...Third",
    ]


def test_nothing_in_nothing_out():
    assert split_sentences("") == split_sentences(" \n\t ") == []


def random_texts():
    """Marks, closers, spaces, words of many scripts, in random order."""
    parts = [
        *SPACED_MARKS, *PLAIN_MARKS, *TIBETAN_MARKS, *CLOSERS,
        *"\n \u00a0\u200b\u202f\t;:([{«-–1",
        *("Dr", "a", "e.g", "XIV", "word", "Слово", "है", "と", "字", "ދިވެހި"),
    ]  # fmt: skip
    chance = random.Random(1)
    for language in ("en", "de", "el", "am", "hy", "ja", "bo", "th", "ku"):
        for _ in range(200):
            pieces = chance.choices(parts + [" "] * 30, k=chance.randrange(60))
            yield language, "".join(pieces)


def test_nothing_is_lost_or_empty_and_splitting_again_changes_nothing():
    for language, text in random_texts():
        sentences = split_sentences(text, language)
        kept = "".join("".join(sentences).split())
        assert kept == "".join(text.split()), repr(text)
        assert all(s == s.strip() and s for s in sentences)
        for sentence in sentences:
            assert split_sentences(sentence, language) == [sentence], text


@pytest.mark.parametrize(
    "part",
    [".", ". ", "a.", "A. ", "!\u201d ", ". \u00a0\u00bb", "([", "\u3002\u300d",
     "\u0f0d ", " ", "...[12", "-", "e.g. "],
)  # fmt: skip
def test_the_work_grows_as_the_text_does(part):
    """Counts the interpreter's steps rather than seconds.

    The regular expression itself has no part that can be given back: see the
    comment on it.
    """

    def steps(text):
        count = 0

        def step(*_):
            nonlocal count
            count += 1
            return step

        before = sys.gettrace()
        sys.settrace(step)
        split_sentences(text, "fr")
        sys.settrace(before)
        return count

    split_sentences("warm-up.", "fr")
    small, large = steps(part * 500), steps(part * 2000)
    assert large <= 4.5 * small + 100


def test_a_megabyte_of_dots_is_one_sentence():
    text = "." * 1_000_000
    assert split_sentences(text, "fr") == [text]
    assert split_sentences("a" + text + "b", "de") == ["a" + text + "b"]


def test_functions_go_to_workers():
    assert pickle.loads(pickle.dumps(split_sentences)) is split_sentences


def test_real_text_reaches_the_floor(data_set):
    scores = []
    for path in sorted(data_set("lingua_sentences").glob("??.txt")):
        joint = "" if path.stem in ("ja", "zh") else " "
        lines = path.read_text(encoding="utf-8").split("\n")[1:200:2]
        found = set(split_sentences(joint.join(lines), path.stem))
        right = {line.strip() for line in lines}
        scores.append(2 * len(found & right) / (len(found) + len(right)))
    assert len(scores) >= 75
    # Whole sentences, a stricter measure than their ends.
    assert sum(scores) / len(scores) > 0.9
