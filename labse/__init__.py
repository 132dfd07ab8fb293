"""LaBSE for TensorFlow: train, use, evaluate and export sentence embeddings.

Importing this package is cheap; TensorFlow is imported when a name that needs
it is first used.
"""

from labse.inference import process
from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DualEncoder": "modeling.dual_encoder",
        "SentenceEncoder": "modeling.sentence_encoder",
        "__version__": "version",
        "additive_margin_softmax": "losses.additive_margin_softmax",
        "load": "inference.loading",
        "mine": "mining.mine",
    },
)

process.watch_forks()
