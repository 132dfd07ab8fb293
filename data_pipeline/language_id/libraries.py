"""What each library of language identification answers.

All carry their model in their package and are free to use anywhere: CLD2
(https://github.com/CLD2Owners/cld2, Apache-2.0), ELDC
(https://github.com/nitotm/eldc, Apache-2.0) and py3langid
(https://github.com/adbar/py3langid, BSD-3).
"""

import functools
import re
from collections.abc import Callable

from labse.errors import InputError
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import language_tag, primary_language

_LONGEST_TEXT = 1000  # characters that are looked at
# What CLD2 rejects, and what no encoder takes.
_NOT_TEXT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_UNSURE = "?"
_PY3LANGID_SURE = 0.5
_OTHER_CODES = {"fil": "tl", "un": UNKNOWN_LANGUAGE, "zxx": UNKNOWN_LANGUAGE}


def looked_at(text: str) -> str:
    """The part of a text that libraries look at, without control characters."""
    return _NOT_TEXT.sub(" ", text[:_LONGEST_TEXT])


def load_library(name: str) -> Callable[[str], str]:
    """A function from a text to a library's answer.

    An answer is a code of ISO 639, `und` for none, with a question mark behind
    it where the library itself is not sure. The text is `looked_at`.

    Raises:
      InputError: there is no such library, or it is not installed.
    """
    if name not in LIBRARIES:
        raise InputError(
            f"A library of language identification must be one of "
            f"{', '.join(LIBRARIES)}. Received: {name}."
        )
    try:
        return LIBRARIES[name]()
    except ImportError as error:
        raise InputError(
            f"Language identification with {name} needs a package that is not "
            f"installed ({error}). Install it, or leave {name} out."
        ) from error


@functools.lru_cache(maxsize=1024)
def language_of(code: str) -> str:
    """The language of a library's code, in the codes of `labse.languages`."""
    tag = language_tag(_OTHER_CODES.get(code, code))
    return primary_language(tag) if tag else UNKNOWN_LANGUAGE


def _answer(code: str, is_sure: bool) -> str:
    return language_of(code) + ("" if is_sure else _UNSURE)


def _load_cld2() -> Callable[[str], str]:
    import pycld2

    def identify(text: str) -> str:
        is_reliable, _, found = pycld2.detect(text, bestEffort=True)
        return _answer(found[0][1], is_reliable)

    return identify


def _load_eldc() -> Callable[[str], str]:
    import eldc

    eldc.init()
    instance = eldc.instance()

    def identify(text: str) -> str:
        found = instance.detect_details(text)
        return _answer(found.language, found.reliable)

    return identify


def _load_py3langid() -> Callable[[str], str]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def identify(text: str) -> str:
        code, probability = model.classify(text)
        return _answer(code, probability > _PY3LANGID_SURE)

    return identify


# Fastest first: in this order they are consulted.
LIBRARIES = {
    "eldc": _load_eldc,
    "cld2": _load_cld2,
    "py3langid": _load_py3langid,
}
