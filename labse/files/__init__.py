"""The readers and writers of text, pairs and vectors."""

from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Pair": "pairs",
        "PairFiles": "pairs",
        "ReadOptions": "reading",
        "Text": "texts",
        "Texts": "texts",
        "write_pairs": "pair_writer",
    },
)
