"""Reads the tokenizer in a Hugging Face folder: BERT's, cased or uncased.

What `transformers` runs depends on `tokenizer_class`. BertTokenizer takes the
vocabulary from tokenizer.json (without one, from vocab.txt), but casing from
tokenizer_config.json, lower case by default, whatever the normalizer in
tokenizer.json says. The general class uses tokenizer.json as it is. Both were
tried with version 5.23. So does sentence-transformers' StaticEmbedding, which
adds no [CLS] and [SEP]: in folders that we write the normalizer puts two
characters for them before a text.
"""

import pathlib
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from labse.checkpoints.vocabulary import added_tokens
from labse.checkpoints.vocabulary.vocab_txt import read_vocabulary
from labse.errors import InputError
from labse.formats import json_file, model_file
from labse.formats.json_file import JsonObject
from labse.formats.model_file import shown
from labse.preprocessing.vocabulary import (
    BERT_MAX_CHARACTERS_PER_WORD,
    CLS,
    MASK,
    PAD,
    SEP,
    SUFFIX_PREFIX,
    UNK,
    Vocabulary,
)

VOCABULARY = "vocab.txt"
TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
NUM_ADDED = 2  # [CLS] and [SEP].
# Characters that BERT's normalizer removes from every text.
PRIVATE_USE = range(0xE000, 0xF900)

_BERT_CLASSES = ("BertTokenizer", "BertTokenizerFast")
_GENERAL_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
SPECIAL_NAMES = {
    "unk_token": UNK,
    "sep_token": SEP,
    "pad_token": PAD,
    "cls_token": CLS,
    "mask_token": MASK,
}
_SUPPORTED = (
    "Supported are BERT's tokenizers alone: WordPiece, cased (accents kept) "
    "or uncased (accents stripped), Chinese characters apart"
)


class Tokenizer(NamedTuple):
    """What is known about a tokenizer.

    Attributes:
      vocabulary: its pieces.
      lower_case: whether it is uncased; None if not recorded.
      max_length: the longest input with [CLS] and [SEP]; None if not
        recorded.
      adds_special: whether it adds [CLS] and [SEP].
      notes: for the user.
      files: that were read.
      origin: the file of the vocabulary.
    """

    vocabulary: Vocabulary
    lower_case: bool | None
    max_length: float | None
    notes: tuple[str, ...]
    files: tuple[pathlib.Path, ...]
    origin: pathlib.Path
    adds_special: bool = True


def read_tokenizer(
    folder: pathlib.Path, model: JsonObject, vocabulary: str | None
) -> Tokenizer:
    """Reads a folder's tokenizer files.

    `model` is config.json, which may also name the tokenizer's class. The file
    `vocabulary` is used if the folder has none.

    Raises:
      InputError: there is no vocabulary, files are invalid or contradict one
        another, or the tokenizer is not BERT's.
    """
    config = json_file.read_optional_object(folder / CONFIG)
    tokenizer = json_file.read_optional_object(
        folder / TOKENIZER, json_file.MAX_TOKENIZER_BYTES
    )
    special = json_file.read_optional_object(folder / SPECIAL_TOKENS)
    added = json_file.read_optional_object(folder / ADDED_TOKENS)
    _check_config(config, model)
    _check_special_tokens(config)
    _check_special_tokens(special)
    if tokenizer.values:
        _check_tokenizer(tokenizer)
        _check_post_processor(tokenizer)
    base, origin = _vocabulary(folder, tokenizer, vocabulary)
    kind = config.text("tokenizer_class", None) or model.text(
        "tokenizer_class", None
    )
    general = kind in _GENERAL_CLASSES
    lower_case, notes = _lower_case(config, tokenizer, general)
    pieces, added_notes = added_tokens.extend_pieces(
        *(base, lower_case is not False, tokenizer, config, special, added)
    )
    vocabulary, notes = Vocabulary(pieces, str(origin)), notes + added_notes
    if lower_case is None and vocabulary.has_capitals:
        # Only the vocabulary exists, and it is a cased one.
        lower_case = False
        note = (
            "casing: kept, because the vocabulary has capitals. Without "
            f"{CONFIG} transformers would lower-case, and its vectors would "
            'differ: write {"do_lower_case": false} into that file'
        )
        warnings.warn(f"{folder}: {note}.", stacklevel=2)
        notes += (note,)
    files = (config.path, tokenizer.path, special.path, added.path, origin)
    return Tokenizer(
        vocabulary=vocabulary,
        lower_case=lower_case,
        max_length=config.number("model_max_length"),
        notes=notes,
        files=tuple(dict.fromkeys(file for file in files if file.is_file())),
        origin=origin,
    )


