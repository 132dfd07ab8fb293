"""Trains the sentence quality classifier on web pages (section 3.1, note 8).

Pages of some sites are held out: the figures, and the scores that a share of
sentences reaches, are of sites that were not trained on.
"""

import dataclasses
import glob
import hashlib
import heapq
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data_pipeline.holdout import is_held_out
from data_pipeline.quality import features
from data_pipeline.quality.model import QualityModel, threshold_of
from data_pipeline.quality.pages import (
    Page,
    Skipped,
    label_sentences,
    read_bodies,
    read_pages,
)
from data_pipeline.sentences.splitter import split_sentences
from data_pipeline.sentences.terminators import ends_sentence
from labse.errors import InputError

# About 600,000 sentences, at the 119 of the marked pages.
MAX_PAGES = 5000
# Of scikit-learn's logistic regression. Of the marked pages, 0.1 and 1 differ
# by less than 0.001 in average precision.
_INVERSE_PENALTY = 0.3
_NUM_QUANTILES = 1001
SHARES_KEPT = (0.9, 0.75, 0.5, 0.25, 0.1)


@dataclasses.dataclass(frozen=True)
class Sentences:
    """Labelled sentences.

    Attributes:
      texts: the sentences.
      is_main: bool [sentences]: whether of the main content.
    """

    texts: list[str]
    is_main: np.ndarray

    @classmethod
    def of(cls, pages: Iterable[Page]) -> "Sentences":
        """Those of pages, in their order."""
        texts, labels = [], []
        for page in pages:
            main, rest = label_sentences(page, split_sentences)
            texts += [*main, *rest]
            labels += [True] * len(main) + [False] * len(rest)
        return cls(texts, np.array(labels, bool))


