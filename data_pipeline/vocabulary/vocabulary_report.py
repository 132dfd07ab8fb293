"""What a vocabulary was learned from, and how it fits held-out text."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from data_pipeline.vocabulary.smoothing import smoothing_coefficients

if TYPE_CHECKING:
    from labse.preprocessing.piece_counts import Figures


@dataclasses.dataclass(frozen=True)
class LanguageShare:
    """A language's words in the text to learn from."""

    language: str
    words: int
    share: float
    smoothed: float


def language_shares(
    words: Mapping[str, int], exponent: float
) -> list[LanguageShare]:
    """Shares of language -> words before and after smoothing, largest first."""
    coefficients = smoothing_coefficients(words, exponent)
    total = sum(words.values())
    return [
        LanguageShare(
            name,
            words[name],
            words[name] / total,
            words[name] / total * coefficients[name],
        )
        for name in sorted(coefficients, key=lambda name: (-words[name], name))
    ]


def describe_shares(shares: Iterable[LanguageShare]) -> str:
    """A table of the languages."""
    lines = [f"{'language':<12}{'words':>14}{'share':>10}{'smoothed':>10}"]
    lines += [
        f"{row.language:<12}{row.words:>14,}{row.share:>10.3%}"
        f"{row.smoothed:>10.3%}"
        for row in shares
    ]
    return "\n".join(lines)


def count_pieces(
    pieces: Sequence[str], texts: Iterable[tuple[str, bytes]]
) -> "dict[str, Figures]":
    """Figures of each language and of all, with more than one.

    Args:
      pieces: the vocabulary.
      texts: (language, text in valid UTF-8), other ones than for learning.
    """
    from labse.preprocessing import piece_counts
    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import Vocabulary

    counter = piece_counts.PieceCounter(WordPieceTokenizer(Vocabulary(pieces)))
    piece_counts.count_pieces([counter], texts, "reporting")
    figures = dict(sorted(counter.languages.items()))
    if len(figures) > 1:
        figures["all"] = counter.total()
    return figures


def describe_pieces(figures: "Mapping[str, Figures]") -> str:
    """A table of what `count_pieces` returns."""
    lines = [
        f"{'language':<12}{'texts':>10}{'words':>12}{'[UNK] words':>13}"
        f"{'of words':>10}{'pieces per word':>17}{'per character':>15}"
    ]
    lines += [
        f"{name:<12}{row.texts:>10,}{row.words:>12,}"
        f"{row.unknown_words:>13,}{row.unknown_rate:>10.3%}"
        f"{row.pieces_per_word:>17.3f}{row.pieces_per_character:>15.4f}"
        for name, row in figures.items()
    ]
    return "\n".join(lines)


def report_as_json(
    shares: Iterable[LanguageShare],
    coverage: Mapping[str, tuple[int, int, float]],
    figures: "Mapping[str, Figures]",
) -> dict:
    """All of it, for a file.

    Args:
      shares: of the languages to learn from.
      coverage: of `characters.coverage_by_script`.
      figures: of `count_pieces`; empty without held-out text.
    """
    return {
        "languages": [dataclasses.asdict(row) for row in shares],
        "scripts": {
            name: {"characters": found, "kept": kept, "share_of_text": share}
            for name, (found, kept, share) in coverage.items()
        },
        "held_out": {
            name: {
                **dataclasses.asdict(row),
                "unknown_rate": row.unknown_rate,
                "pieces_per_word": row.pieces_per_word,
                "pieces_per_character": row.pieces_per_character,
            }
            for name, row in figures.items()
        },
    }
