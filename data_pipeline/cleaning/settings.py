"""What cleaning keeps, and in which steps."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping

from data_pipeline.cleaning.steps import line_rules, page_rules
from data_pipeline.cleaning.steps.language_rules import (
    DocumentLanguage,
    SentenceLanguage,
)
from data_pipeline.cleaning.steps.sentence_rules import Quality, Split
from data_pipeline.cleaning.steps.step import Step
from data_pipeline.language_id.identifier import LanguageIdentifier
from data_pipeline.quality.model import QualityModel
from labse.errors import InputError

# Steps that compare documents, in the order in which they decide.
NEAR_DUPLICATES = "near_duplicates"
SPANS = "spans"
EXACT_DUPLICATES = "exact_duplicates"
COMPARISONS = (NEAR_DUPLICATES, SPANS, EXACT_DUPLICATES)
SHARD_SENTENCES = 1_000_000
_SENTENCE_LENGTH = "sentence_length"

# The steps in their order: the language first, since rules differ by it.
STEPS = (
    DocumentLanguage.name,
    "length",
    line_rules.CitationMarks.name,
    line_rules.Javascript.name,
    line_rules.Policies.name,
    line_rules.TerminalPunctuation.name,
    line_rules.Words.name,
    page_rules.LoremIpsum.name,
    page_rules.CurlyBrackets.name,
    page_rules.BadWords.name,
    page_rules.Sentences.name,
    Split.name,
    _SENTENCE_LENGTH,
    SentenceLanguage.name,
    Quality.name,
    *COMPARISONS,
)


@dataclasses.dataclass(frozen=True)
class CleaningSettings:
    """What is kept.

    Attributes:
      skip: names of `STEPS` that are left out.
      min_characters, max_characters: of lines and of sentences.
      bad_words: by language; see `page_rules.read_bad_words`.
      quality_model: a file of `labse train-quality`; empty: none.
      quality_share: the share of sentences that it keeps.
      shard_sentences: most sentences of an output file.
    """

    skip: frozenset[str] = frozenset()
    min_characters: int = line_rules.MIN_CHARACTERS
    max_characters: int = line_rules.MAX_CHARACTERS
    bad_words: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )
    quality_model: str = ""
    quality_share: float = 0.5
    shard_sentences: int = SHARD_SENTENCES

    def __post_init__(self):
        """Checks the values.

        Raises:
          InputError: one of them is not allowed.
        """
        if unknown := sorted(self.skip - {*STEPS}):
            raise InputError(
                f"skip_steps are some of {', '.join(STEPS)}. Received: "
                f"{', '.join(unknown)}."
            )
        if not 1 <= self.min_characters <= self.max_characters:
            raise InputError(
                "min_characters is at least 1 and at most max_characters. "
                f"Received: {self.min_characters} and {self.max_characters}."
            )
        if not 0 < self.quality_share <= 1:
            raise InputError(
                "quality_share is a share above 0, at most 1. Received: "
                f"{self.quality_share:g}."
            )
        if self.quality_model:  # Before a job with it is begun.
            QualityModel.read(self.quality_model)

    def uses(self, step: str) -> bool:
        """Whether a step is run."""
        if step == page_rules.BadWords.name and not self.bad_words:
            return False
        if step == Quality.name and not self.quality_model:
            return False
        return step not in self.skip

    def steps(self) -> list[Step]:
        """The steps that see one document at a time, in their order."""
        steps = [
            *_rules(self),
            page_rules.BadWords(self.bad_words),
            page_rules.Sentences(),
            Split(),
            line_rules.Length(
                _SENTENCE_LENGTH, self.min_characters, self.max_characters
            ),
            SentenceLanguage(LanguageIdentifier()),
        ]
        used = [step for step in steps if self.uses(step.name)]
        if self.uses(Quality.name):
            used.append(
                Quality(
                    QualityModel.read(self.quality_model), self.quality_share
                )
            )
        return used

    def made_from(self) -> dict[str, object]:
        """What the sentences that are kept depend on, as JSON values."""
        found = dataclasses.asdict(self)
        found["skip"] = sorted(self.skip)
        words = json.dumps(self.bad_words, sort_keys=True).encode()
        found["bad_words"] = hashlib.sha256(words).hexdigest()
        if self.quality_model:
            content = pathlib.Path(self.quality_model).read_bytes()
            model = hashlib.sha256(content).hexdigest()
            found["quality_model"] = [self.quality_model, model]
        return found


def _rules(settings: CleaningSettings) -> list[Step]:
    """Those on lines, and on pages in all languages."""
    return [
        DocumentLanguage(LanguageIdentifier()),
        line_rules.Length(
            "length", settings.min_characters, settings.max_characters
        ),
        line_rules.CitationMarks(),
        line_rules.Javascript(),
        line_rules.Policies(),
        line_rules.TerminalPunctuation(),
        line_rules.Words(),
        page_rules.LoremIpsum(),
        page_rules.CurlyBrackets(),
    ]
