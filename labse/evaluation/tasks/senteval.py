"""SentEval: how much do frozen embeddings know that a linear classifier needs?

The paper's Table 4 and Conneau and Kiela 2018 (https://arxiv.org/abs/1803.05449)
with SentEval's own protocol on scikit-learn; docs/design/ lists where
we differ from it and why:

* MR, CR, SUBJ, MPQA: ten-fold cross-validation, the strength of the
  regularisation chosen by ten folds inside each training part;
* TREC, MRPC: the strength chosen by ten folds of the training file; MRPC's
  features are |u - v| and u * v;
* SST2: the strength chosen on the development file.

`senteval_files` describes the folder. Each row has one figure,
`accuracy`; its details hold the chosen strengths (scikit-learn's C), MRPC's F1
and, after cross-validation, SentEval's own figure: the mean over the folds.
"""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.evaluation import published, results, retrieval, statistics
from labse.evaluation.tasks import senteval_files

TASK = "senteval"
# The values of C (less is stricter) in senteval/tools/validation.py.
_STRENGTHS = tuple(2.0**power for power in range(-2, 4))
_STRENGTHS_WITHOUT_DEV = tuple(2.0**power for power in range(-1, 6))
_NUM_FOLDS = 10
_SEED = 1111
_MOST_MISTAKES = 3


@dataclasses.dataclass(frozen=True)
class _Answers:
    """The classifier's answers on the items of the test.

    Attributes:
      probabilities: float [n, classes].
      labels: int64 [n], the right ones.
      strengths: the values of C that were chosen, one a classifier.
      fold_accuracies: of the outer folds, if there were any.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    strengths: list[float]
    fold_accuracies: list[float] = dataclasses.field(default_factory=list)

    @property
    def predicted(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1)


def evaluate(
    encode_fn: retrieval.EncodeFn, data: str | Path
) -> results.TaskResult:
    """Evaluates the encoder on every data set that the folder holds.

    The vectors are used as they are: SentEval neither centres nor scales them.

    Raises:
      InputError: there is no data set, a file or an embedding is not as it
        must be, or scikit-learn is not installed.
    """
    _check_scikit_learn()
    sets = senteval_files.read_sets(data)
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (
            text
            for parts in sets.values()
            for part in parts.values()
            for texts in part.texts
            for text in texts
        ),
    )
    missing = [name for name in senteval_files.NAMES if name not in sets]
    return results.TaskResult(
        TASK,
        "A logistic regression on frozen embeddings must name the class of "
        "each sentence."
        + (f" Not in {data}: {', '.join(missing)}." if missing else ""),
        [
            _evaluate_set(embeddings, name, parts)
            for name, parts in sets.items()
        ],
        "accuracy",
        published=[published.SENTEVAL],
    )


def _check_scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError(
            "SentEval's classifiers need scikit-learn, which is not "
            f"installed: pip install 'labse[evaluation]'. {error}."
        ) from error


def _features(
    embeddings: retrieval.TextEmbeddings, texts: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """float32 [n, dim]; [n, 2 * dim] for pairs."""
    sides = [embeddings(side) for side in zip(*texts, strict=True)]
    if len(sides) == 1:
        return sides[0]
    first, second = sides
    return np.concatenate([np.abs(first - second), first * second], axis=1)


def _evaluate_set(
    embeddings: retrieval.TextEmbeddings,
    name: str,
    parts: dict[str, senteval_files.Examples],
) -> results.Row:
    answers = _classify(
        name,
        {
            part: (_features(embeddings, examples.texts), examples.labels)
            for part, examples in parts.items()
        },
    )
    right = answers.predicted == answers.labels
    details: dict[str, object] = {"strengths": answers.strengths}
    if answers.fold_accuracies:
        # SentEval's own figure; ours weighs each item the same, and the folds
        # differ by an item.
        details["mean_of_folds"] = float(np.mean(answers.fold_accuracies))
    if name == "MRPC":
        details["f1"] = f1(answers.labels, answers.predicted).metrics()
    return results.Row(
        name,
        {"accuracy": statistics.mean(right)},
        len(right),
        details=details,
        mistakes=_mistakes(name, parts["test"].texts, answers),
    )


def f1(labels: np.ndarray, predicted: np.ndarray) -> statistics.Figure:
    """F1 of class 1, int [n] against int [n]; 0 where no item is of it."""

    def statistic(rows: np.ndarray) -> float:
        wanted, found = labels[rows] == 1, predicted[rows] == 1
        total = wanted.sum() + found.sum()
        return 2 * (wanted & found).sum() / total if total else 0.0

    return statistics.resampled(statistic, len(labels))


def _mistakes(
    name: str, texts: Sequence[tuple[str, ...]], answers: _Answers
) -> list[results.Mistake]:
    """The wrong answers of the highest probabilities."""
    labels = senteval_files.LABELS[name]
    probabilities, predicted = answers.probabilities, answers.predicted
    wrong = np.flatnonzero(predicted != answers.labels)
    surest = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return [
        results.Mistake(
            name,
            " | ".join(texts[item]),
            labels[predicted[item]],
            float(probabilities[item, predicted[item]]),
            labels[answers.labels[item]],
            float(probabilities[item, answers.labels[item]]),
        )
        for item in wrong[surest[:_MOST_MISTAKES]]
    ]


_Labelled = tuple[np.ndarray, np.ndarray]  # [n, dim] and int64 [n]


def _classify(name: str, parts: dict[str, _Labelled]) -> _Answers:
    from threadpoolctl import threadpool_limits

    # The products are small: a second thread of BLAS gains little, and waiting
    # for a core that another program uses costs several times as much.
    with threadpool_limits(1):
        return _classify_in_one_thread(name, parts)


def _classify_in_one_thread(name: str, parts: dict[str, _Labelled]) -> _Answers:
    if name in senteval_files.TWO_FILES:
        return _cross_validated(*parts["test"])
    train, (features, labels) = parts["train"], parts["test"]
    if "dev" in parts:
        strength = _best_strength(_STRENGTHS, [(train, parts["dev"])])
    else:
        strength = _best_strength(_STRENGTHS_WITHOUT_DEV, _folds(*train))
    model = next(_fitted(*train, (strength,)))
    return _Answers(model.predict_proba(features), labels, [strength])


def _cross_validated(features: np.ndarray, labels: np.ndarray) -> _Answers:
    """Each item's class by a classifier that has not seen it."""
    probabilities = np.empty([len(labels), 2])
    strengths, accuracies = [], []
    for train_rows, test_rows in _fold_rows(labels):
        train = features[train_rows], labels[train_rows]
        strengths.append(_best_strength(_STRENGTHS, _folds(*train)))
        model = next(_fitted(*train, strengths[-1:]))
        probabilities[test_rows] = model.predict_proba(features[test_rows])
        accuracies.append(model.score(features[test_rows], labels[test_rows]))
    return _Answers(probabilities, labels, strengths, accuracies)


