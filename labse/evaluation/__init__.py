"""Evaluators: one task of the paper each, and their report."""

from labse.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Curve": "results",
        "Mistake": "results",
        "Row": "results",
        "TaskResult": "results",
    },
)
