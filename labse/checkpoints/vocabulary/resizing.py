"""Makes a model's vocabulary smaller or larger; the new model is a run.

Four fifths of LaBSE are its table of word embeddings, a row for each of
501,153 pieces. A text uses the rows of its own pieces only.

Pruning. WordPiece takes the longest matching piece, from the left. If that
piece is kept, it is also the longest of the kept ones. So a text whose pieces
are all kept, with no [UNK] among them, is tokenized as before, and since the
rows are the same, its vector is bit-identical (in the same batch: another one
changes the rounding). A word that is [UNK] could become readable when a long
piece at its beginning is removed. Those of the text that a vocabulary is pruned
for stay [UNK], because the pieces that they begin with are kept as well.

Growing. A new piece may be longer than the one that matched before, so words
that contain it are tokenized differently; texts in which no new piece occurs
are tokenized as before and keep their vectors, bit-identical in the same batch.

A pre-trainer keeps its masked-LM head; the output biases, one for each piece,
are selected and appended as the rows of the table.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from labse.checkpoints import converted_run
from labse.checkpoints.head_weights import OUTPUT_BIAS
from labse.checkpoints.stored_model import StoredModel
from labse.checkpoints.vocabulary import report as vocabulary_report
from labse.checkpoints.weights import WORD_EMBEDDINGS
from labse.errors import InputError
from labse.files.atomic_write import check_new_folder
from labse.files.texts import Texts
from labse.preprocessing import piece_counts
from labse.preprocessing.new_pieces import check_pieces, read_new_pieces
from labse.preprocessing.piece_counts import PieceCounter, UnknownWords
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import (
    SPECIAL_PIECES,
    SUFFIX_PREFIX,
    Vocabulary,
)

PRUNE_REPORT = "prune_report.json"
GROW_REPORT = "grow_report.json"


@dataclasses.dataclass(frozen=True)
class SelectedRows:
    """Some rows of a table in their order, read block by block.

    Attributes:
      table: has `shape` [n, ...] and `row_blocks()`.
      rows: int [k], ascending.
    """

    table: object
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """[k, ...]."""
        return (len(self.rows), *self.table.shape[1:])

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The rows in float32 blocks."""
        start = 0
        for block in self.table.row_blocks():
            first, last = np.searchsorted(
                self.rows, [start, start + len(block)]
            )
            yield block[self.rows[first:last] - start]
            start += len(block)


@dataclasses.dataclass(frozen=True)
class AppendedRows:
    """A table followed by rows that are means of its rows.

    Attributes:
      table: has `shape` [n, ...] and `row_blocks()`.
      parts: for each new row the rows whose mean it is; one that occurs twice
        counts twice.
    """

    table: object
    parts: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """[n + new rows, ...]."""
        rows, *rest = self.table.shape
        return (rows + len(self.parts), *rest)

    def row_blocks(self) -> Iterator[np.ndarray]:
        """The rows in float32 blocks; the new ones are summed on the way."""
        lengths = np.array([len(part) for part in self.parts], np.int64)
        rows = np.concatenate([np.asarray(part) for part in self.parts])
        order = np.argsort(rows, kind="stable")
        rows, targets = rows[order], np.repeat(np.arange(len(lengths)), lengths)
        targets = targets[order]
        sums = np.zeros([len(lengths), *self.table.shape[1:]], np.float32)
        start = 0
        for block in self.table.row_blocks():
            first, last = np.searchsorted(rows, [start, start + len(block)])
            np.add.at(
                sums, targets[first:last], block[rows[first:last] - start]
            )
            start += len(block)
            yield block
        yield (sums.T / lengths.astype(np.float32)).T


def prune_vocabulary(
    model: StoredModel,
    texts: Texts,
    out: str,
    min_count: int = 1,
    report_texts: Texts | None = None,
) -> dict:
    """Writes a run with only the pieces that a text needs, and its report.

    Kept, in their order, are the special pieces ([PAD], [UNK], [CLS], [SEP],
    [MASK]); every piece that the model's tokenizer gives at least `min_count`
    times; every character of the text, alone and with "##", if the vocabulary
    has it, so that other words can be spelled; and the pieces with which
    words that are [UNK] begin.

    Args:
      min_count: above 1, rarer pieces longer than a character are removed,
        and words that contain them are tokenized differently.
      report_texts: for the report's figures; `texts` if None.

    Raises:
      InputError: `out` exists, or the text is invalid or needs no piece.
    """
    check_new_folder(out)
    tokenizer = _tokenizer(model, model.vocabulary)
    counter = PieceCounter(tokenizer, UnknownWords(tokenizer))
    piece_counts.count_pieces([counter], texts, "counting pieces")
    rows = needed_rows(counter, min_count)
    pieces = model.vocabulary.pieces
    if all(pieces[row] in SPECIAL_PIECES for row in rows):
        raise InputError(
            "Pruning keeps the pieces that the text needs. The text in "
            f"{', '.join(texts.files[:3])} needs none of {model.path}: "
            f"{counter.total().words:,} words, all [UNK] or seen fewer than "
            f"{min_count} times. Is it text of the model's languages?"
        )
    vocabulary = Vocabulary(pieces[row] for row in rows)
    new = PieceCounter(_tokenizer(model, vocabulary))
    if report_texts is None:
        piece_counts.count_pieces([new], texts, "reporting")
    else:
        counter = PieceCounter(tokenizer)
        piece_counts.count_pieces([counter, new], report_texts, "reporting")
    figures = vocabulary_report.text_figures(
        counter, new, (report_texts or texts).files
    )
    resize = functools.partial(SelectedRows, rows=rows)
    return _write(model, vocabulary, resize, out, PRUNE_REPORT, figures)


