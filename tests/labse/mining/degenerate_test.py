"""Degenerate pairs made on purpose, among good ones."""

import json

import numpy as np

from labse.mining import degenerate
from labse.mining.margin import Pairs

_WORDS = ["red", "green", "blue", "black", "white"]
_WORDS += ["gold", "pink", "gray", "teal", "cyan"]


def _check(texts, forward=None, backward=None, **options):
    """Checks pairs (source, target), the best first."""
    numbers = np.arange(len(texts))
    pairs = Pairs(numbers, numbers, 1 - numbers / 1000)
    return degenerate.find_degenerate(
        pairs,
        lambda number: texts[number][0],
        lambda number: texts[number][1],
        forward,
        backward,
        **options,
    )


def _good(num=30):
    return [
        (
            f"The {_WORDS[i % 10]} and {_WORDS[i // 10]} house",
            f"Das Gebäude {_WORDS[i % 10][::-1]} mit {_WORDS[i // 10][::-1]}",
        )
        for i in range(num)
    ]


def test_good_pairs_are_not_degenerate():
    found = _check(_good(), np.arange(30), np.arange(30))
    assert found.num_checked == 30
    assert found.num_degenerate == 0
    assert found.counts == dict.fromkeys(degenerate.KINDS, 0)
    assert found.share == 0
    assert found.warning() == ""


def test_hubs():
    # Target 3 is the best of five sources, target 4 of four.
    forward = np.array([3] * 5 + [4] * 4 + list(range(9, 30)))
    found = _check(_good(), forward)
    assert found.counts["hub"] == 1
    (example,) = found.examples["hub"]
    assert example.source == _good()[3][0]
    assert example.detail == "the target is the best of 5 sources"
    backward = np.full(30, 7)
    found = _check(_good(), forward, backward)
    assert found.counts["hub"] == 2
    assert found.examples["hub"][1].detail.endswith("best of 30 targets")
    # A choice beyond the pairs does not fall out of the count.
    assert _check(_good(3), np.array([900] * 9)).counts["hub"] == 0


def test_near_copies():
    texts = _good()
    texts[4] = (
        "Version 1.0 of the FIRE alarm",
        "version 22.7 of the fire alarm",
    )
    texts[5] = ("Firefox 12", "Chromium 12")
    # 2 * 9 equal of 20 characters are 0.9, which is not above.
    texts[6] = ("abcdefghij", "abcdefghix")
    # 2 * 19 of 40 are 0.95.
    texts[7] = ("abcdefghijklmnopqrst", "abcdefghijklmnopqrsx")
    found = _check(texts)
    assert [each.target for each in found.examples["near_copy"]] == [
        texts[4][1],
        texts[7][1],
    ]
    assert found.examples["near_copy"][1].detail == "95% the same characters"


def test_boilerplate():
    texts = _good()
    for i in range(10, 15):
        texts[i] = (f"Page {i * 37} of  {i}", texts[i][1])
    for i in range(20, 24):
        texts[i] = (texts[i][0], f"Kapitel {i}")
    found = _check(texts)
    assert found.counts["boilerplate"] == 5
    assert found.examples["boilerplate"][0].detail == (
        "5 sources are 'page 0 of 0', digits masked"
    )


def test_lengths_against_the_middle_pair():
    # All targets have three times the bytes; this is the language, not a fault.
    texts = [("x" * (90 + i), "y" * (310 + 3 * i)) for i in range(30)]
    assert _check(texts).counts["length"] == 0
    texts[2] = ("x" * 92, "y" * 60)
    texts[3] = ("x" * 93, "y" * 1900)
    found = _check(texts)
    assert found.counts["length"] == 2
    assert found.examples["length"][1].detail == "93 and 1,900 bytes"
    assert found.examples["length"][1].target == "y" * 160


def test_only_the_best_are_read():
    read = []

    def text(number):
        read.append(number)
        return _good()[number][0]

    pairs = Pairs(np.arange(20)[::-1], np.arange(20), np.linspace(1, 0, 20))
    found = degenerate.find_degenerate(pairs, text, lambda number: "", top=7)
    assert read == [19, 18, 17, 16, 15, 14, 13]
    assert found.num_checked == 7


def test_the_warning_and_the_json():
    texts = _good(20)
    texts[1] = texts[2] = ("the same sentence 1", "The same sentence 2")
    found = _check(texts)
    assert found.share == 0.1
    assert found.warning() == ""  # Up to the limit.
    message = found.warning(limit=0.05)
    assert message.startswith(
        "WARNING: 10.0% of the best 20 pairs are degenerate (more than 5%):\n"
        "  near_copy: 2, such as 'the same sentence 1' = "
    )
    values = json.loads(json.dumps(found.to_dict()))
    assert values["share"] == 0.1
    assert values["examples"]["near_copy"][0]["score"] == 1 - 1 / 1000


def test_a_pair_of_two_kinds_counts_once():
    texts = _good()
    for i in range(5):
        texts[i] = (f"Page {i}", f"page {i}")
    found = _check(texts)
    assert found.counts["near_copy"] == found.counts["boilerplate"] == 5
    assert found.num_degenerate == 5


def test_no_pairs():
    found = _check([], np.arange(0), np.arange(0))
    assert (found.num_checked, found.share, found.warning()) == (0, 0, "")
