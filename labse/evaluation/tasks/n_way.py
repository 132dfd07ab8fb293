"""N-way sets: find each line's translation among all lines of another file.

A folder holds aligned files, one a language: line N of each translates line N
of all others. UN P@1 in both directions (the paper's section 4.1, Table 2) is
this with the pivot "en"; FLORES and NTREX are sets of many languages. The name
of a file tells its language by one of its parts between dots, the one place
where the names of the set differ:

```
UNv1.0.devset.ar    UNv1.0.devset.en       UN   (.ids is no language)
eng_Latn.devtest    fra_Latn.devtest       FLORES
newstest2019-src.eng.txt    newstest2019-ref.fra.txt    NTREX
```

Where names differ in several such places, the one with the most files counts.
Where a folder holds several sets, `file_set` says which: "test.*". Other files
in the folder are left alone.

The row "fr-en": each French line is a query, all English lines are candidates,
and those of the language's pool, where there is one.

- `accuracy`: P@1, the line of highest cosine is the query's own. Where a file
  holds a text twice the lowest line counts as found.
- `text_aware_accuracy`: any line is right whose text the files hold as a
  translation of the query's. No encoder can tell equal texts apart.
- `xsim_error`: LASER's xSIM (https://github.com/facebookresearch/LASER,
  source/xsim.py). Of the query's 4 nearest candidates, the one with the highest
  ratio margin (`labse.mining.margin`) is found; the share of lines whose own
  translation it is not. Lower is better.

A row keeps some 100 KB of resampled scores and outcomes for 2,000 lines: the
41,000 pairs of 204 languages need 4 GB, so judge so many with a pivot.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.evaluation import pool_search, results, retrieval, statistics
from labse.evaluation.tasks import aligned_files
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
    """Judges the encoder on every ordered pair of languages.

    The memory taken beside the vectors of `encode_fn`, which may be mapped
    from a file, grows with the number of texts, not with its square.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      data: the folder, see above.
      languages: judge only these, and the pivot.
      pivot: judge only pairs with this language.
      pools: by language, a text file whose lines are further candidates
        wherever this language is searched. Each distinct one counts once, and
        none that the language's own file holds.
      file_set: which set, where the folder holds several: the names of its
        files with * for the language.

    Raises:
      InputError: the folder, a file or an embedding is not as it must be.
    """
    lines, distractors = _read(data, languages, pivot, pools or {}, file_set)
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        itertools.chain(*lines.values(), *distractors.values()),
    )
    center = pivot or next((name for name in _ENGLISH if name in lines), None)
    sides = {
        name: _Side(name, texts, [*texts, *distractors.get(name, [])])
        for name, texts in lines.items()
    }
    judged = {
        (one, other): _judge(
            embeddings, sides[one], sides[other], center in (one, other)
        )
        for one, other in itertools.combinations(lines, 2)
        if pivot in (None, one, other)
    }
    found = [way for ways in judged.values() for way in ways]
    return results.TaskResult(
        TASK,
        "Each line must find its translation among all lines of the other "
        "language, by its number.",
        sorted((way.row for way in found), key=lambda row: row.name),
        "accuracy",
        _groups(lines, center),
        [mistake for way in found for mistake in way.mistakes],
        _examples(embeddings, lines, center),
        [
            results.Curve(
                f"Accuracy of {one} and {other}",
                "number of candidates",
                {way.row.name: way.curve for way in ways},
                powers=True,
            )
            for (one, other), ways in judged.items()
            if center in (one, other)
        ],
    )


@dataclasses.dataclass(frozen=True)
class _Side:
    """A language: its name, its lines, and these with its pool's."""

    name: str
    lines: list[str]
    candidates: list[str]


@dataclasses.dataclass(frozen=True)
class _Way:
    """What was found from one language to another."""

    row: results.Row
    mistakes: list[results.Mistake]
    curve: list[tuple[float, float]]


