"""Which language a text is in: three libraries and the script.

A script that one language alone is written in settles it. Otherwise each
library answers, and the language under which the answers are most likely wins
(naive Bayes: the product of the rates of `answer_rates`). The library that is
slow answers only where the quick ones leave a doubt.
"""

import functools
import math
from collections.abc import Sequence
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
    main_script,
    scripts_of,
)
from labse.errors import InputError
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import LABSE_LANGUAGES, primary_language

DEFAULT_LIBRARIES = tuple(LIBRARIES)
# From this probability on, no further library is consulted.
_NO_DOUBT = 0.95
# A language that is not LaBSE's is that much rarer in text for LaBSE.
_OTHER_LANGUAGES = math.log(0.2)


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
        """Adds libraries' answers until there is no doubt."""
        answers = ()
        for name in self.libraries:
            answers += ((name, _library(name)(text)),)
            found = weigh(answers, script)
            if found.confidence >= _NO_DOUBT and len(answers) > 1:
                break
        return found


_library = functools.cache(load_library)


@functools.lru_cache(maxsize=1 << 16)
def weigh(answers: tuple[tuple[str, str], ...], script: str) -> Identified:
    """The likeliest language, given libraries' answers and the script.

    Args:
      answers: library and answer.
      script: in which the language has to be written.
    """
    rates = read_answer_rates()
    scores = {}
    for library, answer in answers:
        found = rates.get((library, answer)) or rates_of_uncounted(answer)
        for language, rate in found.items():
            if script in scripts_of(language):
                prior = scores.get(language, _prior(language))
                scores[language] = prior + rate
    if not scores:
        return Identified(UNKNOWN_LANGUAGE, 0.0)
    language = max(scores, key=lambda name: (scores[name], name))
    total = sum(math.exp(score - scores[language]) for score in scores.values())
    return Identified(language, 1 / total)


@functools.cache
def _prior(language: str) -> float:
    code = primary_language(language)
    return 0.0 if code in LABSE_LANGUAGES or code == "nb" else _OTHER_LANGUAGES
