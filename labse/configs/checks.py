"""Checks of a section's values; each raises an `InputError`."""

from labse.errors import InputError


def choice(config, name: str, choices: tuple[str, ...]) -> None:
    """`config.name` must be one of `choices`."""
    if getattr(config, name) not in choices:
        raise InputError(
            f"{name} must be one of {', '.join(choices)}. "
            f"Received: {getattr(config, name)!r}."
        )


def _require(config, names: tuple[str, ...], rule: str, holds) -> None:
    for name in names:
        value = getattr(config, name)
        if not holds(value):
            raise InputError(f"{name} must {rule}. Received: {value}.")


def positive(config, *names: str) -> None:
    """Each must be greater than 0."""
    _require(config, names, "be greater than 0", lambda value: value > 0)


def not_negative(config, *names: str) -> None:
    """Each must be at least 0."""
    _require(config, names, "be at least 0", lambda value: value >= 0)


def probability(config, *names: str) -> None:
    """Each must lie between 0 and 1."""
    _require(
        config, names, "lie between 0 and 1", lambda value: 0 <= value <= 1
    )


def corpus_weights(config) -> None:
    """`config.corpus_weights` must be numbers that can be weights."""
    weights = config.corpus_weights
    if not all(1e-6 <= weight <= 1e6 for weight in weights.values()):
        raise InputError(
            "data.corpus_weights must be between 1e-6 and 1e6. To exclude a "
            f"corpus, leave its records out. Received: {weights}."
        )
