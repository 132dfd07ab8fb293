r"""Makes TensorFlow Text's fast WordPiece give the ids of TF Hub's models.

The preprocessors published on TF Hub are `tensorflow_text.BertTokenizer` with
its defaults. Texts are lower-cased and freed of control characters by that
class's own operations; broken UTF-8 passes through them as it does there. What
then differs is where `FastWordpieceTokenizer`, five times as fast, splits:
every code point was given to both, and the tables below hold the 31 that it
takes for separators while `BertTokenizer` takes them for letters.
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

# Letters to both that can stand for others: of two bytes (unassigned), of
# three and of four (private use).
_STAND_INS = "378-379 380-383 38B 38D 3A2 530 557-558 E100-E1FF F0000-F00FF"


def stand_ins(pieces: Iterable[str], unknown_word: str) -> dict[str, str]:
    """Characters to put in the place of separators that pieces hold.

    LaBSE's vocabulary has pieces like "##\u00a0000", which `BertTokenizer`
    finds.

    Args:
      pieces: a vocabulary.
      unknown_word: a character that is taken.

    Returns:
      for each separator in a piece a character of as many bytes (words have a
      limit in bytes) that is in no piece.

    Raises:
      InputError: there are too few of them.
    """
    used = {unknown_word}.union(*pieces)
    free = [c for c in map(chr, code_points(_STAND_INS)) if c not in used]
    found = {}
    for letter in map(chr, code_points(_LETTERS)):
        if letter not in used:
            continue
        fitting = [c for c in free if len(c.encode()) == len(letter.encode())]
        if not fitting:
            raise InputError(
                "The vocabulary leaves an unassigned or private-use character "
                "free for each of its separators inside a piece. Received one "
                f"without any for {letter!r}."
            )
        found[letter] = fitting[0]
        free.remove(fitting[0])
    return found


def normalize(
    texts: tf.Tensor,
    unknown_word: str,
    stand_ins: dict[str, str],
    lower_case: bool,
) -> tf.Tensor:
    """Rewrites texts so that both tokenizers see the same words.

    Args:
      texts: string [n].
      unknown_word: a private-use character that is in no piece and no
        stand-in. It stands for characters that are in no piece.
      stand_ins: from `stand_ins`.
      lower_case: whether to lower-case and strip accents as
        `BertTokenizer(lower_case=True)` does.

    Returns:
      string [n].
    """
    if lower_case:
        is_ascii = tf.strings.regex_full_match(texts, r"[\x00-\x7f]*")
        texts = change_rows(tf.strings.lower(texts), ~is_ascii, _lower)
    texts = tf.strings.regex_replace(texts, r"\p{Cc}|\p{Cf}", " ")
    taken = _character_list(stand_ins.values())
    rare = character_class(f"{_LETTERS} {taken}")
    ordinary = tf.strings.regex_full_match(texts, f"[^{rare}]*")

    def replace(texts: tf.Tensor) -> tf.Tensor:
        if stand_ins:
            texts = tf.strings.regex_replace(
                texts, f"[{character_class(taken)}]", unknown_word
            )
        for letter, stand_in in stand_ins.items():
            texts = tf.strings.regex_replace(texts, letter, stand_in)
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