def needed_rows(counter: PieceCounter, min_count: int) -> np.ndarray:
    """int64 [k], ascending: the pieces to keep, see `prune_vocabulary`."""
    pieces = counter.tokenizer.vocabulary.pieces
    characters = set(counter.unknown.characters)
    for row in np.flatnonzero(counter.counts):
        if pieces[row] not in SPECIAL_PIECES:
            characters.update(pieces[row].removeprefix(SUFFIX_PREFIX))
    keep = counter.counts >= min_count
    keep[list(counter.unknown.ids)] = True
    for row, piece in enumerate(pieces):
        if piece in SPECIAL_PIECES or (
            piece.removeprefix(SUFFIX_PREFIX) in characters
        ):
            keep[row] = True
    return np.flatnonzero(keep)


def grow_vocabulary(
    model: StoredModel,
    pieces_path: str,
    out: str,
    report_texts: Texts | None = None,
) -> dict:
    """Writes a run with more pieces, for a language or domain, and its report.

    New pieces come after the old ones, in the file's order. The row of each
    is the mean of the rows of the pieces that spell it without it, or [UNK]'s
    row if none do.

    Args:
      pieces_path: one piece a line, such as a vocab.txt of `labse
        build-vocab`. Special pieces, [unused...] and pieces that the model
        has are skipped.
      report_texts: for the report's figures; no figures if None.

    Raises:
      InputError: `out` exists, or the file has a piece that the tokenizer can
        never give, or no new piece.
    """
    check_new_folder(out)
    new, known = read_new_pieces(pieces_path, model.vocabulary)
    check_pieces(new, pieces_path, model.config.tokenizer)
    vocabulary = Vocabulary(
        [*model.vocabulary.pieces, *new], f"{model.path} with {pieces_path}"
    )
    ids = {piece: row for row, piece in enumerate(model.vocabulary.pieces)}
    parts, from_unknown = [], 0
    for piece in new:
        word = piece.removeprefix(SUFFIX_PREFIX)
        rows, complete = piece_counts.read_word(word, ids, word != piece)
        parts.append(tuple(rows) if complete else (model.vocabulary.unk_id,))
        from_unknown += not complete
    found = {"added": len(new), "known": known, "from_unknown": from_unknown}
    if report_texts is not None:
        counters = [
            PieceCounter(_tokenizer(model, pieces))
            for pieces in (model.vocabulary, vocabulary)
        ]
        piece_counts.count_pieces(counters, report_texts, "reporting")
        found |= vocabulary_report.text_figures(*counters, report_texts.files)
    resize = functools.partial(AppendedRows, parts=tuple(parts))
    return _write(model, vocabulary, resize, out, GROW_REPORT, found)


def _tokenizer(
    model: StoredModel, vocabulary: Vocabulary
) -> WordPieceTokenizer:
    return WordPieceTokenizer.from_config(vocabulary, model.config.tokenizer)


def _write(
    model: StoredModel,
    vocabulary: Vocabulary,
    resize: Callable[[object], object],
    out: str,
    report_name: str,
    found: dict,
) -> dict:
    """Writes the run with its report; returns the report.

    `resize` makes a table with the new pieces' rows of one with the old ones'.
    """
    old = model.all_weights
    tables = old.keys() & {WORD_EMBEDDINGS, OUTPUT_BIAS}
    weights: Mapping = old | {name: resize(old[name]) for name in tables}
    encoder = dataclasses.replace(
        model.config.encoder, vocab_size=len(vocabulary)
    )
    counts = (len(model.vocabulary), len(vocabulary))
    sizes = vocabulary_report.sizes(old, weights, counts)
    report = {**sizes, **found}
    note = f"vocabulary: {counts[0]} pieces before, {counts[1]} after"
    converted_run.write_run(
        out,
        dataclasses.replace(model.config, encoder=encoder),
        vocabulary,
        weights,
        {**converted_run.source_record(model, note), report_name: report},
    )
    return report