@dataclasses.dataclass(frozen=True)
class Curve:
    """Precision by recall of one way to rank the sentences held out.

    Attributes:
      name: of the way.
      average_precision: the area under the curve, in steps.
      points: (recall, precision), in the order of recall.
    """

    name: str
    average_precision: float
    points: list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model, and what its report shows.

    Attributes:
      model: the classifier.
      curves: of the classifier and of trivial ways to rank sentences.
      examples: (score, whether it is main content, sentence) of sentences
        held out, from the best to the worst.
    """

    model: QualityModel
    curves: list[Curve]
    examples: list[tuple[float, bool, str]]


def train_quality(
    inputs: Sequence[str],
    bodies: str | None = None,
    *,
    held_out_share: float = 0.25,
    max_pages: int = MAX_PAGES,
    seed: int = 0,
) -> Trained:
    """Trains on pages.

    The same pages give the same model, in whatever order and under whatever
    names, on any number of threads.

    Args:
      inputs: HTML or WARC files, or globs of them.
      bodies: a file of marked bodies (see `pages.read_bodies`), for HTML files.
        Without it the main content is what resiliparse extracts.
      held_out_share: share of the sites to hold out.
      max_pages: of more pages, this number is used, chosen by a hash.
      seed: of the choice of sites and pages.

    Raises:
      InputError: there are no pages, or none to train on or to hold out.
    """
    skipped = Skipped()
    marked = None if bodies is None else read_bodies(bodies)
    pages = _sample(
        (
            page
            for path in _find(inputs)
            for page in read_pages(path, skipped, marked)
        ),
        max_pages,
        seed,
    )
    used, held = [], []
    for page in pages:
        is_held = is_held_out(page.site, held_out_share, seed)
        (held if is_held else used).append(page)
    figures = {
        "bodies": "extracted by resiliparse" if bodies is None else "marked",
        "pages": len(used),
        "sites": len({page.site for page in used}),
        "pages_held_out": len(held),
        "sites_held_out": len({page.site for page in held}),
        "pages_left_out": dict(sorted(skipped.reasons.items())),
    }
    parts = Sentences.of(used), Sentences.of(held)
    for part, name in zip(parts, ("to train on", "held out"), strict=True):
        if part.is_main.all() or not part.is_main.any():
            raise InputError(
                "There must be main content and other text both to train on "
                f"and held out. Received, {name}, {len(part.texts):,} "
                f"sentences, {int(part.is_main.sum()):,} of them main content, "
                f"from: {figures}. Give pages of more sites."
            )
    return _fit(*parts, figures)


def _find(inputs: Sequence[str]) -> Iterator[str]:
    for pattern in inputs:
        name = glob.escape(pattern) if os.path.exists(pattern) else pattern
        found = sorted(glob.glob(name, recursive=True))
        if not found:
            raise InputError(
                "Every input is a file or a glob that matches one. No file "
                f"matches {pattern!r}."
            )
        yield from found


def _sample(pages: Iterable[Page], most: int, seed: int) -> list[Page]:
    """Different pages, in an order that depends on their text only."""
    kept: dict[int, Page] = {}
    largest: list[int] = []  # A heap of the negative keys.
    for page in pages:
        digest = hashlib.blake2b(
            f"{seed}\t{page.site}".encode(), digest_size=16
        )
        digest.update("\n".join(page.lines).encode("utf-8", "surrogatepass"))
        key = int.from_bytes(digest.digest(), "big")
        if key in kept or (len(kept) == most and key > -largest[0]):
            continue
        kept[key] = page
        heapq.heappush(largest, -key)
        if len(kept) > most:
            del kept[-heapq.heappop(largest)]
    return [kept[key] for key in sorted(kept)]


def _fit(used: Sentences, held: Sentences, figures: dict) -> Trained:
    import threadpoolctl
    from sklearn.linear_model import LogisticRegression

    with threadpoolctl.threadpool_limits(1):
        fitted = LogisticRegression(
            C=_INVERSE_PENALTY, max_iter=5000, tol=1e-5
        ).fit(features.sentence_features(used.texts), used.is_main)
    model = QualityModel(fitted.coef_[0], fitted.intercept_[0], np.zeros(2), {})
    scores = model.scores(held.texts)
    curves = [
        _curve("classifier", scores, held.is_main),
        *(
            _curve(name, ranks, held.is_main)
            for name, ranks in _trivial_ranks(held.texts).items()
        ),
    ]
    figures = {
        **figures,
        "sentences": len(used.texts),
        "sentences_of_main_content": int(used.is_main.sum()),
        "sentences_held_out": len(held.texts),
        "main_content_held_out": int(held.is_main.sum()),
        "average_precision": {
            **{curve.name: curve.average_precision for curve in curves},
            "chance": round(float(held.is_main.mean()), 4),
        },
        "by_share_kept": _by_share(scores, held.is_main),
    }
    levels = np.linspace(0, 1, _NUM_QUANTILES)
    model = dataclasses.replace(
        model,
        quantiles=np.quantile(scores.astype(float), levels),
        figures=figures,
    )
    return Trained(model, curves, _examples(scores, held))


def _trivial_ranks(texts: list[str]) -> dict[str, np.ndarray]:
    lengths = np.array([len(text) for text in texts], float)
    ends = np.array([ends_sentence(text) for text in texts], float)
    return {
        "mark, then length": ends * 1e9 + lengths,
        "length": lengths,
        "mark at the end": ends,
    }


def _curve(name: str, ranks: np.ndarray, is_main: np.ndarray) -> Curve:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(is_main, ranks)
    # The last point, precision 1 at recall 0, is a convention and no ranking.
    points = zip(
        recall[-2::-1].tolist(), precision[-2::-1].tolist(), strict=True
    )
    return Curve(
        name,
        round(float(average_precision_score(is_main, ranks)), 4),
        list(points),
    )


def _by_share(scores: np.ndarray, is_main: np.ndarray) -> list[dict]:
    rows = []
    for share in SHARES_KEPT:
        threshold = threshold_of(scores, share)
        kept = scores >= threshold
        rows.append(
            {
                "share_kept": share,
                "threshold": round(threshold, 4),
                "precision": round(float(is_main[kept].mean()), 4),
                "recall": round(float(kept[is_main].mean()), 4),
            }
        )
    return rows


def _examples(
    scores: np.ndarray, held: Sentences
) -> list[tuple[float, bool, str]]:
    """Some sentences at equal distances of rank."""
    order = np.argsort(-scores, kind="stable")
    places = np.linspace(0, len(order) - 1, min(40, len(order))).astype(int)
    return [
        (float(scores[at]), bool(held.is_main[at]), held.texts[at])
        for at in order[places]
    ]
