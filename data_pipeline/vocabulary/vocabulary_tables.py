"""Tables of the text that a vocabulary was learned from, and of its pieces."""

from collections.abc import Iterable, Mapping, Sequence

from data_pipeline.vocabulary import vocabulary_learner


def describe_languages(
    counts: Mapping[str, Mapping[str, int]], exponent: float
) -> str:
    """A table: words of each language, its share before and after smoothing."""
    words = {language: sum(c.values()) for language, c in counts.items()}
    coefficients = vocabulary_learner.smoothing_coefficients(words, exponent)
    total = sum(words.values())
    lines = [f"{'language':<12}{'words':>14}{'share':>10}{'smoothed':>10}"]
    for language in sorted(coefficients, key=lambda name: (-words[name], name)):
        share = words[language] / total
        smoothed = share * coefficients[language]
        lines.append(
            f"{language:<12}{words[language]:>14,}{share:>10.3%}{smoothed:>10.3%}"
        )
    return "\n".join(lines)


def describe_pieces(
    pieces: Sequence[str], texts: Iterable[tuple[str, bytes]]
) -> str:
    """A table: the pieces of the texts of each language.

    Args:
      pieces: the vocabulary.
      texts: (language, text in valid UTF-8), other ones than for learning.
    """
    from labse.preprocessing import piece_counts
    from labse.preprocessing.tokenizer import WordPieceTokenizer
    from labse.preprocessing.vocabulary import Vocabulary

    counter = piece_counts.PieceCounter(WordPieceTokenizer(Vocabulary(pieces)))
    piece_counts.count_pieces([counter], texts, "reporting")
    rows = sorted(counter.languages.items())
    if len(rows) > 1:
        rows.append(("all", counter.total()))
    lines = [
        f"{'language':<12}{'texts':>10}{'words':>12}{'[UNK] words':>13}"
        f"{'of words':>10}{'pieces per character':>22}"
    ]
    for name, row in rows:
        lines.append(
            f"{name:<12}{row.texts:>10,}{row.words:>12,}"
            f"{row.unknown_words:>13,}{row.unknown_rate:>10.3%}"
            f"{row.pieces_per_character:>22.4f}"
        )
    return "\n".join(lines)
