"""What every model that `labse.load` returns does: `encode`.

The vector of a sentence is a function of the sentence alone. Which others are
encoded with it, in which order and in which batches, moves it by no more than
the rounding of a matmul: 1e-5 in float32, more in bfloat16, see
`SentenceModel.encode`.
"""

import abc
import copy
import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tqdm

from labse.errors import InputError
from labse.inference import peer_arguments, process, truncation
from labse.inference.scikit_learn import Transformer
from labse.inference.sentences import chunks, count, one_text
from labse.inference.truncation import OnTruncation, TruncationCount

# Tokens in a batch, padding included, unless the caller gives a batch size.
TOKENS_PER_BATCH = 2048


class Prepared(NamedTuple):
    """A chunk of texts, ready to be embedded.

    Attributes:
      lengths: int64 [n], in tokens, what is cut off not counted.
      truncated: bool [n], which texts are cut; may be filled in by `_embed`;
        None where the model does not say.
      data: what `_embed` takes.
    """

    lengths: np.ndarray
    truncated: np.ndarray | None
    data: object


class Origin(NamedTuple):
    """Where a model was loaded from, and how: what is pickled of it.

    Attributes:
      reload: gives the model, from path, arguments and fingerprint.
      path: absolute, or a handle.
      arguments: what `labse.load` was called with.
    """

    reload: Callable
    path: str
    arguments: dict[str, object]


