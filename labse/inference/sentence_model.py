"""What every model that `labse.load` returns does: `encode`.

The vector of a sentence is a function of the sentence alone. Which others are
encoded with it, in which order and in which batches, moves it by no more than
the rounding of a float32 matmul (1e-5).
"""

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tqdm

from labse.errors import InputError

# Sentences are tokenized and sorted by length in chunks of at most so many
# sentences and characters, so that a stream of any length fits in memory.
CHUNK_SENTENCES = 2**16
CHUNK_CHARACTERS = 2**25

# https://github.com/embeddings-benchmark/mteb, EncoderProtocol.encode.
_MTEB_ARGUMENTS = {"task_metadata", "hf_split", "hf_subset", "prompt_type"}

# Tokens in a batch, padding included, unless the caller gives a batch size.
TOKENS_PER_BATCH = 2048


class SentenceModel(abc.ABC):
    """A model that turns sentences into unit vectors.

    Attributes:
      dimension: length of a vector.
      max_length: most tokens of a sentence that count, [CLS] and [SEP]
        included, what is over is cut off; None if the model does not say.
      fingerprint: hexadecimal string that changes with the weights, the
        vocabulary and the precision.
    """

    dimension: int
    max_length: int | None
    fingerprint: str

    def encode(
        self,
        sentences: str | Iterable[str],
        batch_size: int | None = None,
        show_progress_bar: bool = False,
        **task,
    ) -> np.ndarray:
        """Embeds sentences.

        Args:
          sentences: any iterable of strings: a list, an array, a generator,
            an open text file. One string alone gives one vector alone. Or of
            MTEB's batches, dicts whose "text" is a list of strings.
          batch_size: sentences in a batch; by default as many as have about
            `TOKENS_PER_BATCH` tokens. Speed and memory depend on it, the
            vectors do not.
          show_progress_bar: a bar with rate and time left, on stderr.
          **task: what MTEB says about its task; the vectors do not depend on
            it.

        Returns:
          float32 [n, dimension], rows of length 1 in the order of
          `sentences`; [dimension] for one string alone.

        Raises:
          InputError: an item is no string, batch_size is under 1, or an
            argument is unknown.
        """
        unknown = task.keys() - _MTEB_ARGUMENTS
        if unknown:
            raise InputError(
                "encode takes sentences, batch_size and show_progress_bar. "
                f"Received: {', '.join(sorted(unknown))}."
            )
        if isinstance(sentences, str):
            return self.encode([sentences])[0]
        _check_batch_size(batch_size)
        # MTEB's batches have a length too, but theirs.
        counted = hasattr(sentences, "__len__") and not task
        total = len(sentences) if counted else None
        vectors = []
        with tqdm.tqdm(
            total=total,
            unit=" sentences",
            disable=not show_progress_bar,
            leave=None,  # Under another bar it goes when it is full.
        ) as bar:
            for texts in _chunks(sentences):
                vectors.append(
                    self._encode_chunk(texts, batch_size, bar.update)
                )
        if len(vectors) == 1:
            return vectors[0]
        return np.concatenate(
            [np.zeros([0, self.dimension], np.float32), *vectors]
        )

    def similarity(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Cosines of all pairs of `encode`'s vectors: [n, m]."""
        return np.asarray(one) @ np.asarray(other).T

    def similarity_pairwise(
        self, one: np.ndarray, other: np.ndarray
    ) -> np.ndarray:
        """Cosines of the vectors row by row: [n]."""
        return np.sum(np.asarray(one) * np.asarray(other), axis=-1)

    @property
    def mteb_model_meta(self):
        """What MTEB asks a model for; needs the package `mteb`."""
        from mteb.models.model_meta import ModelMeta

        return ModelMeta.create_empty(
            {
                "name": "labse/model",
                "revision": self.fingerprint,
                "embed_dim": self.dimension,
                "max_tokens": self.max_length,
                "similarity_fn_name": "cosine",
            }
        )

    def _encode_chunk(
        self,
        texts: list[bytes],
        batch_size: int | None,
        report: Callable[[int], None],
    ) -> np.ndarray:
        lengths, prepared = self._prepare(texts)
        vectors = np.empty([len(texts), self.dimension], np.float32)
        for rows in _batches(lengths, batch_size):
            vectors[rows] = self._embed(prepared, rows)
            report(len(rows))
        return vectors

    @abc.abstractmethod
    def _prepare(self, texts: list[bytes]) -> tuple[np.ndarray, object]:
        """How long each text is, in tokens [n], and what `_embed` takes."""

    @abc.abstractmethod
    def _embed(self, prepared, rows: np.ndarray) -> np.ndarray:
        """Vectors of the texts `rows` (int64 [k]): float32 [k, dimension]."""


def _check_batch_size(batch_size: int | None) -> None:
    if batch_size is not None and batch_size < 1:
        raise InputError(
            f"batch_size must be at least 1, or None. Received: {batch_size}."
        )


def _chunks(sentences: Iterable[str]) -> Iterator[list[bytes]]:
    """The sentences in UTF-8, in chunks of bounded size."""
    try:
        items = iter(sentences)
    except TypeError:
        raise InputError(
            "encode takes a string or an iterable of strings. Received: "
            f"{type(sentences).__name__}."
        ) from None
    chunk, characters = [], 0
    for index, text in enumerate(_flatten(items)):
        if not isinstance(text, str):
            raise InputError(
                "encode takes a string or an iterable of strings. Received "
                f"at index {index}: {type(text).__name__}."
            )
        # A surrogate is no character; the tokenizer drops it.
        chunk.append(text.encode("utf-8", "surrogatepass"))
        characters += len(text)
        if len(chunk) == CHUNK_SENTENCES or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _flatten(items: Iterator) -> Iterator:
    """The texts of MTEB's batches; anything else as it is."""
    for item in items:
        if isinstance(item, Mapping) and "text" in item:
            yield from item["text"]
        else:
            yield item


def _batches(
    lengths: np.ndarray, batch_size: int | None
) -> Iterator[np.ndarray]:
    """Rows [k] of similar length, the longest first: then memory ends early."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = batch_size or max(1, TOKENS_PER_BATCH // longest)
        yield order[start : start + size]
        start += size
