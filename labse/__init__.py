"""LaBSE for TensorFlow: train, use, evaluate and export sentence embeddings.

Importing this package is cheap; TensorFlow is imported when a name that needs
it is first used.
"""

import importlib

from labse.inference import process
from labse.version import __version__

_LAZY = {
    "DualEncoder": "labse.modeling.dual_encoder",
    "SentenceEncoder": "labse.modeling.sentence_encoder",
    "additive_margin_softmax": "labse.losses.additive_margin_softmax",
    "load": "labse.inference.loading",
    "mine": "labse.mining.mine",
}

__all__ = ["__version__", *_LAZY]

process.watch_forks()


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'labse' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__():
    return __all__
