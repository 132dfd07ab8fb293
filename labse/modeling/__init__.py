"""The encoder, and the dual encoder that is trained."""

from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {"DualEncoder": "dual_encoder", "SentenceEncoder": "sentence_encoder"},
)
