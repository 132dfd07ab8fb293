"""Examples for a report: wrong matches and nearest texts."""

from collections.abc import Sequence

from labse.evaluation import retrieval
from labse.evaluation.results import Mistake, NeighbourExample
from labse.search.exact_search import exact_search

# Enough examples to see a pattern, few enough to read.
NUM_NEIGHBOUR_QUERIES = 6
NUM_NEIGHBOURS = 6


def retrieval_mistakes(
    row: str, matches: Sequence[retrieval.Match], most: int = 3
) -> list[Mistake]:
    """The wrong matches of the highest scores."""
    wrong = [match for match in matches if not match.is_right]
    wrong.sort(key=lambda match: -match.score)
    return [
        Mistake(
            row,
            match.query,
            match.found,
            match.score,
            match.expected,
            match.expected_score,
        )
        for match in wrong[:most]
    ]


def neighbour_examples(
    embeddings: retrieval.TextEmbeddings, pairs: Sequence[tuple[str, str, str]]
) -> list[NeighbourExample]:
    """Some source texts with the nearest targets of any language.

    The queries are spread over the source texts of 3 to 15 words that have the
    most translations: those show best whether languages share a space. Without
    such texts, any source text may be a query.

    The pairs are (source, target, language of the target).
    """
    languages: dict[str, str] = {}  # of each target, the first one seen
    translations: dict[str, set[str]] = {}
    for source, target, language in pairs:
        languages.setdefault(target, language)
        translations.setdefault(source, set()).add(target)
    phrases = [text for text in translations if 3 <= len(text.split()) <= 15]
    ranked = sorted(
        phrases or translations,
        key=lambda text: (-len(translations[text]), text),
    )[: 10 * NUM_NEIGHBOUR_QUERIES]
    step = max(1, len(ranked) // NUM_NEIGHBOUR_QUERIES)
    queries = sorted(ranked[::step][:NUM_NEIGHBOUR_QUERIES])
    candidates = list(languages)
    indices, scores = exact_search(
        embeddings(queries),
        embeddings(candidates),
        min(NUM_NEIGHBOURS, len(candidates)),
    )
    return [
        NeighbourExample(
            query,
            [
                (
                    candidates[index],
                    languages[candidates[index]],
                    float(score),
                    candidates[index] in translations[query],
                )
                for index, score in zip(row, row_scores, strict=True)
            ],
        )
        for query, row, row_scores in zip(queries, indices, scores, strict=True)
    ]
