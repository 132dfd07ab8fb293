"""The interface of every model that `labse.load` returns: `encode`.

The vector of a sentence is a function of the sentence alone. The others that
are encoded with it, their order and their batches change it by no more than the
rounding of a matmul: 1e-5 in float32, more in bfloat16; see
`SentenceModel.encode`.
"""

import abc
import copy
import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from labse.errors import InputError
from labse.inference import peer_arguments, process, truncation
from labse.inference.scikit_learn import Transformer
from labse.inference.sentences import chunks, count, one_text
from labse.inference.truncation import OnTruncation, TruncationCount
from labse.progress import ProgressBar

# Tokens in a batch, padding included, unless the caller gives a batch size.
TOKENS_PER_BATCH = 2048


class Prepared(NamedTuple):
    """A chunk of texts, ready to be embedded.

    Attributes:
      lengths: int64 [n], in tokens, after truncation.
      truncated: bool [n], whether a text is truncated; may be filled in by
        `_embed`; None if the model does not report it.
      data: for `_embed`.
    """

    lengths: np.ndarray
    truncated: np.ndarray | None
    data: object


class Origin(NamedTuple):
    """Where a model was loaded from, and how; pickled in its place.

    Attributes:
      reload: path, arguments, fingerprint -> the model.
      path: absolute, or a handle.
      arguments: those of `labse.load`.
    """

    reload: Callable
    path: str
    arguments: dict[str, object]


