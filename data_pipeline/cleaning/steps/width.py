"""How much a text says by its length, alike for all scripts.

The Universal Declaration of Human Rights says in one Chinese character what
takes 3.8 in English, in Yi 3.2, in Japanese and Korean 2.4, in Amharic 1.6; in
405 of 452 translations 0.6 to 1.4. So a limit that was set for English would
drop good short sentences in these scripts: their characters count two or three
times.
"""

import re

# Han and Yi.
_WORDS = re.compile("[\u3400-\ua48f\uf900-\ufaff\U00020000-\U0003ffff]")
# Kana, Hangul and Ethiopic.
_SYLLABLES = re.compile(
    "[\u1100-\u11ff\u1200-\u135a\u3041-\u30ff\u3130-\u318f\uac00-\ud7af]"
)


def width(text: str) -> int:
    """Characters; those that are a word count 3, those of a syllable 2."""
    if text.isascii():
        return len(text)
    return (
        len(text)
        + 2 * len(_WORDS.findall(text))
        + len(_SYLLABLES.findall(text))
    )


def is_wide(text: str, least: int) -> bool:
    """Whether `width(text) >= least`."""
    return len(text) >= least or (
        3 * len(text) >= least and width(text) >= least
    )
