"""Which language a text is in."""

from typing import NamedTuple

from data_pipeline.language_id.scripts import main_script
from data_pipeline.language_id.scripts import SCRIPT_LANGUAGES
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import language_tag


class Identified(NamedTuple):
    """A language, and how sure that is (0 to 1).

    `und` where no language could be named.
    """

    language: str
    confidence: float


class LanguageIdentifier:
    """Names the language of texts."""

    def identify(self, text: str) -> Identified:
        """The language of a text: a tag of `labse.languages`, or `und`."""
        import pycld2

        script = main_script(text)
        if not script:
            return Identified(UNKNOWN_LANGUAGE, 0.0)
        alone = SCRIPT_LANGUAGES.get(script)
        if isinstance(alone, str):
            return Identified(alone, 1.0)
        cleaned = "".join(c for c in text if c.isprintable() or c == " ")
        reliable, _, found = pycld2.detect(
            cleaned.encode("utf-8", "ignore"), bestEffort=True
        )
        code = found[0][1]
        if code == "un" or code.startswith("xx"):
            return Identified(UNKNOWN_LANGUAGE, 0.0)
        return Identified(
            language_tag(code) or UNKNOWN_LANGUAGE, found[0][2] / 100
        )
