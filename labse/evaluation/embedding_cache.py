"""Vectors kept on disk by model and text, so that no text is encoded twice.

    FOLDER/FINGERPRINT/part-N.npz    `keys` uint8 [n, 16], `vectors` [n, dim]

A part is written under another name and renamed, so a killed process leaves
whole parts, and the next one encodes only what is missing. Another model, or
the same one after more training, has another fingerprint.
"""

import hashlib
import os
import pathlib
import zipfile

import numpy as np

from labse.errors import InputError
from labse.evaluation.retrieval import EncodeFn

# What is lost at most when the process is killed.
PART_TEXTS = 16_384
_KEY_BYTES = 16


def cached(
    encode_fn: EncodeFn, folder: str | pathlib.Path, fingerprint: str
) -> EncodeFn:
    """An `encode_fn` that asks the given one only for texts it has not seen.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      folder: of the cache; made if it is not there.
      fingerprint: of the model; changes whenever its vectors do.
    """
    parts = pathlib.Path(folder) / fingerprint[:32]

    def encode(texts: list[str]) -> np.ndarray:
        parts.mkdir(parents=True, exist_ok=True)
        keys = [_key(text) for text in texts]
        vectors = _read(parts, set(keys))
        missing = {
            key: text
            for key, text in zip(keys, texts, strict=True)
            if key not in vectors
        }
        names = list(missing)
        for start in range(0, len(names), PART_TEXTS):
            some = names[start : start + PART_TEXTS]
            made = np.asarray(encode_fn([missing[key] for key in some]))
            _write(parts, some, made)
            vectors.update(zip(some, made, strict=True))
        return np.stack([vectors[key] for key in keys])

    return encode


def _key(text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()[:_KEY_BYTES]


def _read(parts: pathlib.Path, wanted: set[bytes]) -> dict[bytes, np.ndarray]:
    found = {}
    for path in sorted(parts.glob("part-*.npz")):
        try:
            with np.load(path, allow_pickle=False) as part:
                keys, vectors = part["keys"], part["vectors"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} is no part of a cache of embeddings ({error}). "
                "Remove it; its texts are then encoded again."
            ) from error
        for key, vector in zip(map(bytes, keys), vectors, strict=True):
            if key in wanted:
                found[key] = vector
    return found


def _write(parts: pathlib.Path, keys: list[bytes], vectors: np.ndarray) -> None:
    name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
    temporary = parts / f".{name}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            np.savez(
                file,
                keys=np.frombuffer(b"".join(keys), np.uint8).reshape(
                    -1, _KEY_BYTES
                ),
                vectors=vectors,
            )
        temporary.replace(parts / f"part-{name}.npz")
    finally:
        temporary.unlink(missing_ok=True)
