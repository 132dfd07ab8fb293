r"""Makes TensorFlow Text's WordPiece see the words that BERT's sees.

The reference is the cased BERT tokenizer of Hugging Face's `tokenizers`: the
published LaBSE scores (Thai->English 97.1 on Tatoeba) are with its ids, while
TensorFlow Text alone gives other ids in 0.3 % of Tatoeba's sentences. Both
were run on every code point, alone and inside a word; the tables below have
those that they treat differently, and nothing else is changed. They are
written out, instead of `\p{Cf}` and the like, so that ids stay the same when a
library adopts a newer Unicode.
"""

import tensorflow as tf

from labse.preprocessing.lower_case import lower
from labse.preprocessing.rare_characters import change_rows, character_class

# Removed, which joins the characters around them: control and format
# characters, private use, U+FFFD. Newer format characters (U+0890, U+08E2,
# U+110CD, U+13430...) are letters to the reference.
_REMOVED = (
    "0-8 B-C E-1F 7F-9F AD 600-605 61C 6DD 70F 180E 200B-200F 202A-202E "
    "2060-2064 2066-206F E000-F8FF FEFF FFF9-FFFB FFFD 110BD 1BCA0-1BCA3 "
    "1D173-1D17A E0001 E0020-E007F F0000-FFFFD 100000-10FFFD"
)

# White space other than U+0020. TensorFlow Text splits at it too, except if the
# vocabulary has a piece like "##\u00a0000", as LaBSE's has.
_SPACES = "9-A D A0 1680 2000-200A 2028-2029 202F 205F 3000"

# Punctuation since Unicode 9 and a part of CJK extension E: separators to
# TensorFlow Text, letters to the reference. They do not occur in the public
# vocabularies of mBERT and LaBSE; a piece with one would never be found.
_LETTERS = (
    "61D 9FD A76 C77 C84 1B4E-1B4F 1B7D-1B7F 2E43-2E4F 2E52-2E5D 10D6E 10EAD "
    "10F55-10F59 10F86-10F89 113D4-113D5 113D7-113D8 1144B-1144F 1145A-1145B "
    "1145D 11660-1166C 116B9 1183B 11944-11946 119E2 11A3F-11A46 11A9A-11A9C "
    "11A9E-11AA2 11B00-11B09 11BE1 11C41-11C45 11C70-11C71 11EF7-11EF8 "
    "11F43-11F4F 11FFF 12FF1-12FF2 16D6D-16D6F 16E97-16E9A 16FE2 1E5FF "
    "1E95E-1E95F 2B820-2B91F"
)

# No longer punctuation: letters to TensorFlow Text, separators to the
# reference.
_SEPARATORS = "166D 111C9"

# Not characters. An encoded surrogate is invalid UTF-8.
_SURROGATES = "D800-DFFF"

_CJK = (
    "3400-4DBF 4E00-9FFF F900-FAFF 20000-2A6DF 2A700-2B73F 2B740-2B81F "
    "2B920-2CEAF 2F800-2FA1F"
)

_ORDINARY = "[^" + "".join(
    character_class(table)
    for table in (_REMOVED, _SPACES, _LETTERS, _SEPARATORS, _SURROGATES)
) + "]*"  # fmt: skip

_ASCII_PUNCTUATION = r"!-/:-@\[-`{-~"
_WORD_BREAK = rf"([{_ASCII_PUNCTUATION}\p{{P}}{character_class(_CJK)}])"
# Some of the separators: enough to see quickly that a text has no long word.
_COMMON_BREAKS = rf" {_ASCII_PUNCTUATION}" + character_class(
    "2010-2027 3001-3003 3008-3011 4E00-9FFF FF01-FF03 FF05-FF0A FF0C-FF0F"
)


def normalize(
    texts: tf.Tensor,
    unknown_word: str,
    max_characters_per_word: int | None,
    lower_case: bool = False,
) -> tf.Tensor:
    """Rewrites what the two tokenizers treat differently.

    White space becomes a space; control, format and private-use characters
    and bytes that are not UTF-8 are removed.

    Args:
      texts: string [n].
      unknown_word: a private-use character that is in no piece. It replaces
        characters that no vocabulary has, and words that are too long.
      max_characters_per_word: longer words become `unknown_word`; None for no
        limit.
      lower_case: whether to lower-case and strip accents, for the ids of the
        uncased tokenizer.

    Returns:
      string [n], valid UTF-8.
    """
    ordinary = tf.strings.regex_full_match(texts, _ORDINARY)
    texts = change_rows(
        texts, ~ordinary, lambda rows: _clean(rows, unknown_word)
    )
    if lower_case:
        texts = lower(texts)
    if max_characters_per_word is None:
        return texts
    too_long = f"{{{max_characters_per_word + 1},}}"
    # A character has at least one byte.
    rows = tf.strings.length(texts) > max_characters_per_word
    return change_rows(
        texts, rows, lambda rows: _hide_long_words(rows, unknown_word, too_long)
    )


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Splits normalised texts where the tokenizer does.

    From string [n] to string [n, (words)]; a separator is a word of one
    character.
    """
    return tf.strings.split(
        tf.strings.regex_replace(texts, _WORD_BREAK, r" \1 ")
    )


def _clean(texts: tf.Tensor, unknown_word: str) -> tf.Tensor:
    # Invalid bytes become U+FFFD, which is removed below.
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    for table, replacement in (
        (_REMOVED, ""),
        (_SPACES, " "),
        (_LETTERS, unknown_word),
        (_SEPARATORS, r" \0 "),
    ):
        texts = tf.strings.regex_replace(
            texts, f"[{character_class(table)}]", replacement
        )
    return texts


def _hide_long_words(
    texts: tf.Tensor, unknown_word: str, too_long: str
) -> tf.Tensor:
    suspect = tf.strings.regex_full_match(
        texts, rf"(?s).*[^{_COMMON_BREAKS}]{too_long}.*"
    )

    def hide(texts: tf.Tensor) -> tf.Tensor:
        # Spaces around a separator change no word.
        texts = tf.strings.regex_replace(texts, _WORD_BREAK, r" \1 ")
        return tf.strings.regex_replace(texts, f"[^ ]{too_long}", unknown_word)

    return change_rows(texts, suspect, hide)
