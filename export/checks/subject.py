"""The export folder under verification, as its checks see it."""

import functools
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401  registers operations of `text`

from export import golden, record
from export.checks.outcome import Difference

TOLERANCE = 1e-5
PADDED_LENGTHS = (64, 128)
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


class Subject:
    """An export folder, its record and its golden vectors."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.record = record.read_record(folder)
        self.config = self.record["config"]
        self.model = functools.cache(self._load)

    @functools.cached_property
    def golden(self):
        """The golden sentences and vectors."""
        return golden.read_golden(self.folder)

    @property
    def max_length(self) -> int:
        """Most tokens of a text."""
        return self.config["tokenizer"]["max_length"]

    @property
    def lower_case(self) -> bool:
        """Whether the run's tokenizer lower-cases."""
        # Older exports do not have the key; they are cased.
        return self.config["tokenizer"].get("lower_case", False)

    def path(self, model: str) -> str:
        """Path of a SavedModel."""
        return str(self.folder / model)

    def _load(self, name: str):
        """A SavedModel as `hub.load` loads it; `model` does so once."""
        return hub.load(self.path(name))

    def texts(self, rows) -> tf.Tensor:
        """Golden sentences as string [n]."""
        return tf.constant([self.golden.texts[row] for row in rows])

    def inputs(self, rows, length: int | None = None) -> dict:
        """Golden ids as model inputs, int32 [n, length].

        Padded to the longest of the rows if `length` is None.
        """
        ids = [self.golden.ids[row] for row in rows]
        length = length or max(map(len, ids))
        word_ids = np.zeros([len(ids), length], np.int32)
        mask = np.zeros_like(word_ids)
        for number, row in enumerate(ids):
            word_ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        values = (word_ids, mask, np.zeros_like(mask))
        return {
            name: tf.constant(value)
            for name, value in zip(INPUTS, values, strict=True)
        }

    @property
    def rows(self) -> list[int]:
        """The numbers of all sentences."""
        return list(range(len(self.golden.texts)))

    def batches(self, size: int) -> list[list[int]]:
        """All sentences in batches of `size`, in the order of the file."""
        return [self.rows[i : i + size] for i in self.rows[::size]]

    def sample(self) -> list[int]:
        """An eighth of the sentences, a truncated one among them."""
        return self.rows[3::8]

    def compare(self, actual, rows, key: str = "embedding") -> float:
        """The largest difference from the golden vectors of `rows`.

        Raises:
          Difference: it is over `TOLERANCE`; the message names the sentence.
        """
        golden = self.golden
        expected = golden.embeddings if key == "embedding" else golden.pooled
        actual = np.asarray(actual)
        expected = expected[rows]
        if actual.shape != expected.shape:
            raise Difference(
                f"{key}: shape {actual.shape}, expected {expected.shape}"
            )
        by_row = differences(actual, expected)
        bad = np.flatnonzero(by_row > TOLERANCE)
        if bad.size:
            worst = bad[by_row[bad].argmax()]
            raise Difference(
                f"{key}: {bad.size} of {len(rows)} sentences differ from the "
                f"run's vectors, most {self.name(rows[worst])} by "
                f"{by_row[worst]:.2g} (allowed {TOLERANCE:g})"
            )
        return float(by_row.max())

    def name(self, row: int) -> str:
        """A sentence as messages name it."""
        text = self.golden.texts[row]
        shown = text if len(text) <= 40 else text[:40] + "..."
        return f"sentence {row} ({self.golden.names[row]}: {shown!r})"


def differences(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The largest difference in each row: float32 [n].

    It is absolute in unit vectors and small numbers, and relative to the row's
    largest number in states before normalisation, which may be large. NaN
    counts as infinitely different.
    """
    actual, expected = (np.reshape(x, [len(x), -1]) for x in (actual, expected))
    scale = np.maximum(1.0, np.abs(expected).max(axis=1))
    found = np.abs(actual - expected).max(axis=1) / scale
    return np.nan_to_num(found, nan=np.inf)


def largest(*found: float) -> str:
    """The end of a check's line."""
    return f"largest difference {max(found):.1e}"
