"""Held-out pairs: find each string's translation among all those held out.

The data is a TSV (or .tsv.gz) with the header source, target, source_language,
target_language. The row "en-de" is of a pair of languages:

- `target_to_source`: the candidates are ALL distinct source strings of that
  source language in the file, whatever language they were translated into;
- `source_to_target`: the candidates are that language's distinct targets.

A query is a distinct string, so that a string held out with two translations
counts once; a match is right if the file holds it as a pair of these languages.
The average is over the languages with at least `min_pairs` strings: a share of
ten strings says little.
"""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from labse import features
from labse.errors import InputError
from labse.evaluation import results, retrieval, statistics

TASK = "pairs"
MIN_PAIRS = 30

Pair = tuple[str, str]


def evaluate(
    encode_fn: retrieval.EncodeFn,
    path: str | Path,
    languages: Sequence[str] = (),
    min_pairs: int = MIN_PAIRS,
) -> results.TaskResult:
    """Judges the encoder on every language of the file.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      path: the TSV of held-out pairs.
      languages: judge only these target languages. The source strings of all
        the others stay candidates.
      min_pairs: languages with fewer distinct strings are not counted in the
        average.

    Raises:
      InputError: the file or an embedding is not as it must be, or no language
        has `min_pairs` strings.
    """
    groups = read_pairs(path)
    candidates: dict[str, dict[str, None]] = {}
    for (source_language, _), rows in groups.items():
        candidates.setdefault(source_language, {}).update(
            dict.fromkeys(source for source, _ in rows)
        )
    wanted = results.choose_languages(
        languages, [language for _, language in groups], path
    )
    judged = {key: rows for key, rows in groups.items() if key[1] in wanted}
    most = max(len({target for _, target in rows}) for rows in judged.values())
    if most < min_pairs:
        raise InputError(
            f"{path}: a language counts in the average from {min_pairs} "
            f"distinct strings on, and none has so many. Received: at most "
            f"{most}. Hold out more pairs, or lower --min_pairs."
        )
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        [
            *(text for texts in candidates.values() for text in texts),
            *(target for rows in judged.values() for _, target in rows),
        ],
    )
    found = [
        _judge(embeddings, key, rows, candidates[key[0]], min_pairs)
        for key, rows in sorted(judged.items(), key=lambda item: item[0][::-1])
    ]
    return results.TaskResult(
        TASK,
        "Each held-out string must find its translation: among all held-out "
        f"source strings ({sum(map(len, candidates.values())):,}), and back "
        "among the held-out strings of its language.",
        [row for row, _ in found],
        "target_to_source",
        mistakes=[mistake for _, mistakes in found for mistake in mistakes],
        neighbours=results.find_neighbours(
            embeddings,
            [
                (source, target, language)
                for (_, language), rows in judged.items()
                for source, target in rows
            ],
        ),
    )


def _judge(
    embeddings: retrieval.TextEmbeddings,
    key: tuple[str, str],
    pairs: list[Pair],
    sources: dict[str, None],
    min_pairs: int,
) -> tuple[results.Row, list[results.Mistake]]:
    name = "-".join(key)
    to_source = retrieval.match_distinct(
        embeddings, retrieval.backwards(pairs), sources
    )
    to_target = retrieval.match_distinct(embeddings, pairs)
    row = results.Row(
        name,
        {
            "target_to_source": _accuracy(to_source),
            "source_to_target": _accuracy(to_target),
        },
        len(to_source),
        counted=len(to_source) >= min_pairs,
        details={"source_language": key[0], "target_language": key[1]},
    )
    return row, results.retrieval_mistakes(name, to_source)


def _accuracy(matches: Sequence[retrieval.Match]) -> statistics.Figure:
    return statistics.mean([match.is_right for match in matches])


def read_pairs(path: str | Path) -> dict[tuple[str, str], list[Pair]]:
    """(source language, target language) -> its (source, target) pairs.

    Raises:
      InputError: it is not a TSV of this kind; the line is named.
    """
    lines = _read_text(Path(path)).split("\n")
    if not lines[-1]:
        lines.pop()
    header = lines[0].removesuffix("\r").split("\t") if lines else []
    missing = [name for name in features.PAIR_COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{path}, line 1: held-out pairs are a TSV with the header "
            f"{', '.join(features.PAIR_COLUMNS)}. Missing: "
            f"{', '.join(missing)}. Received: {' | '.join(header)!r}."
        )
    columns = [header.index(name) for name in features.PAIR_COLUMNS]
    groups: dict[tuple[str, str], list[Pair]] = {}
    for number, line in enumerate(lines[1:], start=2):
        row = line.removesuffix("\r").split("\t")
        if len(row) != len(header) or not all(
            row[column].strip() for column in columns
        ):
            raise InputError(
                f"{path}, line {number}: a row has {len(header)} columns, "
                f"none of {', '.join(features.PAIR_COLUMNS)} empty. "
                f"Received: {' | '.join(row)!r}."
            )
        source, target, source_language, language = (
            row[column] for column in columns
        )
        groups.setdefault((source_language, language), []).append(
            (source, target)
        )
    if not groups:
        raise InputError(f"{path} holds no pairs, only a header.")
    return groups


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise InputError(
            "--data must be a TSV of held-out pairs (.tsv or .tsv.gz). "
            f"Received: {path}, which is not a file."
        )
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the text must be UTF-8. {error}.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: the compressed file is damaged ({error}). Make or fetch "
            "it again."
        ) from error
