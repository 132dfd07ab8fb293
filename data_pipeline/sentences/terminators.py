"""The marks that end sentences, of all scripts.

The marks are the characters with Unicode's property Sentence_Terminal
(https://www.unicode.org/Public/17.0.0/ucd/PropList.txt) of the scripts that
languages are written in today, but for six that are used otherwise:

- U+104A of Myanmar, U+1735 of the Philippines' scripts, U+A9C8 of Javanese and
  U+1B5E of Balinese separate clauses, as a comma does.
- U+2024 is a leader's dot.
- U+FF0E, the full stop of full width, ends sentences in Japanese papers, and
  stands within names in Chinese: see `LANGUAGE_MARKS`.
"""

# Marks that also stand within numbers, names or addresses: they end a sentence
# only before white space.
SPACED_MARKS = ".!?…\u203c\u203d\u2047\u2048\u2049\u2e2e\ua4ff"

# Marks of nothing else than the end: no space need follow. By script.
PLAIN_MARKS = "".join(
    (
        "\u0589",  # Armenian
        "\u061d\u061e\u061f\u06d4",  # Arabic: four, the last a full stop
        "\u0700\u0701\u0702",  # Syriac
        "\u07f9",  # N'Ko
        "\u0964\u0965",  # danda and double danda, of all scripts of India
        "\u104b",  # Myanmar
        "\u1362\u1367\u1368",  # Ethiopic
        "\u166e",  # Canadian syllabics
        "\u1736",  # Tagalog, Hanunoo, Buhid, Tagbanwa
        "\u17d4\u17d5",  # Khmer
        "\u1803\u1809",  # Mongolian
        "\u1944\u1945",  # Limbu
        "\u1aa8\u1aa9\u1aaa\u1aab",  # Tai Tham
        "\u1b5a\u1b5b\u1b5f",  # Balinese
        "\u1c3b\u1c3c",  # Lepcha
        "\u1c7e\u1c7f",  # Ol Chiki
        "\u3002\uff61\uff01\uff1f",  # CJK
        "\ufe12\ufe15\ufe16\ufe52\ufe56\ufe57",
        "\ua60e\ua60f",  # Vai
        "\ua6f3\ua6f7",  # Bamum
        "\ua876\ua877",  # Phags-pa
        "\ua8ce\ua8cf",  # Saurashtra
        "\ua92f",  # Kayah Li
        "\ua9c9",  # Javanese
        "\uaa5d\uaa5e\uaa5f",  # Cham
        "\uaaf0\uaaf1\uabeb",  # Meetei Mayek
        "\U00011141\U00011142\U00011143",  # Chakma
        "\U0001144b\U0001144c",  # Newa
        "\U00016b37\U00016b38\U00016b44",  # Pahawh Hmong
    )
)

# The shad and its ornamented forms; Unicode counts none of them, because one
# also ends clauses. What follows decides (`splitter`).
TIBETAN_MARKS = "\u0f0d\u0f0e\u0f0f\u0f10\u0f11\u0f14"

# What may stand between a mark and the white space after the sentence.
# A quotation mark that follows a mark without a space closes, whichever way
# the language turns it: German „…“, Danish »…«.
QUOTES = (
    "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u2039\u203a"
)
CJK_CLOSERS = (
    "\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u3019\u301b\u301e\u301f"
    "\uff02\uff07\uff09\uff3d\uff5d\uff63\u201d\u2019"
)
CLOSERS = ")]}" + QUOTES + CJK_CLOSERS

# Languages whose sentences end with a space or a line, and no mark: Thai and
# Lao, and what is written as they are (Northern Thai, Shan, Lü).
_WITHOUT_MARKS = frozenset({"th", "lo", "nod", "tts", "shn", "khb"})
_ENDS = frozenset(SPACED_MARKS + PLAIN_MARKS + TIBETAN_MARKS + "\uff0e\u037e")
_END_QUOTES = frozenset('"\u00ab\u00bb\u201c\u201d\u2019\u300d\u300f\uff02')
LANGUAGE_MARKS = {
    "am": "::",
    "el": ";",
    "hy": ":",
    "ja": "\uff0e",
    "ti": "::",
}
# Two word spaces of Ethiopic, typed for its full stop.
ETHIOPIC_TWO = "\u1361\u1361"
_LONGEST_TAIL = 16


def ends_sentence(line: str, language: str = "und") -> bool:
    """Whether a line ends as a sentence does in its script.

    The rule on lines of C4 (Raffel et al. 2020, section 2.2: "we only retained
    lines that ended in a terminal punctuation mark, i.e. a period, exclamation
    mark, question mark, or end quotation mark"), for all scripts. As there, an
    ellipsis is no end: it marks text that was cut.

    Args:
      line: with or without white space around it.
      language: adds marks that others use otherwise: `;` asks in Greek.
    """
    tail = line[-_LONGEST_TAIL:].rstrip() or line.rstrip()[-_LONGEST_TAIL:]
    closed = tail.rstrip(CLOSERS + " \u00a0\u202f")
    if closed != tail and tail[-1] in _END_QUOTES:
        return True
    if not closed or closed.endswith(("...", "…")):
        return False
    if closed[-1] in _ENDS or closed.endswith(ETHIOPIC_TWO):
        return True
    extra = LANGUAGE_MARKS.get(language.partition("-")[0])
    return extra is not None and closed.endswith(extra)


def ends_sentences_with_marks(language: str) -> bool:
    """Whether sentences of the language end with a mark.

    Where they do not, `ends_sentence` says nothing about a line.
    """
    return language.partition("-")[0] not in _WITHOUT_MARKS
