"""Models that turn sentences into vectors."""

from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {"EncoderModel": "encoder_model", "SentenceModel": "sentence_model"},
)
