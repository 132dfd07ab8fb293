"""Held-out pairs: find each string's translation among all those held out.

The data is a file of pairs of any format of docs/file_formats.md. The row
"en-de" is of a pair of languages:

- `target_to_source`: the candidates are ALL distinct source strings of that
  source language in the file, whatever language they were translated into;
- `source_to_target`: the candidates are that language's distinct targets.

A query is a distinct string, so that a string held out with two translations
counts once; a match is right if the file holds it as a pair of these languages.
The average is over the languages with at least `min_pairs` strings: an accuracy
on ten strings means little.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import examples, results, retrieval, statistics
from labse.files.pairs import PairFiles
from labse.files.reading import ReadOptions

TASK = "pairs"
MIN_PAIRS = 30


def evaluate(
    encode_fn: retrieval.EncodeFn,
    data: str | Path,
    languages: Sequence[str] = (),
    min_pairs: int = MIN_PAIRS,
    options: ReadOptions | None = None,
) -> results.TaskResult:
    """Evaluates the encoder on every language of the file.

    Args:
      data: the held-out pairs: a file or a glob.
      languages: evaluate only these target languages. The source strings of
        all the others stay candidates.
      min_pairs: languages with fewer distinct strings are not counted in the
        average.
      options: how the file is read, see `ReadOptions`.

    Raises:
      InputError: the file or an embedding is not as it must be, or no language
        has `min_pairs` strings.
    """
    groups = read_pairs(data, options)
    candidates: dict[str, dict[str, None]] = {}
    for (source_language, _), rows in groups.items():
        candidates.setdefault(source_language, {}).update(
            dict.fromkeys(source for source, _ in rows)
        )
    wanted = results.choose_languages(
        languages, [language for _, language in groups], data
    )
    evaluated = {key: rows for key, rows in groups.items() if key[1] in wanted}
    _check_enough(data, evaluated.values(), min_pairs)
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        [
            *(text for texts in candidates.values() for text in texts),
            *(target for rows in evaluated.values() for _, target in rows),
        ],
    )
    rows = [
        _evaluate_language(
            embeddings, key, evaluated[key], candidates[key[0]], min_pairs
        )
        for key in sorted(evaluated, key=lambda key: key[::-1])
    ]
    return results.TaskResult(
        TASK,
        "Each held-out string must find its translation: among all held-out "
        f"source strings ({sum(map(len, candidates.values())):,}), and back "
        "among the held-out strings of its language.",
        rows,
        "target_to_source",
        neighbours=examples.neighbour_examples(
            embeddings,
            [
                (source, target, language)
                for (_, language), rows in evaluated.items()
                for source, target in rows
            ],
        ),
    )


def _check_enough(
    data: str | Path, groups: Iterable[list[tuple[str, str]]], min_pairs: int
) -> None:
    most = max(len({target for _, target in pairs}) for pairs in groups)
    if most < min_pairs:
        raise InputError(
            f"{data}: a language counts in the average if it has at least "
            f"{min_pairs} distinct strings, and none has. Received: at most "
            f"{most}. Hold out more pairs, or lower min_pairs."
        )


def _evaluate_language(
    embeddings: retrieval.TextEmbeddings,
    key: tuple[str, str],
    pairs: list[tuple[str, str]],
    sources: dict[str, None],
    min_pairs: int,
) -> results.Row:
    name = "-".join(key)
    to_source = retrieval.match_distinct(
        embeddings, retrieval.backwards(pairs), sources
    )
    to_target = retrieval.match_distinct(embeddings, pairs)
    return results.Row(
        name,
        {
            "target_to_source": _accuracy(to_source),
            "source_to_target": _accuracy(to_target),
        },
        len(to_source),
        counted=len(to_source) >= min_pairs,
        details={"source_language": key[0], "target_language": key[1]},
        mistakes=examples.retrieval_mistakes(name, to_source),
    )


def _accuracy(matches: Sequence[retrieval.Match]) -> statistics.Figure:
    return statistics.mean([match.is_right for match in matches])


def read_pairs(
    path: str | Path, options: ReadOptions | None = None
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(source language, target language) -> its (source, target) pairs.

    Raises:
      InputError: there is no such file, or it breaks a rule.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for pair in PairFiles([path], options):
        key = (pair.source_language, pair.target_language)
        groups.setdefault(key, []).append((pair.source, pair.target))
    return groups
