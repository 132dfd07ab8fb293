"""How languages share a vocabulary: section 3.2's smoothing exponent."""

from collections.abc import Mapping

from labse.errors import InputError

# Section 3.2.
PAPER_EXPONENT = 0.3


def smoothing_coefficients(
    words: Mapping[str, int], exponent: float
) -> dict[str, float]:
    """The weight of each word of a language after smoothing.

    With p_l the share of language l, its words have the weight
    p_l^S / (sum_k p_k^S * p_l), so that the language's smoothed share is
    p_l^S / sum_k p_k^S, and the total is unchanged. (TensorFlow Text's
    vocabulary tool, which section 3.2 names.)

    Args:
      words: language -> total number of words.
      exponent: S; 1 leaves the shares unchanged, 0 makes them equal.

    Raises:
      InputError: the exponent is not between 0 and 1.
    """
    if not 0 <= exponent <= 1:
        raise InputError(
            "The smoothing exponent is between 0 (all languages have the same "
            f"weight) and 1 (no smoothing). Received {exponent}."
        )
    total = sum(words.values())
    shares = {language: n / total for language, n in words.items() if n}
    norm = sum(share**exponent for share in shares.values())
    return {
        language: share**exponent / (norm * share)
        for language, share in shares.items()
    }