def read_standalone_tokenizer(folder: pathlib.Path) -> Tokenizer:
    """Reads a tokenizer.json that is used without adding [CLS] and [SEP].

    Raises:
      InputError: there is none, or it is not BERT's.
    """
    tokenizer = json_file.read_object(
        folder / TOKENIZER, json_file.MAX_TOKENIZER_BYTES
    )
    marks = _take_marks(tokenizer)
    _check_tokenizer(tokenizer)
    if tokenizer.values.get("post_processor") is not None:
        _check_post_processor(tokenizer)
    normalizer = tokenizer.child("normalizer")
    lower_case = normalizer.flag("lowercase")
    if lower_case is None:
        raise normalizer.wrong("lowercase", "true or false")
    _check_accents(normalizer, lower_case)
    longest = _truncation(tokenizer)
    if longest is not None and not marks:
        longest += NUM_ADDED
    pieces = [marks.get(piece, piece) for piece in _pieces(tokenizer)]
    pieces, notes = added_tokens.extend_pieces(pieces, lower_case, tokenizer)
    return Tokenizer(
        vocabulary=Vocabulary(pieces, str(tokenizer.path)),
        lower_case=lower_case,
        max_length=longest,
        notes=notes,
        files=(tokenizer.path,),
        origin=tokenizer.path,
        adds_special=bool(marks),
    )


def _take_marks(tokenizer: JsonObject) -> dict[str, str]:
    """The characters that represent [CLS] and [SEP], if the file has them.

    Then its normalizer is [BertNormalizer, Prepend]; Prepend is removed.
    """
    normalizer = tokenizer.child("normalizer")
    if normalizer.values.get("type") != "Sequence":
        return {}
    parts = normalizer.values.get("normalizers")
    text = None
    if isinstance(parts, list) and len(parts) == 2:
        bert, prepend = parts
        if isinstance(bert, dict) and isinstance(prepend, dict):
            text = prepend.get("prepend")
    marks = text.split() if isinstance(text, str) else []
    pieces = tokenizer.child("model").child("vocab").values
    if (
        len(set(marks)) != NUM_ADDED
        or not all(mark in pieces for mark in marks)
        or prepend.get("type") != "Prepend"
        or text != prepended(marks)
        or any(len(m) > 1 or ord(m) not in PRIVATE_USE for m in marks)
    ):
        raise InputError(
            f"{tokenizer.path}: a normalizer that is a Sequence must be "
            "BertNormalizer and the Prepend of two private-use pieces for "
            f"{CLS} and {SEP}, as labse convert writes it. {_SUPPORTED}."
        )
    tokenizer.values["normalizer"] = bert
    return dict(zip(marks, (CLS, SEP), strict=True))


def prepended(marks: Iterable[str]) -> str:
    """What the normalizer puts before a text: each mark as its own word."""
    return "".join(f"{mark} " for mark in marks)


def _truncation(tokenizer: JsonObject) -> int | None:
    tokenizer.must_be("padding")
    truncation = tokenizer.child("truncation")
    if not truncation.values:
        return None
    truncation.must_be("direction", "Right")
    truncation.must_be("strategy", "LongestFirst", "OnlyFirst")
    return truncation.integer("max_length")


def _check_config(config: JsonObject, model: JsonObject) -> None:
    for where in (config, model):
        # For example BertJapaneseTokenizer, which also has a vocab.txt.
        where.must_be("tokenizer_class", *_BERT_CLASSES, *_GENERAL_CLASSES)
    config.must_lack("auto_map", "never_split")
    config.must_hold(
        tokenize_chinese_chars=True,
        do_basic_tokenize=True,
        padding_side="right",
        truncation_side="right",
    )


def _check_special_tokens(names: JsonObject) -> None:
    """They are strings, or objects with `content`."""
    for key, piece in SPECIAL_NAMES.items():
        value = names.values.get(key)
        if isinstance(value, dict):
            names.child(key).must_be("content", piece)
        else:
            names.must_be(key, piece)


def _check_tokenizer(tokenizer: JsonObject) -> None:
    """Checks how texts become pieces, except vocabulary and casing."""
    model = tokenizer.child("model")
    # Old files lack it.
    model.must_be("type", "WordPiece")
    if "unk_token" not in model.values:
        raise model_file.damaged(tokenizer.path, "has no WordPiece model")
    model.must_hold(
        unk_token=UNK,
        continuing_subword_prefix=SUFFIX_PREFIX,
        max_input_chars_per_word=BERT_MAX_CHARACTERS_PER_WORD,
    )
    _part(tokenizer, "pre_tokenizer").must_be("type", "BertPreTokenizer")
    _part(tokenizer, "normalizer").must_hold(
        type="BertNormalizer", clean_text=True, handle_chinese_chars=True
    )


