"""The sentence quality classifier: a file, and the scores that it gives.

The file is JSON, never code: weights of the features of `features.py`, the
scores that stand at each share kept, and figures of the training.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from data_pipeline.quality import features
from labse.errors import InputError
from labse.files.atomic_write import write_text

# Changes whenever the same text would have other features.
FEATURES_VERSION = 1
_FORMAT = "labse sentence quality classifier"
_CHUNK_CHARACTERS = 2**21


@dataclasses.dataclass(frozen=True)
class QualityModel:
    """The classifier; picklable and small.

    Attributes:
      weights: float64 [features.NUM_FEATURES].
      bias: of the score.
      quantiles: scores of the sentences of the pages held out, at equal
        distances: from the lowest to the highest.
      figures: of the training, as `training.py` has them.
    """

    weights: np.ndarray
    bias: float
    quantiles: np.ndarray
    figures: Mapping[str, object]

    @classmethod
    def read(cls, path: str | os.PathLike) -> "QualityModel":
        """Reads a file of `write`.

        Raises:
          InputError: there is none, or one of another version.
        """
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(_not_a_model(path, error.strerror)) from error
        except ValueError as error:  # Not UTF-8, or not JSON.
            raise InputError(_not_a_model(path, str(error))) from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise InputError(_not_a_model(path, str(found)[:80]))
        version = found.get("features_version")
        if version != FEATURES_VERSION:
            raise InputError(
                f"{os.fspath(path)}: the features have version "
                f"{FEATURES_VERSION}. Received a model of version {version}. "
                "Train it again with labse train-quality."
            )
        return cls._from_json(path, found)

    @classmethod
    def _from_json(cls, path, found: dict) -> "QualityModel":
        try:
            weights = np.zeros(features.NUM_FEATURES)
            weights[: len(features.NAMES)] = [
                found["weights"][name] for name in features.NAMES
            ]
            for number, weight in found["weights_of_runs"].items():
                weights[len(features.NAMES) + int(number)] = weight
            bias = float(found["bias"])
            quantiles = np.array(found["quantiles"], float)
            figures = dict(found["figures"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError(
                _not_a_model(path, f"a damaged one ({error!r})")
            ) from error
        if quantiles.ndim != 1 or len(quantiles) < 2:
            raise InputError(_not_a_model(path, "a damaged one (quantiles)"))
        return cls(weights, bias, quantiles, figures)

    def write(self, path: str | os.PathLike) -> None:
        """Writes the file, atomically."""
        named = len(features.NAMES)
        found = {
            "format": _FORMAT,
            "features_version": FEATURES_VERSION,
            "figures": self.figures,
            "bias": _short(self.bias),
            "weights": {
                name: _short(weight)
                for name, weight in zip(
                    features.NAMES, self.weights[:named], strict=True
                )
            },
            "weights_of_runs": {
                str(number): _short(self.weights[named + number])
                for number in np.flatnonzero(self.weights[named:])
            },
            "quantiles": [_short(score) for score in self.quantiles],
        }
        write_text(path, json.dumps(found, indent=1) + "\n")

    def scores(self, sentences: Sequence[str]) -> np.ndarray:
        """The score of each sentence, float32 [sentences]; bigger is better.

        It is the log-odds of main content, for the mix of the training pages.
        A sentence's score does not depend on the others.
        """
        scores = np.empty(len(sentences), np.float32)
        start = 0
        while start < len(sentences):
            end, size = start + 1, len(sentences[start])
            while end < len(sentences) and size < _CHUNK_CHARACTERS:
                size += len(sentences[end])
                end += 1
            found = features.sentence_features(sentences[start:end])
            scores[start:end] = found @ self.weights + self.bias
            start = end
        return scores

    def threshold(self, share_kept: float) -> float:
        """The score that this share of the sentences held out reaches.

        Those are all sentences of whole pages. For other text, such as text
        of one language or text that was cleaned before, see `threshold_of`.
        """
        return threshold_of(self.quantiles, share_kept)


def threshold_of(scores: np.ndarray, share_kept: float) -> float:
    """The score that a share of the given scores reaches.

    Args:
      scores: float [n], n > 0, such as those of a sample of one language.
      share_kept: from 0 to 1; the paper kept about half (footnote 8).

    Raises:
      InputError: the share is none.
    """
    if not 0 <= share_kept <= 1:
        raise InputError(
            f"The share kept is between 0 and 1. Received: {share_kept:g}."
        )
    return float(np.quantile(scores, 1 - share_kept))


def _short(number: float) -> float:
    """With few digits: what machines differ in is rounded away."""
    return float(f"{number:.5g}")


def _not_a_model(path, received: str) -> str:
    return (
        f"{os.fspath(path)}: a quality model is a file of labse train-quality. "
        f"Received: {received}."
    )
