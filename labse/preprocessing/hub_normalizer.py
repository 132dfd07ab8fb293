r"""Makes TensorFlow Text's fast WordPiece give the ids of TF Hub's models.

The preprocessors published on TF Hub are `tensorflow_text.BertTokenizer` with
its defaults. Lower-casing and the removal of control characters use that
class's own operations, which pass invalid UTF-8 through. The remaining
difference is where `FastWordpieceTokenizer`, five times as fast, splits: both
were run on every code point, and the table below has the 31 characters that
are separators to it and letters to `BertTokenizer`.
"""

from collections.abc import Iterable

import tensorflow as tf
import tensorflow_text as tf_text

from labse.errors import InputError
from labse.preprocessing.rare_characters import (
    change_rows,
    character_class,
    code_points,
)

# White space beyond ASCII's, and punctuation since Unicode 15.
_LETTERS = (
    "A0 1680 2000-200A 2028-2029 202F 205F 3000 1B4E-1B4F 1B7F 10D6E "
    "113D4-113D5 113D7-113D8 11BE1 16D6D-16D6F 1E5FF"
)

# Letters to both that can replace others: of two bytes (unassigned), of three
# and of four (private use).
_PLACEHOLDERS = "378-379 380-383 38B 38D 3A2 530 557-558 E100-E1FF F0000-F00FF"


def find_placeholders(
    pieces: Iterable[str], unknown_word: str
) -> dict[str, str]:
    """Replacements for the separators that occur in pieces.

    LaBSE's vocabulary has pieces like "##\u00a0000", which `BertTokenizer`
    finds.

    Returns:
      for each separator in a piece, a character that is in no piece and has as
      many bytes (a word's length is limited in bytes).

    Raises:
      InputError: there are too few such characters.
    """
    used = {unknown_word}.union(*pieces)
    free = [c for c in map(chr, code_points(_PLACEHOLDERS)) if c not in used]
    found = {}
    for letter in map(chr, code_points(_LETTERS)):
        if letter not in used:
            continue
        fitting = [c for c in free if len(c.encode()) == len(letter.encode())]
        if not fitting:
            raise InputError(
                "The vocabulary leaves an unassigned or private-use character "
                "free for each of its separators inside a piece. Received one "
                f"that has none left for {letter!r}."
            )
        found[letter] = fitting[0]
        free.remove(fitting[0])
    return found


def normalize(
    texts: tf.Tensor,
    unknown_word: str,
    placeholders: dict[str, str],
    lower_case: bool,
) -> tf.Tensor:
    """Rewrites texts so that both tokenizers see the same words.

    Args:
      texts: string [n].
      unknown_word: a private-use character that is in no piece and not a
        placeholder. It replaces characters that are in no piece.
      placeholders: from `find_placeholders`.
      lower_case: whether to lower-case and strip accents as
        `BertTokenizer(lower_case=True)` does.
    """
    if lower_case:
        is_ascii = tf.strings.regex_full_match(texts, r"[\x00-\x7f]*")
        texts = change_rows(tf.strings.lower(texts), ~is_ascii, _lower)
    texts = tf.strings.regex_replace(texts, r"\p{Cc}|\p{Cf}", " ")
    taken = _character_list(placeholders.values())
    rare = character_class(f"{_LETTERS} {taken}")
    ordinary = tf.strings.regex_full_match(texts, f"[^{rare}]*")

    def replace(texts: tf.Tensor) -> tf.Tensor:
        if placeholders:
            texts = tf.strings.regex_replace(
                texts, f"[{character_class(taken)}]", unknown_word
            )
        for letter, placeholder in placeholders.items():
            texts = tf.strings.regex_replace(texts, letter, placeholder)
        return tf.strings.regex_replace(
            texts, f"[{character_class(_LETTERS)}]", unknown_word
        )

    return change_rows(texts, ~ordinary, replace)


def _lower(texts: tf.Tensor) -> tf.Tensor:
    texts = tf_text.case_fold_utf8(texts)
    texts = tf_text.normalize_utf8(texts, "NFD")
    return tf.strings.regex_replace(texts, r"\p{Mn}", "")


def _character_list(characters: Iterable[str]) -> str:
    return " ".join(f"{ord(character):X}" for character in characters)
