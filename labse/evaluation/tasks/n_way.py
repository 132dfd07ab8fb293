"""N-way sets: find each line's translation among all lines of another file.

A folder holds aligned files, one a language: line N of each translates line N
of all others. UN P@1 in both directions (the paper's section 4.1, Table 2) is
this with the pivot "en"; FLORES and NTREX are sets of many languages. The name
of a file has its language between dots, in the one place where the names of
the set differ:

```
UNv1.0.devset.ar    UNv1.0.devset.en       UN   (.ids is no language)
eng_Latn.devtest    fra_Latn.devtest       FLORES
newstest2019-src.eng.txt    newstest2019-ref.fra.txt    NTREX
```

Where names differ in several such places, the one with the most files counts.
Where a folder holds several sets, `file_set` names one: "test.*". Other files
in the folder are ignored.

The row "fr-en": each French line is a query, all English lines are candidates,
and those of the language's pool, where there is one.

- `accuracy`: P@1, the line of highest cosine is the query's own. Where a file
  holds a text twice the lowest line counts as found.
- `text_aware_accuracy`: any line is right whose text the files hold as a
  translation of the query's. No encoder can distinguish equal texts.
- `xsim_error`: LASER's xSIM (https://github.com/facebookresearch/LASER,
  source/xsim.py). Of the query's 4 nearest candidates, the one with the highest
  ratio margin (`labse.mining.margin`) is found; the error is the share of
  lines whose own translation it is not. Lower is better.

A row keeps some 100 KB of resampled scores and outcomes for 2,000 lines: the
41,000 pairs of 204 languages would need 4 GB, so use a pivot with as many.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from labse.evaluation import (
    examples,
    pool_search,
    published,
    results,
    retrieval,
    statistics,
)
from labse.evaluation.tasks import aligned_files
from labse.evaluation.tasks.aligned_files import Language
from labse.mining import margin

TASK = "n_way"
NUM_NEIGHBOURS = 4  # xSIM's k
_ENGLISH = ("en", "eng", "eng_Latn")
_EXAMPLE_LINES = 1000


def evaluate(
    encode_fn: retrieval.EncodeFn,
    data: str | Path,
    languages: Sequence[str] = (),
    pivot: str | None = None,
    pools: Mapping[str, str | Path] | None = None,
    file_set: str | None = None,
) -> results.TaskResult:
    """Evaluates the encoder on every ordered pair of languages.

    The memory taken beside the vectors of `encode_fn`, which may be mapped
    from a file, grows with the number of texts, not with its square.

    Args:
      data: the folder, see above.
      languages: evaluate only these, and the pivot.
      pivot: evaluate only pairs with this language.
      pools: by language, a text file whose lines are further candidates
        wherever this language is searched. Each distinct one counts once, and
        those in the language's own file are left out.
      file_set: which set, where the folder holds several: the names of its
        files with * for the language.
    """
    files = aligned_files.find_files(data, file_set)
    sides = aligned_files.read_languages(files, languages, pivot, pools or {})
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        itertools.chain(
            *(side.lines for side in sides.values()),
            *(side.candidates for side in sides.values()),
        ),
    )
    center = pivot or next((name for name in _ENGLISH if name in sides), None)
    evaluated = {
        (one, other): _evaluate_pair(
            embeddings, sides[one], sides[other], center in (one, other)
        )
        for one, other in itertools.combinations(sides, 2)
        if pivot in (None, one, other)
    }
    directions = [each for both in evaluated.values() for each in both]
    needed = {"en", *published.UN_LANGUAGES}
    is_un = needed <= set(files) <= {"ar", *needed}
    return results.TaskResult(
        TASK,
        "Each line must find its translation among all lines of the other "
        "language, by its number.",
        sorted((row for row, _ in directions), key=lambda row: row.name),
        "accuracy",
        groups=_groups(list(sides), center, is_un),
        neighbours=_examples(embeddings, sides, center),
        curves=_curves(evaluated, center),
        published=[published.UN] if is_un else [],
    )


# Indices int64 [n, k] into the candidates, best first, and their cosines.
_Nearest = tuple[np.ndarray, np.ndarray]
# The row, and accuracies by the number of candidates.
_Direction = tuple[results.Row, list[tuple[float, float]]]


def _evaluate_pair(
    embeddings: retrieval.TextEmbeddings,
    one: Language,
    other: Language,
    with_curve: bool,
) -> tuple[_Direction, _Direction]:
    """Both directions, from the same neighbours."""
    there = pool_search.nearest(
        embeddings, one.lines, other.candidates, NUM_NEIGHBOURS
    )
    back = pool_search.nearest(
        embeddings, other.lines, one.candidates, NUM_NEIGHBOURS
    )
    return (
        _evaluate_direction(embeddings, one, other, there, back, with_curve),
        _evaluate_direction(embeddings, other, one, back, there, with_curve),
    )


def _evaluate_direction(
    embeddings: retrieval.TextEmbeddings,
    source: Language,
    target: Language,
    there: _Nearest,
    back: _Nearest,
    with_curve: bool,
) -> _Direction:
    name = f"{source.name}-{target.name}"
    numbers = np.arange(len(source.lines))
    found, scores = there[0][:, 0], there[1][:, 0]
    wrong = np.flatnonzero(found != numbers)
    text_wrong = _wrong_texts(source, target, wrong, found)
    xsim = _xsim(embeddings, source, target, there, back)
    outcomes = {
        "accuracy": found == numbers,
        "xsim_error": xsim != numbers,
        "text_aware_accuracy": ~np.isin(numbers, text_wrong),
    }
    own = pool_search.cosines(embeddings, source.lines, target.lines)  # [n]
    surest = text_wrong[np.argsort(-scores[text_wrong], kind="stable")][:3]
    mistakes = [
        results.Mistake(
            name,
            source.lines[line],
            target.candidates[found[line]],
            float(scores[line]),
            target.lines[line],
            float(own[line]),
        )
        for line in surest
    ]
    row = results.Row(
        name,
        {
            figure: statistics.mean(values)
            for figure, values in outcomes.items()
        },
        len(source.lines),
        details={
            "source_language": source.name,
            "target_language": target.name,
            "num_candidates": len(target.candidates),
        },
        mistakes=mistakes,
    )
    curve = []
    if with_curve:
        curve = pool_search.accuracy_by_size(
            embeddings, source.lines, target.candidates, found, own
        )
    return row, curve


def _curves(
    evaluated: Mapping[tuple[str, str], tuple[_Direction, _Direction]],
    center: str | None,
) -> list[results.Curve]:
    return [
        results.Curve(
            f"Accuracy of {one} and {other}",
            "number of candidates",
            {row.name: curve for row, curve in both},
            log_x=True,
        )
        for (one, other), both in evaluated.items()
        if center in (one, other)
    ]


def _wrong_texts(
    source: Language, target: Language, wrong: np.ndarray, found: np.ndarray
) -> np.ndarray:
    """Those of the wrong lines whose found text is no translation either."""
    queries = {source.lines[line] for line in wrong}
    pairs = {
        pair
        for pair in zip(source.lines, target.lines, strict=True)
        if pair[0] in queries
    }
    return np.array(
        [
            line
            for line in wrong
            if (source.lines[line], target.candidates[found[line]]) not in pairs
        ],
        np.int64,
    )


def _xsim(
    embeddings: retrieval.TextEmbeddings,
    source: Language,
    target: Language,
    there: _Nearest,
    back: _Nearest,
) -> np.ndarray:
    """The candidate of highest ratio margin for each line: int64 [n]."""
    indices, cosines = there
    target_means = np.zeros(len(target.candidates))
    target_means[: len(target.lines)] = back[1].mean(axis=1, dtype=np.float64)
    # In a pool, only candidates that were found need their own neighbours.
    extra = np.unique(indices[indices >= len(target.lines)])
    if len(extra):
        texts = [target.candidates[index] for index in extra]
        _, extra_cosines = pool_search.nearest(
            embeddings, texts, source.candidates, NUM_NEIGHBOURS
        )
        target_means[extra] = extra_cosines.mean(axis=1, dtype=np.float64)
    source_means = cosines.mean(axis=1, dtype=np.float64)
    scores = margin.score(
        cosines, source_means[:, None], target_means[indices], "ratio"
    )  # [n, k]
    best = scores.argmax(axis=1)  # Of equal margins the nearest.
    return indices[np.arange(len(indices)), best]


def _groups(
    languages: Sequence[str], center: str | None, is_un: bool
) -> dict[str, list[str]]:
    """The pairs into and out of the pivot or English, by direction."""
    if center is None:
        return {}
    others = [name for name in languages if name != center]
    groups = {
        f"into {center}": [f"{name}-{center}" for name in others],
        f"from {center}": [f"{center}-{name}" for name in others],
    }
    if is_un and center == "en" and {*published.UN_LANGUAGES} <= {*others}:
        groups[published.UN_GROUP] = [
            f"en-{name}" for name in published.UN_LANGUAGES
        ]
    return groups


def _examples(
    embeddings: retrieval.TextEmbeddings,
    sides: Mapping[str, Language],
    center: str | None,
) -> list[results.NeighbourExample]:
    """Of the first lines only: every candidate's vector is copied for it."""
    center = center or next(iter(sides))
    return examples.neighbour_examples(
        embeddings,
        [
            (source, target, name)
            for name, side in sides.items()
            if name != center
            for source, target in zip(
                sides[center].lines[:_EXAMPLE_LINES],
                side.lines[:_EXAMPLE_LINES],
                strict=True,
            )
        ],
    )
