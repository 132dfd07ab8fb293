"""The encode_fn of a --model that is loaded when it is first called."""

import functools
import pathlib

from labse.bin.flags.models import PYTHON, Encoder, counting
from labse.errors import InputError


class LazyEncoder:
    """Loads the model late, and counts the texts that it truncates.

    So an error in a file is reported before TensorFlow and the model have been
    loaded.
    """

    def __init__(
        self,
        model: str,
        compute_dtype: str,
        cache: str | pathlib.Path | None = None,
        show_progress_bar: bool = False,
    ):
        """Takes --model, --compute_dtype and the folder --cache, if any.

        Raises:
          InputError: a Python function's vectors cannot be cached.
        """
        if cache is not None and model.startswith(PYTHON):
            raise InputError(
                "--cache stores vectors by the fingerprint of the model's "
                f"files, which a function does not have. Received: {model}. "
                "Leave --cache out."
            )
        self._encoder = Encoder(model, compute_dtype)
        self._cache = cache
        self._show_progress_bar = show_progress_bar
        self._count = self._max_length = None

    def __call__(self, texts):
        """float32 [n, dim]."""
        return self._encode_fn(texts)

    def report(self) -> str:
        """The number of truncated texts; empty if it is unknown."""
        if self._count is None:
            return ""
        return self._count.report(self._max_length)

    @functools.cached_property
    def _encode_fn(self):
        from labse.evaluation.embedding_cache import cached
        from labse.inference.truncation import TruncationCount

        encoder, fingerprint = self._encoder()
        self._count = TruncationCount()
        self._max_length = getattr(encoder, "max_length", None)
        encode_fn = encoder
        if self._show_progress_bar:  # A Python function has none.
            encode_fn = getattr(encoder, "with_bar", encoder)
        if self._cache is not None:
            encode_fn = cached(encode_fn, self._cache, fingerprint)
        return counting(encode_fn, encoder, self._count)
