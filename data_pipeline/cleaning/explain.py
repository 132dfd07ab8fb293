"""What each step decides about one line, as a table."""

import copy

from data_pipeline.cleaning.settings import STEPS, CleaningSettings
from data_pipeline.cleaning.steps.page_rules import (
    BadWords,
    CurlyBrackets,
    LoremIpsum,
)
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Dropped, Drops
from data_pipeline.jobs.report import table

_HEAD = ("step", "decision", "reason or result")
_PLACE = "the line"
# The rules on pages that one line can break.
_RULES_ON_CONTENT = {LoremIpsum.name, CurlyBrackets.name, BadWords.name}


def explain(line: str, settings: CleaningSettings, language: str) -> str:
    """A table with a row for each step.

    After a step that drops the line, the others are shown what it had been
    given, so that the table says all that is wrong with the line. Rules on
    pages take it for a whole page, but for the number of its sentences.

    Args:
      line: of text.
      settings: the steps that are used.
      language: that is declared.
    """
    steps = {step.name: step for step in settings.steps()}
    document = Document([line], _PLACE, language)
    rows = []
    for name in STEPS:
        if name not in steps:
            rows.append((name, *_not_run(name, settings)))
            continue
        before = copy.deepcopy(document)
        dropped: list[Dropped] = []
        document.is_page = name in _RULES_ON_CONTENT
        steps[name].apply(document, Drops(dropped.append))
        rows.append((name, *_decision(before, document, dropped)))
        if not document.lines:
            document.lines = before.lines
    return table(_HEAD, rows)


def _not_run(name: str, settings: CleaningSettings) -> tuple[str, str]:
    if settings.uses(name):
        return "-", "compares with what came before in the corpora"
    if name in settings.skip:
        return "-", "skipped"
    return "-", "needs a list of words or a model, which is not given"


def _decision(
    before: Document, after: Document, dropped: list[Dropped]
) -> tuple[str, str]:
    if dropped:
        reasons = dict.fromkeys(one.reason for one in dropped)
        what = "drops"
        if after.lines:
            what = f"drops {len(dropped)} of {len(before.lines)}"
        return what, ", ".join(reasons)
    if after.language != before.language:
        return "keeps", f"is {after.language}"
    if after.lines != before.lines:
        return "changes", " | ".join(after.lines)
    return "keeps", ""
