"""Which language a text is in: three libraries and the script.

A script that one language alone is written in settles it. Otherwise each
library answers, and the language under which the answers are most likely wins
(naive Bayes: the product of the rates of `answer_rates`). The library that is
slow answers only where the quick ones leave a doubt.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from data_pipeline.language_id.answer_rates import (
    rates_of_uncounted,
    read_answer_rates,
)
from data_pipeline.language_id.libraries import (
    LIBRARIES,
    load_library,
    looked_at,
)
from data_pipeline.language_id.scripts import (
    SCRIPT_LANGUAGES,
    SCRIPTS_OF_LANGUAGE,
    main_script,
)
from labse.errors import InputError
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import LABSE_LANGUAGES, language_tag

DEFAULT_LIBRARIES = tuple(LIBRARIES)
# From this probability on, no further library is consulted.
_NO_DOUBT = 0.98
# A language that is not LaBSE's is that much rarer in text for LaBSE.
_OTHER_LANGUAGES = math.log(0.2)
_WRITTEN_IN_SEVERAL = ("az", "ku", "sr", "tt", "uz")


class Identified(NamedTuple):
    """A language, and the probability that it is right.

    `und` where no language could be named, with the probability of the best.
    """

    language: str
    confidence: float


class LanguageIdentifier:
    """Names the language of texts. Is pickled as its arguments."""

    def __init__(
        self,
        min_confidence: float = 0.5,
        libraries: Sequence[str] = DEFAULT_LIBRARIES,
    ):
        """Loads nothing yet: each process loads models when it needs them.

        Args:
          min_confidence: the probability, 0 to 1, below which the answer is
            `und`.
          libraries: names of `libraries.LIBRARIES`, fastest first.

        Raises:
          InputError: an argument is out of range.
        """
        if not 0 <= min_confidence <= 1 or not libraries:
            raise InputError(
                "Language identification needs a lowest confidence from 0 to 1 "
                f"and one library or more. Received: {min_confidence} and "
                f"{list(libraries)}."
            )
        self.min_confidence = min_confidence
        self.libraries = tuple(libraries)

    def identify(self, text: str) -> Identified:
        """The language of a text: a tag of `labse.languages`, or `und`.

        Chinese is `zh` in both scripts. A script is named where readers would
        expect another: `sr-Latn`.

        Raises:
          InputError: a library is not installed.
        """
        script, share = main_script(text)
        if not script:
            return Identified(UNKNOWN_LANGUAGE, 0.0)
        if script in SCRIPT_LANGUAGES:
            found = Identified(SCRIPT_LANGUAGES[script], share)
        else:
            found = self._consult(looked_at(text), script)
        if found.confidence < self.min_confidence:
            return Identified(UNKNOWN_LANGUAGE, found.confidence)
        return found

    def _consult(self, text: str, script: str) -> Identified:
        """Adds up the libraries' evidence until there is no doubt."""
        rates = read_answer_rates()
        evidence = {}
        best = Identified(UNKNOWN_LANGUAGE, 0.0)
        for number, name in enumerate(self.libraries):
            answer = _library(name)(text)
            languages = rates.get((name, answer)) or rates_of_uncounted(answer)
            for language, rate in languages.items():
                evidence[language] = evidence.get(language, 0.0) + rate
            if number or len(self.libraries) == 1:
                best = _most_likely(evidence, script)
                if best.confidence >= _NO_DOUBT:
                    break
        return best


_library = functools.cache(load_library)


def _most_likely(evidence: Mapping[str, float], script: str) -> Identified:
    """The likeliest language that is written in the script."""
    scores = {
        language: score + _prior(language)
        for language, score in evidence.items()
        if script in SCRIPTS_OF_LANGUAGE.get(language, ("Latn",))
    }
    if not scores:
        return Identified(UNKNOWN_LANGUAGE, 0.0)
    language = max(scores, key=lambda name: (scores[name], name))
    total = sum(math.exp(score - scores[language]) for score in scores.values())
    if language in _WRITTEN_IN_SEVERAL:
        language = language_tag(f"{language}-{script}")
    return Identified(language, 1 / total)


@functools.cache
def _prior(language: str) -> float:
    known = language in LABSE_LANGUAGES or language == "nb"
    return 0.0 if known else _OTHER_LANGUAGES
