"""The script that most letters of a text are in."""

import bisect
import collections
import functools
import re

from labse.languages import language_tag, primary_language

# First and last code point of each script's letters: the blocks of
# https://www.unicode.org/Public/17.0.0/ucd/Blocks.txt, put together.
_RANGES = [
    (0x0041, 0x024F, "Latn"),
    (0x0250, 0x02AF, "Latn"),
    (0x0370, 0x03FF, "Grek"),
    (0x0400, 0x052F, "Cyrl"),
    (0x0531, 0x058F, "Armn"),
    (0x0590, 0x05FF, "Hebr"),
    (0x0600, 0x06FF, "Arab"),
    (0x0700, 0x074F, "Syrc"),
    (0x0750, 0x077F, "Arab"),
    (0x0780, 0x07BF, "Thaa"),
    (0x07C0, 0x07FF, "Nkoo"),
    (0x0870, 0x08FF, "Arab"),
    (0x0900, 0x097F, "Deva"),
    (0x0980, 0x09FF, "Beng"),
    (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"),
    (0x0B00, 0x0B7F, "Orya"),
    (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"),
    (0x0C80, 0x0CFF, "Knda"),
    (0x0D00, 0x0D7F, "Mlym"),
    (0x0D80, 0x0DFF, "Sinh"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x0E80, 0x0EFF, "Laoo"),
    (0x0F00, 0x0FFF, "Tibt"),
    (0x1000, 0x109F, "Mymr"),
    (0x10A0, 0x10FF, "Geor"),
    (0x1100, 0x11FF, "Hang"),
    (0x1200, 0x139F, "Ethi"),
    (0x13A0, 0x13FF, "Cher"),
    (0x1400, 0x167F, "Cans"),
    (0x1780, 0x17FF, "Khmr"),
    (0x1800, 0x18AF, "Mong"),
    (0x1C80, 0x1C8F, "Cyrl"),
    (0x1C90, 0x1CBF, "Geor"),
    (0x1E00, 0x1EFF, "Latn"),
    (0x1F00, 0x1FFF, "Grek"),
    (0x2C60, 0x2C7F, "Latn"),
    (0x2DE0, 0x2DFF, "Cyrl"),
    (0x3040, 0x30FF, "Kana"),
    (0x3100, 0x312F, "Bopo"),
    (0x3130, 0x318F, "Hang"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Hani"),
    (0x4E00, 0x9FFF, "Hani"),
    (0xA640, 0xA69F, "Cyrl"),
    (0xA720, 0xA7FF, "Latn"),
    (0xAA60, 0xAA7F, "Mymr"),
    (0xAC00, 0xD7FF, "Hang"),
    (0xF900, 0xFAFF, "Hani"),
    (0xFB00, 0xFB06, "Latn"),
    (0xFB13, 0xFB17, "Armn"),
    (0xFB1D, 0xFB4F, "Hebr"),
    (0xFB50, 0xFDFF, "Arab"),
    (0xFE70, 0xFEFC, "Arab"),
    (0xFF21, 0xFF5A, "Latn"),
    (0xFF66, 0xFF9F, "Kana"),
    (0x20000, 0x3FFFF, "Hani"),
]
_STARTS = [first for first, _, _ in _RANGES]
_LOOKED_AT = 400
# Of kana or Hangul to Chinese characters in Japanese and Korean. Chinese has a
# sign or a name in them now and then.
_LEAST_SHARE = 0.1
_NO_LETTER = re.compile(r"[\W\d_]+")

# Scripts that one of LaBSE's languages is written in, and no other of them.
# (A text with kana is not taken for Chinese, see `main_script`.)
SCRIPT_LANGUAGES = {
    "Armn": "hy",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hang": "ko",
    "Hani": "zh",
    "Kana": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thai": "th",
    "Tibt": "bo",
}

# The languages of the other scripts; a language that is not listed is written
# in Latin letters. Some are listed more than once.
_LANGUAGES_OF_SCRIPTS = {
    "Arab": "ar ary arz az azb bal ckb fa glk kk ks ku ky lah mzn pnb ps sd "
    "sdh skr ug ur uz uzs",
    "Beng": "as bn bpy mni",
    "Cans": "cr iu oj",
    "Cher": "chr",
    "Cyrl": "ab ady av az ba be bg ce cu cv kbd kk kjh koi krc kv ky lbe lez "
    "mdf mhr mk mn mrj myv os ru rue sah sr tg tk tt tyv udm uk uz xal",
    "Deva": "awa bh bho doi gom hi mag mai mr ne new sa sat sd",
    "Ethi": "am ti tig",
    "Hebr": "hbo he lad yi",
    "Latn": "az ku ms sr tk tt ug uz gom nan lad sat iu cr oj",
    "Mong": "mn",
    "Syrc": "syr aii",
    "Thaa": "dv",
}
# For which a tag without a script names one of several (`labse.languages`).
_TAGS_NAME_THE_SCRIPT = frozenset(("az", "ku", "sr", "tt", "uz"))


@functools.lru_cache(maxsize=1 << 16)
def script_of(letter: str) -> str:
    """The ISO 15924 code of a letter's script; empty for one not listed."""
    code = ord(letter)
    first, last, script = _RANGES[max(bisect.bisect(_STARTS, code) - 1, 0)]
    return script if first <= code <= last else ""


@functools.cache
def scripts_of(tag: str) -> frozenset[str]:
    """The scripts that a language is written in, of those that are shared.

    `sr-Latn` is written in Latin letters, `sr` in Cyrillic ones.
    """
    language, _, script = tag.partition("-")
    scripts = {
        name
        for name, languages in _LANGUAGES_OF_SCRIPTS.items()
        if language in languages.split()
    } or {"Latn"}
    if language in _TAGS_NAME_THE_SCRIPT:
        scripts = {name for name in scripts if tag_in_script(tag, name) == tag}
    return frozenset(scripts)


def tag_in_script(tag: str, script: str) -> str:
    """The tag of a language in a script, which is named if it has to be."""
    if tag in _TAGS_NAME_THE_SCRIPT or "-" in tag:
        return language_tag(f"{primary_language(tag)}-{script}")
    return tag


def main_script(text: str) -> tuple[str, float]:
    """The script of most letters and its share of them (0 to 1).

    Only the first letters are looked at. A text with Hangul is Korean, one
    with kana Japanese, though most of it may be Chinese characters. Without
    letters, or in a script that is not listed: empty and 0.
    """
    letters = _NO_LETTER.sub("", text[:_LOOKED_AT])
    if not letters:
        return "", 0.0
    if letters.isascii():
        return "Latn", 1.0
    counts = collections.Counter()
    for letter, number in collections.Counter(letters).items():
        counts[script_of(letter)] += number
    if counts["Hani"]:
        for script in ("Kana", "Hang"):
            if counts[script] > _LEAST_SHARE * counts["Hani"]:
                counts[script] += counts.pop("Hani")
                break
    script = max(counts, key=counts.get)
    return script, counts[script] / counts.total() if script else 0.0
