"""The interface of a step of scikit-learn's pipelines."""

import copy

from labse.errors import InputError

# Parameters that can be set, and searched over.
_PARAMETERS = ("max_length",)


class Transformer:
    """Texts to vectors as a step of `sklearn.pipeline.Pipeline`.

    There is nothing to fit. scikit-learn itself is not imported before use.
    """

    def fit(self, texts, labels=None):
        """Does nothing; returns the model."""
        return self

    def transform(self, texts):
        """Vectors float32 [n, dimension]; see `encode`."""
        return self.encode(texts)

    def fit_transform(self, texts, labels=None):
        """The same as `transform`."""
        return self.transform(texts)

    def get_params(self, deep: bool = True) -> dict:
        """The parameters that can be set, and their values."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **params):
        """Sets parameters; returns the model.

        Raises:
          InputError: there is no such parameter, or its value is invalid.
        """
        for name in params:
            if name not in _PARAMETERS:
                raise InputError(
                    "A model has the parameters "
                    f"{', '.join(_PARAMETERS)}. Received: {name}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self):
        return copy.copy(self)

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(
                one_d_array=True, two_d_array=False, string=True
            ),
            requires_fit=False,
        )
