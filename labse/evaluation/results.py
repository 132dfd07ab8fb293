"""What a retrieval task found: numbers for a file, matches for a reader.

`metrics.json` holds one object:

```
schema_version   1
task             "tatoeba" or "pairs"
model, data      as the user named them
macro_average    the mean over the counted languages, each weighing the same:
                 target_to_source, source_to_target and, where the languages
                 have them, the other accuracies; and num_languages
languages        a list, sorted by name, of
                   language, source_language
                   num_strings        queries of target_to_source
                   counted            whether it is part of macro_average
                   target_to_source   share of right matches, 0 to 1
                   source_to_target   likewise
                   ...                the task's other accuracies
```

The source is English in all the paper's tasks, so target_to_source is "xx->en".
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import retrieval

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class LanguageResult:
    """How well one language is matched with the source language."""

    language: str
    source_language: str
    accuracies: dict[str, float]  # 0 to 1, under the names of metrics.json
    matches: list[retrieval.Match]  # from the language to the source language
    counted: bool = True


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """A source text and the texts nearest to it in all the languages."""

    query: str
    # (text, language, cosine, whether it is a translation), best first
    found: list[tuple[str, str, float, bool]]


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """All that `labse evaluate` writes and shows of one task."""

    task: str
    explanation: str  # what was asked, in a sentence
    languages: list[LanguageResult]
    neighbours: list[Neighbours]

    @property
    def source_name(self) -> str:
        """The source language; "source" if there are many."""
        names = {result.source_language for result in self.languages}
        return names.pop() if len(names) == 1 else "source"

    @property
    def counted(self) -> list[LanguageResult]:
        """The languages of the macro average; never empty."""
        return [result for result in self.languages if result.counted]

    @property
    def ranked(self) -> list[LanguageResult]:
        """All the languages, the most accurate to the source first."""
        return sorted(
            self.languages,
            key=lambda result: (
                -result.accuracies["target_to_source"],
                result.language,
            ),
        )

    def macro_average(self) -> dict[str, float]:
        """The mean of each accuracy over the counted languages."""
        names = self.counted[0].accuracies
        return {
            name: sum(result.accuracies[name] for result in self.counted)
            / len(self.counted)
            for name in names
        }

    def metrics(self, model: str, data: str) -> dict:
        """The object of metrics.json; the module's docstring describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "model": model,
            "data": data,
            "macro_average": {
                **self.macro_average(),
                "num_languages": len(self.counted),
            },
            "languages": [
                {
                    "language": result.language,
                    "source_language": result.source_language,
                    "num_strings": len(result.matches),
                    "counted": result.counted,
                    **result.accuracies,
                }
                for result in self.languages
            ],
        }


def write_text(path: str | Path, text: str) -> None:
    """Writes a UTF-8 file whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_metrics(path: str | Path, metrics: dict) -> None:
    """Writes metrics.json; the module's docstring describes it."""
    write_text(path, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")


def choose_languages(
    wanted: Sequence[str], available: Sequence[str], where: str | Path
) -> list[str]:
    """The languages to judge, sorted: the wanted ones, or all if none is.

    Raises:
      InputError: a wanted language is not available.
    """
    unknown = sorted(set(wanted) - set(available))
    if unknown:
        raise InputError(
            f"--languages must be in {where}. Received: {', '.join(unknown)}. "
            f"There are: {', '.join(sorted(set(available)))}."
        )
    return sorted(set(wanted or available))


# Enough examples to see a pattern, few enough to read.
NUM_NEIGHBOUR_QUERIES = 6
NUM_NEIGHBOURS = 6


def find_neighbours(
    embeddings: retrieval.TextEmbeddings,
    pairs: Sequence[tuple[str, str, str]],
) -> list[Neighbours]:
    """Examples: the texts of any language nearest to some source texts.

    The queries are spread over the source texts of 3 to 15 words that have the
    most translations: those show best whether languages share a space. Where
    there are none, any source text will do.

    Args:
      embeddings: holds every text of the pairs.
      pairs: (source, target, language of the target).
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
    indices, scores = retrieval.nearest(
        embeddings(queries),
        embeddings(candidates),
        min(NUM_NEIGHBOURS, len(candidates)),
    )
    return [
        Neighbours(
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


def summary(result: TaskResult) -> str:
    """The averages, the best and the worst languages, for a terminal."""
    average = result.macro_average()
    ranked = [found for found in result.ranked if found.counted]
    lines = [f"{result.task}: mean over {len(result.counted)} languages"]
    lines += [
        f"  {name:<30} {100 * share:5.1f} %" for name, share in average.items()
    ]
    for title, some in (("best", ranked[:5]), ("worst", ranked[-5:])):
        shares = ", ".join(
            f"{found.language} {100 * found.accuracies['target_to_source']:.1f}"
            for found in some
        )
        lines.append(f"  {title + ' target_to_source':<30} {shares}")
    return "\n".join(lines)
