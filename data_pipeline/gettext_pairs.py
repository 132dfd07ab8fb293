"""Translation catalogues -> pairs of texts, every loss counted.

A corpus of the same making as OPUS's GNOME, KDE and Ubuntu corpora (Tiedemann,
"Parallel Data, Tools and Interfaces in OPUS", LREC 2012).
"""

import collections
import dataclasses
import gettext
import re
from collections.abc import Iterable, Iterator

from data_pipeline import gettext_text
from data_pipeline.gettext_catalogues import Catalogue, read_catalogues
from labse import languages
from labse.errors import InputError

_PLURAL_FORMS = re.compile(r"\bplural\s*=([^;]+)")

# (target language, source, target): the order in which pairs are sorted.
Pair = tuple[str, str, str]

# Why a string became no pair, in the order in which it is asked. With
# `pairs_written` these add up to `strings_read`.
DROPS = {
    "obsolete": "no longer in the program",
    "fuzzy": "a guess that nobody has confirmed",
    "plural_unclear": "which plural form is meant cannot be told",
    "untranslated": "no translation",
    "no_letters": "no letter beside the placeholders",
    "too_long": "longer than --max_characters",
    "same_as_source": "the translation repeats the source",
    "placeholders_differ": "source and target fill in different values",
    "duplicate": "the same pair again",
    "same_as_parent_locale": "a regional catalogue repeats its parent's pair",
}


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What came out.

    Attributes:
      pairs: sorted, each once.
      counters: `catalogues_*`, `strings_read`, the names of `DROPS`,
        `pairs_written`.
      unclear: the names of catalogues whose language is unclear.
    """

    pairs: list[Pair]
    counters: collections.Counter
    unclear: list[str]


def extract_pairs(
    inputs: Iterable[str],
    source_language: str,
    target_languages: frozenset[str] | None = None,
    max_characters: int = 500,
) -> Extraction:
    """Reads the catalogues of all inputs.

    A regional catalogue is often a copy of its parent's with a few words
    changed. Its copied pairs are what the run-time would fall back on anyway
    and teach nothing new, so they are dropped where the parent's pairs are
    extracted too; what is different stays, under the region's tag.

    Args:
      inputs: as `read_catalogues` has them.
      source_language: tag of the language of the msgids.
      target_languages: tags to keep; None for all. A region's tag is its own.
      max_characters: the longest text kept, on either side.

    Raises:
      InputError: an input cannot be read, or a language is nowhere.
    """
    counters = collections.Counter()
    unclear, found, pairs = [], set(), set()
    for input_name in inputs:
        for catalogue in read_catalogues(input_name, counters):
            language = catalogue.language
            if language is None:
                counters["catalogues_language_unclear"] += 1
                unclear.append(catalogue.name)
                continue
            if _same_language(language, source_language):
                # en_GB respells English; it does not translate it.
                counters["catalogues_in_source_language"] += 1
                continue
            found.add(language)
            if target_languages and language not in target_languages:
                counters["catalogues_not_asked_for"] += 1
                continue
            for source, target in _pairs(catalogue, max_characters, counters):
                counters["duplicate"] += (language, source, target) in pairs
                pairs.add((language, source, target))
    _check_found(target_languages, found)
    kept = sorted(pair for pair in pairs if not _repeats_parent(pair, pairs))
    counters["same_as_parent_locale"] = len(pairs) - len(kept)
    counters["pairs_written"] = len(kept)
    return Extraction(kept, counters, unclear)


def _check_found(asked: frozenset[str] | None, found: set[str]) -> None:
    missing = sorted((asked or frozenset()) - found)
    if missing:
        raise InputError(
            "Each language asked for must have a catalogue. Received: "
            f"{', '.join(missing)}, of which there is none. There are: "
            f"{', '.join(sorted(found)) or 'none at all'}."
        )


def _same_language(tag: str, other: str) -> bool:
    return languages.primary_language(tag) == languages.primary_language(other)


def _repeats_parent(pair: Pair, pairs: set[Pair]) -> bool:
    language, source, target = pair
    while language := languages.parent_tag(language):
        if (language, source, target) in pairs:
            return True
    return False


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A string and its translation; `leaves_out` may lack on either side."""

    source: str
    target: str
    leaves_out: collections.Counter


