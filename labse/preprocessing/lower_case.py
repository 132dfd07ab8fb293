"""Lower-cases texts and strips their accents as uncased BERT does.

The reference is the uncased BERT tokenizer of Hugging Face's `tokenizers`
(`do_lower_case=True, strip_accents=None`): canonical decomposition (NFD),
nonspacing marks removed, lower case letter by letter. The NFD of
`tensorflow_text` and TensorFlow's lower-casing follow a newer Unicode than the
reference; both were run on every code point, and the tables below have those
that they treat differently. `case_fold_utf8` and `FastBertNormalizer` are not
suitable: they fold by compatibility (NFKC), so that "\u00df" becomes "ss" and
the ligature "\ufb01" two letters.
"""

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from labse.preprocessing.rare_characters import (
    change_rows,
    character_class,
    code_points,
)

# Marks that the reference removes: those of Unicode 8.
_ACCENTS = (
    "300-36F 483-487 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7 610-61A 64B-65F 670 "
    "6D6-6DC 6DF-6E4 6E7-6E8 6EA-6ED 711 730-74A 7A6-7B0 7EB-7F3 816-819 "
    "81B-823 825-827 829-82D 859-85B 8E3-902 93A 93C 941-948 94D 951-957 "
    "962-963 981 9BC 9C1-9C4 9CD 9E2-9E3 A01-A02 A3C A41-A42 A47-A48 A4B-A4D "
    "A51 A70-A71 A75 A81-A82 ABC AC1-AC5 AC7-AC8 ACD AE2-AE3 B01 B3C B3F "
    "B41-B44 B4D B56 B62-B63 B82 BC0 BCD C00 C3E-C40 C46-C48 C4A-C4D C55-C56 "
    "C62-C63 C81 CBC CBF CC6 CCC-CCD CE2-CE3 D01 D41-D44 D4D D62-D63 DCA "
    "DD2-DD4 DD6 E31 E34-E3A E47-E4E EB1 EB4-EB9 EBB-EBC EC8-ECD F18-F19 F35 "
    "F37 F39 F71-F7E F80-F84 F86-F87 F8D-F97 F99-FBC FC6 102D-1030 1032-1037 "
    "1039-103A 103D-103E 1058-1059 105E-1060 1071-1074 1082 1085-1086 108D "
    "109D 135D-135F 1712-1714 1732-1734 1752-1753 1772-1773 17B4-17B5 "
    "17B7-17BD 17C6 17C9-17D3 17DD 180B-180D 18A9 1920-1922 1927-1928 1932 "
    "1939-193B 1A17-1A18 1A1B 1A56 1A58-1A5E 1A60 1A62 1A65-1A6C 1A73-1A7C "
    "1A7F 1AB0-1ABD 1B00-1B03 1B34 1B36-1B3A 1B3C 1B42 1B6B-1B73 1B80-1B81 "
    "1BA2-1BA5 1BA8-1BA9 1BAB-1BAD 1BE6 1BE8-1BE9 1BED 1BEF-1BF1 1C2C-1C33 "
    "1C36-1C37 1CD0-1CD2 1CD4-1CE0 1CE2-1CE8 1CED 1CF4 1CF8-1CF9 1DC0-1DF5 "
    "1DFC-1DFF 20D0-20DC 20E1 20E5-20F0 2CEF-2CF1 2D7F 2DE0-2DFF 302A-302D "
    "3099-309A A66F A674-A67D A69E-A69F A6F0-A6F1 A802 A806 A80B A825-A826 "
    "A8C4 A8E0-A8F1 A926-A92D A947-A951 A980-A982 A9B3 A9B6-A9B9 A9BC A9E5 "
    "AA29-AA2E AA31-AA32 AA35-AA36 AA43 AA4C AA7C AAB0 AAB2-AAB4 AAB7-AAB8 "
    "AABE-AABF AAC1 AAEC-AAED AAF6 ABE5 ABE8 ABED FB1E FE00-FE0F FE20-FE2F "
    "101FD 102E0 10376-1037A 10A01-10A03 10A05-10A06 10A0C-10A0F 10A38-10A3A "
    "10A3F 10AE5-10AE6 11001 11038-11046 1107F-11081 110B3-110B6 110B9-110BA "
    "11100-11102 11127-1112B 1112D-11134 11173 11180-11181 111B6-111BE "
    "111CA-111CC 1122F-11231 11234 11236-11237 112DF 112E3-112EA 11300-11301 "
    "1133C 11340 11366-1136C 11370-11374 114B3-114B8 114BA 114BF-114C0 "
    "114C2-114C3 115B2-115B5 115BC-115BD 115BF-115C0 115DC-115DD 11633-1163A "
    "1163D 1163F-11640 116AB 116AD 116B0-116B5 116B7 1171D-1171F 11722-11725 "
    "11727-1172B 16AF0-16AF4 16B30-16B36 16F8F-16F92 1BC9D-1BC9E 1D167-1D169 "
    "1D17B-1D182 1D185-1D18B 1D1AA-1D1AD 1D242-1D244 1DA00-1DA36 1DA3B-1DA6C "
    "1DA75 1DA84 1DA9B-1DA9F 1DAA1-1DAAF 1E8D0-1E8D6 E0100-E01EF"
)