class SentenceModel(Transformer, abc.ABC):
    """A model that turns sentences into unit vectors.

    Pickling it stores the path it was loaded from; unpickling loads it again.

    Attributes:
      origin: where it was loaded from; None for weights in memory.
      source: the `StoredModel` of a model loaded from files of weights.
    """

    origin: Origin | None = None
    source = None
    _dimension: int
    _max_length: int | None
    _fingerprint: str
    _has_warned = False

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def get_sentence_embedding_dimension(self) -> int:
        """The name of `dimension` in sentence-transformers."""
        return self.dimension

    get_embedding_dimension = get_sentence_embedding_dimension

    @property
    def max_length(self) -> int | None:
        """Most tokens of a sentence, [CLS] and [SEP] included.

        Longer ones are truncated. None if the model does not say. It can be set
        at any time if weights were loaded.
        """
        return self._max_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        if value != self._max_length:
            self._set_max_length(value)
            self._has_warned = False

    @property
    def max_seq_length(self) -> int | None:
        """The name of `max_length` in sentence-transformers."""
        return self.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.max_length = value

    @property
    def fingerprint(self) -> str:
        """Hexadecimal; changes whenever the vectors do.

        It depends on weights, vocabulary, compute_dtype and `max_length`.
        """
        return self._fingerprint

    def encode(
        self,
        sentences: str | bytes | Iterable,
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        *,
        on_truncation: OnTruncation = "warn",
        **peer,
    ) -> np.ndarray:
        """Embeds sentences.

        Args:
          sentences: any iterable of strings: a list, an array, a string
            tensor, a column of a table, a generator, an open text file. Bytes
            are UTF-8. A single string gives a single vector. A row, a dict
            with a string under "text", is that string; in MTEB's batches, a
            list of strings.
          batch_size: sentences in a batch; by default as many as have about
            `TOKENS_PER_BATCH` tokens. Speed and memory depend on it, the
            vectors only by rounding, see below.
          show_progress_bar: a bar with rate and time left, on stderr.
          on_truncation: what to do if a text has more than `max_length`
            tokens: "warn" truncates it and warns, once for each model;
            "ignore" truncates it; "error" raises InputError.
          **peer: arguments of sentence-transformers with the only value that
            is supported (`labse.inference.peer_arguments`), and MTEB's
            arguments about its task.

        Returns:
          float32 [n, dimension], rows of length 1 in the order of
          `sentences`; [dimension] for a single string. The other sentences of
          the batch change a vector only by rounding: each number by less than
          1e-5 in float32, by more in bfloat16, see `labse.load`. If two runs
          must be equal in every bit, use float32, or the same sentences in
          the same order and batch_size.

        Raises:
          InputError: an item is not a text, an argument is not supported, or
            this process cannot run TensorFlow (`labse.inference.process`).
        """
        peer_arguments.check_arguments(peer, self.dimension)
        peer_arguments.check_batch_size(batch_size)
        truncation.check_choice(on_truncation)
        process.check_usable()
        items, is_one = _texts(sentences)
        counted = TruncationCount()
        with ProgressBar(
            total=_count(items, peer),
            unit=" sentences",
            disable=not show_progress_bar,
            leave=None,  # Below another bar it disappears when it is full.
        ) as bar:
            how = batch_size, on_truncation, counted, bar.update
            vectors = [self._encode_chunk(each, *how) for each in chunks(items)]
        warns = on_truncation == "warn" and not self._has_warned
        if warns and counted.truncated:
            self._has_warned = True
            truncation.warn_of_truncation(counted, self.max_length)
        return _joined(vectors, is_one, [0, self.dimension], np.float32)

    def encode_query(self, sentences, *args, **kwargs) -> np.ndarray:
        """The same as `encode`: queries and documents have one encoder."""
        return self.encode(sentences, *args, **kwargs)

    def encode_document(self, sentences, *args, **kwargs) -> np.ndarray:
        """The same as `encode`."""
        return self.encode(sentences, *args, **kwargs)

    def num_tokens(self, sentences: str | bytes | Iterable) -> np.ndarray:
        """The number of tokens of each text, before truncation.

        Returns:
          int64 [n], [CLS] and [SEP] included; a number for a single string.

        Raises:
          InputError: the model is a SavedModel that takes strings, which does
            not count the tokens that it drops.
        """
        return self._of_each(self._num_tokens, sentences, np.int64)

    def truncated(self, sentences: str | bytes | Iterable) -> np.ndarray:
        """Whether each text is truncated: has more than `max_length` tokens.

        Returns:
          bool [n]; a single value for a single string.

        Raises:
          InputError: the model does not report it; see `reports_truncation`.
        """
        return self._of_each(self._truncated, sentences, bool)

    @property
    def reports_truncation(self) -> bool:
        """Whether the model reports which texts it truncates."""
        return True

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
        """The metadata that MTEB needs; requires the package `mteb`."""
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

    def __setattr__(self, name: str, value) -> None:
        """Refuses attributes that would have no effect."""
        if not hasattr(type(self), name) and not name.startswith("_"):
            names = [n for n in dir(type(self)) if not n.startswith("_")]
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise AttributeError(
                f"A model has no attribute {name!r} to set.{hint}"
            )
        super().__setattr__(name, value)

    def __reduce__(self):
        if self.origin is None:
            raise InputError(
                "A model is pickled as the path it was loaded from, and this "
                "one has none: its weights are only in memory. Save it as a "
                "run folder and pickle the model that labse.load returns for "
                "that."
            )
        reload, path, arguments = self.origin
        if "max_length" in arguments:
            arguments = arguments | {"max_length": self.max_length}
        return reload, (path, arguments, self.fingerprint)

    def __copy__(self) -> "SentenceModel":
        """Another model with the same weights and its own `max_length`."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo) -> "SentenceModel":
        return copy.copy(self)  # The weights never change.

    def _encode_chunk(
        self,
        texts: list[bytes],
        batch_size: int | None,
        on_truncation: OnTruncation,
        counted: TruncationCount,
        report: Callable[[int], None],
    ) -> np.ndarray:
        prepared = self._prepare(texts)

        def raise_if_truncated():
            if on_truncation == "error":
                truncation.raise_if_any(
                    prepared.truncated, counted.texts, self.max_length
                )

        raise_if_truncated()  # Now if it is known; else below.
        vectors = np.empty([len(texts), self.dimension], np.float32)
        for rows in _batches(prepared.lengths, batch_size):
            vectors[rows] = self._embed(prepared, rows)
            report(len(rows))
        raise_if_truncated()
        if callable(on_truncation):
            on_truncation(prepared.truncated)
        counted.add(prepared.truncated)
        return vectors

    def _of_each(self, function: Callable, given, dtype: type) -> np.ndarray:
        """The value of `function` for each text."""
        process.check_usable()
        items, is_one = _texts(given)
        values = [function(texts) for texts in chunks(items)]
        return _joined(values, is_one, [0], dtype)

    @abc.abstractmethod
    def _set_max_length(self, value: int) -> None:
        """Sets another `max_length`, or raises InputError."""

    @abc.abstractmethod
    def _num_tokens(self, texts: list[bytes]) -> np.ndarray:
        """int64 [n], or InputError."""

    @abc.abstractmethod
    def _truncated(self, texts: list[bytes]) -> np.ndarray:
        """bool [n], or InputError."""

    @abc.abstractmethod
    def _prepare(self, texts: list[bytes]) -> Prepared:
        """Tokenizes a chunk, as far as it is done before embedding."""

    @abc.abstractmethod
    def _embed(self, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
        """Vectors of the texts `rows` (int64 [k]): float32 [k, dimension]."""


class ForkedModel(SentenceModel):
    """A model in a process where TensorFlow cannot run: raises when used.

    Raising while it is unpickled would end the worker of a pool, and the pool
    would wait for its result forever.
    """

    _dimension = _max_length = None
    _fingerprint = ""

    def _unusable(self, *_):
        process.check_usable()

    _set_max_length = _num_tokens = _truncated = _prepare = _embed = _unusable


def _texts(given) -> tuple[Iterable, bool]:
    """The texts to iterate over, and whether it is a single one."""
    text = one_text(given)
    return (given, False) if text is None else ([text], True)


def _count(items: Iterable, peer: dict) -> int | None:
    """The number of texts; None for MTEB's batches, which count batches."""
    return None if peer.keys() & peer_arguments.MTEB else count(items)


def _joined(
    parts: list[np.ndarray], is_one: bool, empty: list[int], dtype: type
) -> np.ndarray:
    """The parts as one array; the row of a single text."""
    if is_one:
        return parts[0][0]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.zeros(empty, dtype), *parts])


def _batches(
    lengths: np.ndarray, batch_size: int | None
) -> Iterator[np.ndarray]:
    """Rows [k] of similar length, the longest first: memory runs out early."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        size = batch_size or max(1, TOKENS_PER_BATCH // longest)
        yield order[start : start + size]
        start += size