def _pairs(
    catalogue: Catalogue, max_characters: int, counters: collections.Counter
) -> Iterator[tuple[str, str]]:
    """The catalogue's pairs of visible texts; the rest is counted."""
    plural_indices = PluralIndices(catalogue.plural_forms)
    for entry in catalogue.entries:
        strings = 2 if entry.msgid_plural else 1
        counters["strings_read"] += strings
        # A .mo holds neither of these: its compiler left them out.
        if entry.obsolete:
            counters["obsolete"] += strings
        elif "fuzzy" in entry.flags:
            counters["fuzzy"] += strings
        else:
            candidates = _candidates(entry, plural_indices)
            counters["plural_unclear"] += strings - len(candidates)
            for candidate in candidates:
                source, target, reason = _judge(candidate, max_characters)
                if reason:
                    counters[reason] += 1
                else:
                    yield source, target


def _candidates(entry, plural_indices: "PluralIndices") -> list[_Candidate]:
    """One candidate, or up to two for an entry with a plural."""
    nothing = collections.Counter()
    if not entry.msgid_plural:
        return [_Candidate(entry.msgid, entry.msgstr, nothing)]
    forms = {int(key): form for key, form in entry.msgstr_plural.items()}
    one, many = plural_indices.of(forms)
    # "one file" for "%d file" is good style in many languages, and Russian
    # needs the number where English leaves it out (21 takes the form of 1).
    number = gettext_text.placeholders(entry.msgid_plural)
    candidates = []
    if one in forms:
        candidates.append(_Candidate(entry.msgid, forms[one], number))
    if many in forms:
        candidates.append(_Candidate(entry.msgid_plural, forms[many], nothing))
    return candidates


def _judge(
    candidate: _Candidate, max_characters: int
) -> tuple[str, str, str | None]:
    """The visible texts, and why they are no pair, or None if they are."""
    source, target = gettext_text.without_accelerators(
        gettext_text.visible_text(candidate.source),
        gettext_text.visible_text(candidate.target),
    )
    reason = None
    if not target:
        reason = "untranslated"
    elif not all(map(gettext_text.has_letters, (source, target))):
        reason = "no_letters"
    elif max(len(source), len(target)) > max_characters:
        reason = "too_long"
    elif source == target:
        reason = "same_as_source"
    elif not _same_placeholders(source, target, candidate.leaves_out):
        reason = "placeholders_differ"
    return source, target, reason


def _same_placeholders(
    source: str, target: str, leaves_out: collections.Counter
) -> bool:
    """Whether both fill in the same values, but for one of `leaves_out`."""
    source_values = gettext_text.placeholders(source)
    target_values = gettext_text.placeholders(target)
    difference = (source_values - target_values) + (
        target_values - source_values
    )
    return not difference or (
        difference.total() == 1 and difference <= leaves_out
    )


class PluralIndices:
    """Which of a catalogue's plural forms say "one" and "many".

    English has one form for 1 and one for the rest. Of the other language's
    forms, the one used for 1 translates the singular, and the one used for the
    most numbers from 2 to 200 the plural: not Arabic's dual, not the form that
    Russian has for 2 to 4.
    """

    def __init__(self, plural_forms: str):
        """Takes the header's Plural-Forms, sound or not."""
        # A header that nobody can follow is as good as none.
        self._one, self._many = None, None
        match = _PLURAL_FORMS.search(plural_forms)
        if not match:
            return
        try:
            index = gettext.c2py(match[1])
            used = collections.Counter(index(n) for n in range(2, 201))
            self._one, self._many = index(1), used.most_common(1)[0][0]
        except (ValueError, ZeroDivisionError, RecursionError):
            return

    def of(self, forms: dict[int, str]) -> tuple[int | None, int | None]:
        """The indices of one and many in an entry; None where unclear."""
        if self._many in forms and self._one in forms:
            return self._one, self._many
        if len(forms) <= 2:  # what gettext itself assumes without a header
            return 0, len(forms) - 1
        # An entry older than its header lacks the form for many, but its form
        # for one is in its place.
        return self._one, None


def summary(extraction: Extraction) -> str:
    """A table of the counters and of the pairs of each language."""
    counters = extraction.counters
    lines = [
        f"{counters[name]:>9,}  {name}"
        for name in sorted(counters)
        if name.startswith("catalogues_")
    ]
    lines += [f"           {name}" for name in extraction.unclear]
    lines.append(f"{counters['strings_read']:>9,}  strings_read")
    lines += [
        f"{counters[name]:>9,}  dropped: {name} ({why})"
        for name, why in DROPS.items()
        if counters[name]
    ]
    by_language = collections.Counter(pair[0] for pair in extraction.pairs)
    sources = {source for _, source, _ in extraction.pairs}
    lines.append(
        f"{counters['pairs_written']:>9,}  pairs_written: "
        f"{len(by_language)} languages, {len(sources):,} different sources"
    )
    lines += [
        f"{count:>9,}  {language}"
        for language, count in sorted(by_language.items())
    ]
    return "\n".join(lines)
