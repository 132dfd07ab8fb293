"""STS benchmark: do similar sentences get similar vectors, as people see it?

The paper's Table 6 and Cer et al. 2017 (https://arxiv.org/abs/1708.00055). The
files are described in `sts_files`.

`pearson_arccos` is the paper's figure: Pearson's correlation of the scores that
people gave with 1 - arccos(cosine) / pi, the similarity of Cer et al. 2018
(Universal Sentence Encoder, section 5). `pearson_cosine` and `spearman_cosine`
correlate the cosine itself; the second depends on the order only, which arccos
does not change.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.evaluation import published, results, retrieval, statistics
from labse.evaluation.tasks import sts_files
from labse.evaluation.tasks.sts_files import ScoredPair

TASK = "sts"
_MOST_MISTAKES = 3
# float32 vectors that should be equal differ in angle by about this much.
_SAME = 1e-6


def evaluate(
    encode_fn: retrieval.EncodeFn, data: str | Path
) -> results.TaskResult:
    """Evaluates the encoder on every file.

    "all" counts the test file alone; without one the development file alone;
    without either every file.

    Raises:
      InputError: a file or an embedding is not as it must be, or a file has
        no correlation: all its pairs have one score, from people or from the
        model.
    """
    files = {
        path.stem.removeprefix("sts-"): path
        for path in sts_files.find_files(data)
    }
    pairs = {name: sts_files.read_pairs(path) for name, path in files.items()}
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (
            text
            for rows in pairs.values()
            for pair in rows
            for text in (pair.first, pair.second)
        ),
    )
    counted = next(([name] for name in ("test", "dev") if name in files), files)
    return results.TaskResult(
        TASK,
        "The similarity of two sentences' vectors should rise with the score "
        "that people gave the pair: correlations, 100 if it always does.",
        [
            _evaluate_file(embeddings, name, path, pairs[name], name in counted)
            for name, path in files.items()
        ],
        "pearson_arccos",
        published=[published.STS],
    )


def _evaluate_file(
    embeddings: retrieval.TextEmbeddings,
    name: str,
    path: Path,
    pairs: Sequence[ScoredPair],
    counted: bool,
) -> results.Row:
    gold = np.array([pair.score for pair in pairs])
    angles = angles_between(
        embeddings([pair.first for pair in pairs]),
        embeddings([pair.second for pair in pairs]),
    )
    if np.ptp(angles) < _SAME:
        raise InputError(
            f"{path}: a correlation needs similarities that differ. Received: "
            f"the angle {angles[0]:.6f} for each of the {len(angles)} pairs. "
            "The model gives all texts one vector; check its training loss, "
            "and whether it depends on its input."
        )
    return results.Row(
        name,
        _figures(gold, angles),
        len(gold),
        counted,
        mistakes=_mistakes(name, pairs, gold, arccos_similarity(angles)),
    )


def _figures(
    gold: np.ndarray, angles: np.ndarray
) -> dict[str, statistics.Figure]:
    arccos, cosines = arccos_similarity(angles), np.cos(angles)
    gold_places, cosine_places = _places(gold), _places(cosines)

    by_name = {
        "pearson_arccos": lambda rows: correlation(gold[rows], arccos[rows]),
        "pearson_cosine": lambda rows: correlation(gold[rows], cosines[rows]),
        "spearman_cosine": lambda rows: correlation(
            _ranks(gold_places[rows]), _ranks(cosine_places[rows])
        ),
    }
    return {
        name: statistics.resampled(statistic, len(gold))
        for name, statistic in by_name.items()
    }


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of float [n] and float [n]; 0 where one is constant.

    Whole data are never constant here, but a bootstrap's draw of few items may
    hold one item only, which shows no relation.
    """
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _places(values: np.ndarray) -> np.ndarray:
    """int64 [n]: the place of each value among the distinct ones."""
    return np.unique(values, return_inverse=True)[1]


def _ranks(places: np.ndarray) -> np.ndarray:
    """float [n]: ranks, equal values sharing their mean rank.

    Counting places is several times faster than sorting, and the bootstrap
    does it thousands of times.
    """
    counts = np.bincount(places)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def angles_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [n], from 0 to pi: the angles of vectors [n, dim], row by row.

    From the lengths of the difference and the sum (Kahan 2006, "How futile are
    mindless assessments of roundoff", section 12): arccos of a cosine near 1
    loses half of the digits, and is NaN where rounding carries it above 1.
    """
    first, second = (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for vectors in (first.astype(np.float64), second.astype(np.float64))
    )
    return 2 * np.arctan2(
        np.linalg.norm(first - second, axis=1),
        np.linalg.norm(first + second, axis=1),
    )


def arccos_similarity(angles: np.ndarray) -> np.ndarray:
    """1 for the same direction, 0 for the opposite one."""
    return 1 - angles / np.pi


def _mistakes(
    name: str,
    pairs: Sequence[ScoredPair],
    gold: np.ndarray,
    similarities: np.ndarray,
) -> list[results.Mistake]:
    """The pairs farthest from the line that Pearson's r measures."""
    slope, start = np.polyfit(gold, similarities, 1)
    expected = start + slope * gold
    worst = np.argsort(-np.abs(similarities - expected), kind="stable")
    return [
        results.Mistake(
            name,
            pairs[item].first,
            pairs[item].second,
            float(similarities[item]),
            f"rated {gold[item]:g} of {sts_files.LARGEST_SCORE}",
            float(expected[item]),
        )
        for item in worst[:_MOST_MISTAKES]
    ]