# Later marks and composed letters: TensorFlow Text decomposes or reorders
# them, the reference does not change them.
_NOT_DECOMPOSED = (
    "7FD 897-89F 8CA-8D3 9FE C3C D3B-D3C EBA 1715 1ABF-1ACE 1DF6-1DFA A82C "
    "105C9 105E4 10D24-10D27 10D69-10D6D 10EAB-10EAC 10EFD-10EFF 10F46-10F50 "
    "10F82-10F85 11070 1133B 11383 11385 1138E 11391 113C5 113C7-113C8 "
    "113CE-113D0 1145E 11839-1183A 11938 1193D-1193E 11943 119E0 11A34 11A47 "
    "11A99 11D42 11D44-11D45 11D97 11F41-11F42 16121-16128 1612F 16D68-16D6A "
    "16FF0-16FF1 1E08F 1E130-1E136 1E2AE 1E2EC-1E2EF 1E4EC-1E4EF 1E5EE-1E5EF"
)

# Capitals since Unicode 12, which TensorFlow does not lower-case yet, with the
# distance to their small letters.
_NEW_CAPITALS = {
    "1C89 A7C0 A7CC A7CE A7D0 A7D2 A7D4 A7D6 A7D8 A7DA": 1,
    "2C2F": 0x2C5F - 0x2C2F,
    "A7CB": 0x264 - 0xA7CB,
    "A7DC": 0x19B - 0xA7DC,
    "10570-1057A 1057C-1058A 1058C-10592 10594-10595": 0x10597 - 0x10570,
    "10D50-10D65": 0x10D70 - 0x10D50,
    "16EA0-16EB8": 0x16EBB - 0x16EA0,
}

# Characters are moved by this distance to the private-use planes 15 and 16,
# where NFD changes nothing. The normaliser has removed what was there.
_HIDDEN = 0xF0000

_RARE = "".join(map(character_class, (_NOT_DECOMPOSED, *_NEW_CAPITALS)))


def lower(texts: tf.Tensor) -> tf.Tensor:
    """Lower-cases and strips accents: string [n] to string [n].

    The texts are valid UTF-8 without private-use characters of planes 15 and
    16.
    """
    # Only a text of ASCII has as many characters as bytes.
    is_ascii = tf.strings.length(texts) == tf.strings.length(texts, "UTF8_CHAR")
    return change_rows(tf.strings.lower(texts), ~is_ascii, _lower_any)


def _lower_any(texts: tf.Tensor) -> tf.Tensor:
    ordinary = tf.strings.regex_full_match(texts, f"[^{_RARE}]*")
    texts = change_rows(texts, ~ordinary, _shift_rare)
    texts = tf_text.normalize_utf8(texts, "NFD")
    texts = tf.strings.regex_replace(
        texts, f"[{character_class(_ACCENTS)}]+", ""
    )
    # TensorFlow's result for "I" depends on the machine's locale: in a Turkish
    # one it is a dotless i. ASCII's lower-casing depends on none.
    texts = tf.strings.lower(texts)
    # Capital sigma. At the end of a word it would become a final sigma; the
    # reference ignores neighbours.
    texts = tf.strings.regex_replace(texts, "\u03a3", "\u03c3")
    texts = tf.strings.lower(texts, encoding="utf-8")
    return change_rows(texts, ~ordinary, _show_hidden)


def _shift_rare(texts: tf.Tensor) -> tf.Tensor:
    shifts = dict.fromkeys(code_points(_NOT_DECOMPOSED), _HIDDEN)
    for table, shift in _NEW_CAPITALS.items():
        shifts.update(dict.fromkeys(code_points(table), shift))
    keys = np.array(sorted(shifts), np.int32)
    values = np.array([shifts[key] for key in keys.tolist()], np.int32)

    def move(codes: tf.Tensor) -> tf.Tensor:
        place = tf.minimum(tf.searchsorted(keys, codes), len(keys) - 1)
        shift = tf.where(
            tf.gather(keys, place) == codes, tf.gather(values, place), 0
        )
        return codes + shift

    return _map_code_points(texts, move)


def _show_hidden(texts: tf.Tensor) -> tf.Tensor:
    return _map_code_points(
        texts,
        lambda codes: tf.where(codes >= _HIDDEN, codes - _HIDDEN, codes),
    )


def _map_code_points(texts: tf.Tensor, change) -> tf.Tensor:
    codes = tf.strings.unicode_decode(texts, "UTF-8")  # [n, (characters)]
    return tf.strings.unicode_encode(
        codes.with_values(change(codes.values)), "UTF-8"
    )