class SentenceModel(Transformer, abc.ABC):
    """A model that turns sentences into unit vectors.

    It is pickled as the place it was loaded from, and loaded again there.

    Attributes:
      origin: where it was loaded from; None for weights in memory.
      source: of a model loaded from a file of weights, what was found there.
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
        """Another name of `dimension`, that of sentence-transformers."""
        return self.dimension

    get_embedding_dimension = get_sentence_embedding_dimension

    @property
    def max_length(self) -> int | None:
        """Most tokens of a sentence that count, [CLS] and [SEP] included.

        What is over is cut off. None if the model does not say. It can be set
        at any time, where weights were loaded.
        """
        return self._max_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        if value != self._max_length:
            self._set_max_length(value)
            self._has_warned = False

    @property
    def max_seq_length(self) -> int | None:
        """Another name of `max_length`, that of sentence-transformers."""
        return self.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self.max_length = value

    @property
    def fingerprint(self) -> str:
        """Hexadecimal; changes whenever the vectors do.

        That is with weights, vocabulary, compute_dtype and `max_length`.
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
            are UTF-8. One string alone gives one vector alone. A row, a dict
            with a string under "text", is that string; or, of MTEB's batches,
            a list of strings.
          batch_size: sentences in a batch; by default as many as have about
            `TOKENS_PER_BATCH` tokens. Speed and memory depend on it; the
            vectors by rounding alone, see below.
          show_progress_bar: a bar with rate and time left, on stderr.
          on_truncation: what to do where a text has more than `max_length`
            tokens: "warn" cuts it and warns, once for each model; "ignore"
            cuts it; "error" raises InputError.
          **peer: arguments of sentence-transformers, where they ask for what
            is done anyway (`labse.inference.peer_arguments`), and what MTEB
            says about its task.

        Returns:
          float32 [n, dimension], rows of length 1 in the order of
          `sentences`; [dimension] for one string alone. With its neighbours in
          the batch a sentence's vector moves by rounding alone. In float32
          that is less than 1e-5 in a number. In bfloat16 it is more: up to
          6.6e-5 (Euclidean 1.8e-4) in the quickstart's model of 2 blocks, 400
          sentences of Tatoeba, and Euclidean 0.0041 in an untrained BERT
          Base. Where two runs must agree to the bit, use float32, or the same
          sentences in the same order and batch_size.

        Raises:
          InputError: an item is no text, an argument is not as it must be, or
            this process cannot run TensorFlow (`labse.inference.process`).
        """
        peer_arguments.check(peer, self.dimension)
        peer_arguments.check_batch_size(batch_size)
        truncation.check_choice(on_truncation)
        process.check()
        items, is_one = _texts(sentences)
        counted = TruncationCount()
        vectors = []
        with tqdm.tqdm(
            total=_count(items, peer),
            unit=" sentences",
            disable=not show_progress_bar,
            leave=None,  # Under another bar it goes when it is full.
        ) as bar:
            for texts in chunks(items):
                vectors.append(
                    self._encode_chunk(
                        texts, batch_size, on_truncation, counted, bar.update
                    )
                )
        if on_truncation == "warn" and counted.cut and not self._has_warned:
            self._has_warned = True
            truncation.warn(counted, self.max_length)
        return _joined(vectors, is_one, [0, self.dimension], np.float32)

    def encode_query(self, sentences, *args, **kwargs) -> np.ndarray:
        """The same as `encode`: a question has no other vector than a text."""
        return self.encode(sentences, *args, **kwargs)

    def encode_document(self, sentences, *args, **kwargs) -> np.ndarray:
        """The same as `encode`."""
        return self.encode(sentences, *args, **kwargs)

    def num_tokens(self, sentences: str | bytes | Iterable) -> np.ndarray:
        """How many tokens texts have, before any is cut.

        Args:
          sentences: as in `encode`.

        Returns:
          int64 [n], [CLS] and [SEP] included; a number for one string alone.

        Raises:
          InputError: the model is a SavedModel that takes strings: it counts
            none that it cuts off.
        """
        return self._ask(self._num_tokens, sentences, np.int64)

    def truncated(self, sentences: str | bytes | Iterable) -> np.ndarray:
        """Which texts have more than `max_length` tokens, so that they are cut.

        Args:
          sentences: as in `encode`.

        Returns:
          bool [n]; one value for one string alone.

        Raises:
          InputError: the model does not say; see `tells_truncation`.
        """
        return self._ask(self._truncated, sentences, bool)

    @property
    def tells_truncation(self) -> bool:
        """Whether the model says which texts it cuts."""
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

    def __setattr__(self, name: str, value) -> None:
        """Only what has an effect can be set."""
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
                "one has none: its weights are in memory alone. Save it as a "
                "run folder and pickle what labse.load makes of that."
            )
        reload, path, arguments = self.origin
        if "max_length" in arguments:
            arguments = arguments | {"max_length": self.max_length}
        return reload, (path, arguments, self.fingerprint)

    def __copy__(self) -> "SentenceModel":
        """Another model of the same weights; its `max_length` is its own."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo) -> "SentenceModel":
        return copy.copy(self)  # Nothing changes the weights.

    def _encode_chunk(
        self,
        texts: list[bytes],
        batch_size: int | None,
        on_truncation: OnTruncation,
        counted: TruncationCount,
        report: Callable[[int], None],
    ) -> np.ndarray:
        prepared = self._prepare(texts)
        if on_truncation == "error":  # Now if it is known, or after.
            truncation.raise_if_any(
                prepared.truncated, counted.texts, self.max_length
            )
        vectors = np.empty([len(texts), self.dimension], np.float32)
        for rows in _batches(prepared.lengths, batch_size):
            vectors[rows] = self._embed(prepared, rows)
            report(len(rows))
        if on_truncation == "error":
            truncation.raise_if_any(
                prepared.truncated, counted.texts, self.max_length
            )
        if callable(on_truncation):
            on_truncation(prepared.truncated)
        counted.add(prepared.truncated)
        return vectors

    def _ask(self, function: Callable, given, dtype: type) -> np.ndarray:
        """What `function` says of each text."""
        process.check()
        items, is_one = _texts(given)
        answers = [function(texts) for texts in chunks(items)]
        return _joined(answers, is_one, [0], dtype)

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
        """What can be known of a chunk before it is embedded."""

    @abc.abstractmethod
    def _embed(self, prepared: Prepared, rows: np.ndarray) -> np.ndarray:
        """Vectors of the texts `rows` (int64 [k]): float32 [k, dimension]."""


class ForkedModel(SentenceModel):
    """Stands for a model where TensorFlow cannot run: it raises when used.

    Raising already where it is unpickled would end the worker of a pool, and
    the pool would wait for its answer for ever.
    """

    _dimension = _max_length = None
    _fingerprint = ""

    def _unusable(self, *_):
        process.check()

    _set_max_length = _num_tokens = _truncated = _prepare = _embed = _unusable


def _texts(given) -> tuple[Iterable, bool]:
    """What is to be iterated over, and whether it is one text alone."""
    text = one_text(given)
    return (given, False) if text is None else ([text], True)


def _count(items: Iterable, peer: dict) -> int | None:
    """How many texts; None for MTEB's batches, whose length is theirs."""
    return None if peer.keys() & peer_arguments.MTEB else count(items)


def _joined(
    parts: list[np.ndarray], is_one: bool, empty: list[int], dtype: type
) -> np.ndarray:
    """The parts as one array; of one text alone its row."""
    if is_one:
        return parts[0][0]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.zeros(empty, dtype), *parts])


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
