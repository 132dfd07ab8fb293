"""A cache of vectors on disk, by model and text.

    FOLDER/FINGERPRINT/part-N.npz    `keys` uint8 [n, 16], `vectors` [n, dim]

Parts are written atomically, so after a kill the next process encodes only
what is missing. Another model, or the same one after more training, has another
fingerprint.
"""

import hashlib
import pathlib
import zipfile

import numpy as np

from labse.errors import InputError
from labse.files.atomic_write import atomic_file
from labse.files.vector_file import disk_errors, scratch_array
from labse.progress import ProgressBar
from labse.search.unit_vectors import EncodeFn, check_one_each

# Texts in a part; a kill loses at most as many.
PART_TEXTS = 16_384
_KEY_BYTES = 16
_KEY = np.dtype(f"S{_KEY_BYTES}")


def cached(
    encode_fn: EncodeFn, folder: str | pathlib.Path, fingerprint: str
) -> EncodeFn:
    """An `encode_fn` that calls the given one only for texts not in the cache.

    Its vectors are a `scratch_array` in the cache's folder. Memory is needed
    for some 100 bytes per text.

    The `fingerprint` is that of the model: it changes whenever its vectors do.

    Raises:
      InputError: there is no text, a part is damaged, the folder cannot be
        written, or encode_fn returns something else.
    """
    parts = pathlib.Path(folder) / fingerprint[:32]

    def encode(texts: list[str]) -> np.ndarray:
        if not texts:
            raise InputError("There is no text to encode.")
        parts.mkdir(parents=True, exist_ok=True)
        rows = _Rows(parts, texts)
        for path in sorted(parts.glob("part-*.npz")):
            rows.fill(*_read(path))
        missing = rows.missing()
        with ProgressBar(
            total=len(missing), unit=" sentences", delay=10
        ) as bar:
            for start in range(0, len(missing), PART_TEXTS):
                some = missing[start : start + PART_TEXTS]
                new = [texts[row] for row in some]
                made = np.asarray(encode_fn(new))
                check_one_each(made, new)
                rows.fill(rows.keys[some], made)
                _write(parts, rows.keys[some], made)
                bar.update(len(some))
        return rows.vectors()

    return encode


class _Rows:
    """The vectors of texts, filled part by part."""

    def __init__(self, folder: pathlib.Path, texts: list[str]):
        self._folder = folder
        self.keys = np.array([_key(text) for text in texts], _KEY)  # [n]
        # The sorted distinct keys, and the first text of each.
        self._sorted, self._first, self._number = np.unique(
            self.keys, return_index=True, return_inverse=True
        )
        self._is_filled = np.zeros(len(self._sorted), bool)
        self._vectors: np.ndarray | None = None

    def fill(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        """Copies the vectors [m, dim] whose keys [m] are among the texts'."""
        place = np.searchsorted(self._sorted, keys)
        place = np.minimum(place, len(self._sorted) - 1)
        wanted = np.flatnonzero(self._sorted[place] == keys)
        if not len(wanted):
            return
        if self._vectors is None:
            self._vectors = scratch_array(
                self._folder, (len(self.keys), vectors.shape[1]), vectors.dtype
            )
        wanted_shape = len(keys), self._vectors.shape[1]
        if (
            vectors.shape != wanted_shape
            or vectors.dtype != self._vectors.dtype
        ):
            raise InputError(
                f"{self._folder} must have vectors of one encoder: "
                f"{self._vectors.dtype} {list(wanted_shape)}. Received: "
                f"{vectors.dtype} {list(vectors.shape)}. Remove the folder; "
                "the texts are then encoded again."
            )
        place = place[wanted]
        self._vectors[self._first[place]] = vectors[wanted]
        self._is_filled[place] = True

    def missing(self) -> np.ndarray:
        """int64 [m]: the first row of each text without a vector, sorted."""
        return np.sort(self._first[~self._is_filled])

    def vectors(self) -> np.ndarray:
        """[n, dim]: the vector of each text, once none is missing."""
        first = self._first[self._number]
        again = np.flatnonzero(first != np.arange(len(first)))
        for start in range(0, len(again), PART_TEXTS):
            some = again[start : start + PART_TEXTS]
            self._vectors[some] = self._vectors[first[some]]
        return np.asarray(self._vectors)


def _key(text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()[:_KEY_BYTES]


def _read(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys [n] and vectors [n, dim] of a part."""
    try:
        with np.load(path, allow_pickle=False) as part:
            keys, vectors = part["keys"], part["vectors"]
    except (
        EOFError,
        OSError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(
            f"{path} is no part of a cache of embeddings ({error}). "
            "Remove it; its texts are then encoded again."
        ) from error
    return np.ascontiguousarray(keys).view(_KEY)[:, 0], vectors


def _write(parts: pathlib.Path, keys: np.ndarray, vectors: np.ndarray) -> None:
    name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
    with (
        disk_errors(parts, f"{len(keys):,} vectors", vectors.nbytes),
        atomic_file(parts / f"part-{name}.npz", "wb") as file,
    ):
        np.savez(
            file,
            keys=keys.view(np.uint8).reshape(-1, _KEY_BYTES),
            vectors=vectors,
        )
