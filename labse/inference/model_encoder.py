"""A model as the function that evaluation and mining encode texts with."""


class ModelEncoder:
    """The encode_fn of a model, which reports the texts it truncates."""

    def __init__(self, model):
        """Takes what `labse.load` returns."""
        self._model = model
        self.max_length = model.max_length
        self.reports_truncation = model.reports_truncation

    def __call__(self, texts):
        """float32 [n, dim]."""
        return self._model.encode(texts, on_truncation="ignore")

    def with_bar(self, texts):
        """The same, with a progress bar."""
        return self._model.encode(
            texts, show_progress_bar=True, on_truncation="ignore"
        )

    def truncated(self, texts):
        """bool [n]; None if the model does not report it."""
        if not self.reports_truncation:
            return None
        return self._model.truncated(texts)
