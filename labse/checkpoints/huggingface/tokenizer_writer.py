"""Writes a tokenizer as Hugging Face's files."""

import itertools
import pathlib
from collections.abc import Sequence

import tokenizers
from tokenizers import decoders, normalizers, pre_tokenizers, processors

from labse.checkpoints.huggingface import tokenizer_reader
from labse.checkpoints.stored_model import StoredModel
from labse.checkpoints.vocabulary.vocab_txt import write_vocabulary
from labse.errors import InputError
from labse.formats import json_file
from labse.preprocessing.vocabulary import (
    BERT_MAX_CHARACTERS_PER_WORD,
    CLS,
    SEP,
    SPECIAL_PIECES,
    UNK,
)

# The most that UTF-8 needs.
_BYTES_PER_CHARACTER = 4


def check_tokenizer(model: StoredModel) -> None:
    """Raises `InputError` where Hugging Face's ids would differ."""
    config = model.config.tokenizer
    if config.ids != "hugging_face":
        raise InputError(
            f"{model.path} has the ids of TF Hub's preprocessor "
            f"(tokenizer.ids {config.ids}), which a Hugging Face folder "
            "cannot express. Convert it with ids=hugging_face, or to a run."
        )
    least = BERT_MAX_CHARACTERS_PER_WORD * _BYTES_PER_CHARACTER
    if config.max_bytes_per_word < least:
        raise InputError(
            f"{model.path} turns words of more than "
            f"{config.max_bytes_per_word} bytes into [UNK] "
            "(tokenizer.max_bytes_per_word), Hugging Face's tokenizer those "
            f"of more than {BERT_MAX_CHARACTERS_PER_WORD} characters. Only a "
            f"limit of at least {least} can be expressed there."
        )


def write_tokenizer(model: StoredModel, folder: pathlib.Path) -> None:
    """Writes the files of `transformers`' BERT tokenizer."""
    config, vocabulary = model.config.tokenizer, model.vocabulary
    names = tokenizer_reader
    write_vocabulary(folder / names.VOCABULARY, vocabulary)
    fast = _word_piece(model, vocabulary.pieces)
    fast.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(CLS, vocabulary.cls_id), (SEP, vocabulary.sep_id)],
    )
    fast.add_special_tokens(list(SPECIAL_PIECES))
    fast.save(str(folder / names.TOKENIZER), pretty=False)
    json_file.write_json(
        folder / names.CONFIG,
        {
            **names.SPECIAL_NAMES,
            "do_lower_case": config.lower_case,
            "model_max_length": config.max_length,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
            "tokenizer_class": "BertTokenizer",
        },
    )
    json_file.write_json(folder / names.SPECIAL_TOKENS, names.SPECIAL_NAMES)


def write_standalone_tokenizer(
    model: StoredModel, folder: pathlib.Path
) -> None:
    """Writes a tokenizer.json for use without added [CLS] and [SEP].

    Its normalizer puts them before the text, as characters that no text has
    after BERT's normalizer. It also truncates long texts, and reads a special
    piece written out in a text as ordinary words, as our tokenizer does.
    """
    pieces = model.vocabulary.pieces
    free = (chr(code) for code in tokenizer_reader.PRIVATE_USE)
    unused = itertools.filterfalse(set(pieces).__contains__, free)
    marks = {CLS: next(unused), SEP: next(unused)}
    fast = _word_piece(model, [marks.get(piece, piece) for piece in pieces])
    before = tokenizer_reader.prepended(marks.values())
    fast.normalizer = normalizers.Sequence(
        [fast.normalizer, normalizers.Prepend(before)]
    )
    fast.enable_truncation(model.config.tokenizer.max_length)
    fast.save(str(folder / tokenizer_reader.TOKENIZER), pretty=False)


def _word_piece(
    model: StoredModel, pieces: Sequence[str]
) -> tokenizers.Tokenizer:
    """Texts to pieces as BERT's tokenizer does, without [CLS] and [SEP]."""
    ids = {piece: row for row, piece in enumerate(pieces)}
    fast = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            ids,
            unk_token=UNK,
            max_input_chars_per_word=BERT_MAX_CHARACTERS_PER_WORD,
        )
    )
    fast.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=None,  # As `lowercase`.
        lowercase=model.config.tokenizer.lower_case,
    )
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.decoder = decoders.WordPiece(prefix="##")
    return fast