def _part(tokenizer: JsonObject, name: str) -> JsonObject:
    part = tokenizer.child(name)
    if "type" not in part.values:
        raise InputError(f"{tokenizer.path} has no {name}. {_SUPPORTED}.")
    return part


def _check_post_processor(tokenizer: JsonObject) -> None:
    processor = _part(tokenizer, "post_processor")
    ids = tokenizer.child("model").child("vocab").values
    processor.must_be("type", "TemplateProcessing", "BertProcessing")
    for name, key in ((CLS, "cls"), (SEP, "sep")):
        if processor.values["type"] == "BertProcessing":
            processor.must_be(key, [name, ids.get(name)])
        else:
            special = processor.child("special_tokens").child(name)
            special.must_be("ids", [ids.get(name)])
    if processor.values["type"] == "TemplateProcessing":
        processor.must_be(
            "single",
            [
                {"SpecialToken": {"id": CLS, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": SEP, "type_id": 0}},
            ],
        )


def _lower_case(
    config: JsonObject, tokenizer: JsonObject, general: bool
) -> tuple[bool | None, tuple[str, ...]]:
    """Casing as `transformers` takes it, and notes on contradictions."""
    normalizer = tokenizer.child("normalizer")
    fast = normalizer.flag("lowercase")
    configured = config.flag("do_lower_case")
    if general:
        if fast is None:
            raise InputError(
                f"{config.path.parent} names a tokenizer class that needs "
                f"{TOKENIZER} with a normalizer that says whether it is lower "
                "case."
            )
        _check_accents(normalizer, fast)
        return fast, _contradiction(configured, fast, TOKENIZER, tokenizer.path)
    if configured is None and fast is None:
        return None, ()
    # BertTokenizer's default is lower case.
    chosen = True if configured is None else configured
    _check_accents(config, chosen)
    if fast is None or fast == chosen:
        return chosen, ()
    return chosen, _contradiction(fast, chosen, CONFIG, config.path)


def _check_accents(where: JsonObject, lower_case: bool) -> None:
    strip = where.flag("strip_accents")
    if strip is not None and strip != lower_case:
        raise InputError(
            f"{where.path}: {where.where}strip_accents must be absent or as "
            f"lower case is, {shown(lower_case)}. Received: {strip}. "
            f"{_SUPPORTED}."
        )


def _contradiction(
    other: bool | None, chosen: bool, winner: str, path: pathlib.Path
) -> tuple[str, ...]:
    if other is None or other == chosen:
        return ()
    return (
        f"{TOKENIZER} and {CONFIG} in {path.parent} contradict each other on "
        f"lower case; {winner} is what transformers follows: {chosen}",
    )


def _vocabulary(
    folder: pathlib.Path, tokenizer: JsonObject, chosen: str | None
) -> tuple[list[str], pathlib.Path]:
    """The pieces and the file they are from."""
    path = folder / VOCABULARY
    if not tokenizer.values:
        if not model_file.exists(path):
            if chosen:
                pieces = read_vocabulary(chosen).pieces
                return list(pieces), pathlib.Path(chosen)
            raise InputError(
                f"{folder} has no vocabulary: neither {VOCABULARY} nor "
                f"{TOKENIZER}. Fetch it, or state the path of a vocab.txt."
            )
        return list(read_vocabulary(path).pieces), path
    pieces = _pieces(tokenizer)
    if model_file.exists(path):
        in_file = read_vocabulary(path)
        if list(in_file.pieces) != pieces:
            raise model_file.damaged(
                path,
                f"and {tokenizer.path} hold different vocabularies "
                f"({len(in_file):,} and {len(pieces):,} pieces). Both must be "
                "of one model",
            )
    return pieces, tokenizer.path


def _pieces(tokenizer: JsonObject) -> list[str]:
    """tokenizer.json's pieces in the order of their ids."""
    ids = tokenizer.child("model").child("vocab").values
    by_id = {
        number: piece for piece, number in ids.items() if type(number) is int
    }
    if not ids or by_id.keys() != set(range(len(ids))):
        raise InputError(
            f"{tokenizer.path}: model.vocab must give {len(ids):,} pieces the "
            f"ids from 0 to {len(ids) - 1:,}, each once. It does not."
        )
    pieces = [by_id[number] for number in range(len(ids))]
    for piece in pieces:
        # No lone surrogate, and no line end, which vocab.txt cannot hold.
        if "\n" in piece or any("\ud800" <= c <= "\udfff" for c in piece):
            raise InputError(
                f"{tokenizer.path}: a piece must be one line of text. "
                f"Received: {shown(piece)}."
            )
    return pieces