def _fold_rows(labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(_NUM_FOLDS, shuffle=True, random_state=_SEED)
    return folds.split(np.empty(len(labels)), labels)


def _folds(
    features: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[_Labelled, _Labelled]]:
    for train, check in _fold_rows(labels):
        yield (features[train], labels[train]), (features[check], labels[check])


def _best_strength(
    strengths: Sequence[float], splits: Sequence | Iterator
) -> float:
    """The C of the highest mean accuracy; of equal ones the first.

    SentEval rounds the means to 0.01 %, which makes more of them equal.
    """
    accuracies = [
        [model.score(*check) for model in _fitted(*train, strengths)]
        for train, check in splits
    ]
    means = [round(100 * mean, 2) for mean in np.mean(accuracies, axis=0)]
    return strengths[int(np.argmax(means))]


def _fitted(
    features: np.ndarray, labels: np.ndarray, strengths: Sequence[float]
) -> Iterator:
    """The same classifier, fitted with each C in turn.

    Each fit starts from the one before. The loss has one minimum and each fit
    runs until it is reached, so the start changes only the time.
    """
    from sklearn.linear_model import LogisticRegression

    # Newton's method converges in two or three steps; lbfgs, SentEval's
    # default, takes many and stops short of the minimum (docs/design/). But
    # before scikit-learn 1.6 Newton's method has two classes only.
    if len(np.unique(labels)) == 2:
        solver, tolerance = "newton-cholesky", 1e-6
    else:
        solver, tolerance = "lbfgs", 1e-8
    model = LogisticRegression(solver=solver, tol=tolerance, warm_start=True)
    for strength in strengths:
        _fit(model.set_params(C=strength), features, labels)
        yield model


# Precision and most iterations by solver. In float32 Newton's method is twice
# as fast and gives the probabilities to 5e-7. lbfgs gives them to 2e-3 only,
# and others with another number of threads: answers change. In float64 it gives
# them to 1e-6.
_TRIES = {
    "newton-cholesky": ((np.float32, 1000), (np.float64, 100_000)),
    "lbfgs": ((np.float64, 100_000),),
}


def _fit(model, features: np.ndarray, labels: np.ndarray) -> None:
    """Fits until the minimum is reached; raises InputError if it is not."""
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning

    for dtype, most in _TRIES[model.solver]:
        model.set_params(max_iter=most)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("error", LinAlgWarning)
            try:
                model.fit(features.astype(dtype, copy=False), labels)
                return
            except (ConvergenceWarning, LinAlgWarning) as warning:
                problem = warning
    raise InputError(
        "The logistic regression on the embeddings did not converge. "
        f"Received: {len(features)} vectors, the largest component "
        f"{np.abs(features).max():g}. Scale the embeddings to unit length. "
        f"scikit-learn's message: {problem}"
    ) from problem