def _judge(
    embeddings: retrieval.TextEmbeddings,
    one: _Side,
    other: _Side,
    with_curve: bool,
) -> tuple[_Way, _Way]:
    """Both directions, from the same neighbours."""
    there = pool_search.nearest(
        embeddings, one.lines, other.candidates, NUM_NEIGHBOURS
    )
    back = pool_search.nearest(
        embeddings, other.lines, one.candidates, NUM_NEIGHBOURS
    )
    return (
        _judge_way(embeddings, one, other, there, back, with_curve),
        _judge_way(embeddings, other, one, back, there, with_curve),
    )


def _judge_way(
    embeddings: retrieval.TextEmbeddings,
    source: _Side,
    target: _Side,
    there: tuple[np.ndarray, np.ndarray],
    back: tuple[np.ndarray, np.ndarray],
    with_curve: bool,
) -> _Way:
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
    matches = [
        retrieval.Match(
            source.lines[line],
            target.candidates[found[line]],
            int(found[line]),
            float(scores[line]),
            target.lines[line],
            float(own[line]),
        )
        for line in surest
    ]
    curve = []
    if with_curve:
        curve = pool_search.accuracy_by_size(
            embeddings, source.lines, target.candidates, found, own
        )
    return _Way(
        results.Row(
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
        ),
        results.retrieval_mistakes(name, matches),
        curve,
    )


def _wrong_texts(
    source: _Side, target: _Side, wrong: np.ndarray, found: np.ndarray
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
    source: _Side,
    target: _Side,
    there: tuple[np.ndarray, np.ndarray],
    back: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The candidate of highest ratio margin for each line: int64 [n]."""
    indices, cosines = there
    target_means = np.zeros(len(target.candidates))
    target_means[: len(target.lines)] = back[1].mean(axis=1, dtype=np.float64)
    # Of a pool only those are asked back that somebody found.
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


def _groups(languages: Sequence[str], center: str | None):
    """The pairs into and out of the pivot or English, by direction."""
    if center is None:
        return {}
    others = [name for name in languages if name != center]
    return {
        f"into {center}": [f"{name}-{center}" for name in others],
        f"from {center}": [f"{center}-{name}" for name in others],
    }


def _examples(
    embeddings: retrieval.TextEmbeddings,
    lines: Mapping[str, list[str]],
    center: str | None,
) -> list[results.Neighbours]:
    """Of the first lines only: every candidate's vector is copied for it."""
    center = center or next(iter(lines))
    return results.find_neighbours(
        embeddings,
        [
            (source, target, name)
            for name in lines
            if name != center
            for source, target in zip(
                lines[center][:_EXAMPLE_LINES],
                lines[name][:_EXAMPLE_LINES],
                strict=True,
            )
        ],
    )


def _read(
    folder: str | Path,
    languages: Sequence[str],
    pivot: str | None,
    pools: Mapping[str, str | Path],
    file_set: str | None,
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The lines and the further candidates of each language."""
    files = aligned_files.find_files(folder, file_set)
    for flag, names in (
        ("--pivot", [pivot] if pivot else []),
        ("--pool", pools),
    ):
        unknown = [name for name in names if name not in files]
        if unknown:
            raise InputError(
                f"{flag} must name languages of {folder}. Received: "
                f"{', '.join(unknown)}. There are: {', '.join(files)}."
            )
    if languages and pivot:
        languages = [*languages, pivot]
    names = results.choose_languages(languages, list(files), folder)
    if len(names) < 2:
        raise InputError(
            "Languages are judged in pairs, so there must be two at least. "
            f"Received: {names[0]} of {folder}."
        )
    files = {name: files[name] for name in names}
    lines = dict(
        zip(files, aligned_files.read_aligned(files.values()), strict=True)
    )
    distractors = {}
    for name, path in pools.items():
        if name in lines:
            own = set(lines[name])
            distractors[name] = [
                line
                for line in dict.fromkeys(aligned_files.read_lines(path))
                if line not in own
            ]
    return lines, distractors
