"""Translation catalogues to pairs of texts; everything dropped is counted.

OPUS's GNOME, KDE and Ubuntu corpora are made in the same way (Tiedemann,
"Parallel Data, Tools and Interfaces in OPUS", LREC 2012).
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from data_pipeline.gettext import message_text
from data_pipeline.gettext.catalogues import (
    Catalogue,
    CatalogueFile,
    expand_globs,
    find_catalogues,
)
from data_pipeline.gettext.plural_forms import PluralIndices
from data_pipeline.gettext.po_parser import Entry, MalformedCatalogue
from labse import languages
from labse.errors import InputError

# Most catalogues that a message names.
NAMED = 5

# (target language, source, target): the order in which pairs are sorted.
Pair = tuple[str, str, str]

# Why a string is dropped, in the order of the checks. With `pairs_written`
# these add up to `strings_read`.
DROPS = {
    "obsolete": "no longer in the program",
    "fuzzy": "an unconfirmed guess",
    "conflict": "several translations between the marks of msgcat",
    "plural_unclear": "it is unclear which plural form is meant",
    "untranslated": "no translation",
    "no_letters": "no letter besides the placeholders",
    "too_long": "longer than the limit",
    "same_as_source": "the translation repeats the source",
    "placeholders_differ": "source and target fill in different values",
    "duplicate": "the same pair again",
    "same_as_parent_locale": "a regional catalogue repeats its parent's pair",
}


@dataclasses.dataclass(frozen=True)
class Extraction:
    """The pairs of texts, and counts.

    Attributes:
      pairs: sorted, without duplicates.
      counters: `catalogues_*`, `strings_read`, the names of `DROPS`,
        `pairs_written`.
      unclear: names of the catalogues whose language is unclear, and why.
      malformed: the catalogues that could not be read, where and why.
    """

    pairs: list[Pair]
    counters: collections.Counter
    unclear: list[str]
    malformed: list[str]

    @property
    def malformed_share(self) -> float:
        """Share of malformed catalogues among those that were opened."""
        opened = self.counters["catalogues_read"] + len(self.malformed)
        return len(self.malformed) / opened if opened else 0.0


def extract_pairs(
    inputs: Iterable[str],
    source_language: str,
    target_languages: frozenset[str] | None = None,
    max_characters: int = 500,
    target_language: str | None = None,
    exclude: Sequence[str] = (),
) -> Extraction:
    """Reads the catalogues of all inputs.

    A regional catalogue is often a copy of its parent's with a few words
    changed. The copied pairs add nothing (the run-time would fall back on the
    parent's anyway), so they are dropped if the parent's pairs are extracted
    too; the others are kept, under the region's tag.

    Args:
      inputs: as in `find_catalogues`, and globs of these.
      source_language: tag of the language of the msgids.
      target_languages: tags to keep; None for all. A region has a tag of its
        own.
      max_characters: the longest text kept, on either side.
      target_language: tag of the catalogues whose language is unclear; if
        None, they are left out.
      exclude: globs of catalogues to leave out, see `CatalogueFile.matches`.

    Raises:
      InputError: an input does not exist or has no catalogue, a language has
        none, or a glob matches nothing.
    """
    reader = _Reader(source_language, target_languages, target_language)
    unused = set(exclude)
    pairs, counters = set(), reader.counters
    for input_name in expand_globs(inputs):
        for file in find_catalogues(input_name, counters):
            matching = {glob for glob in exclude if file.matches(glob)}
            unused -= matching
            if matching:
                counters["catalogues_excluded"] += 1
                continue
            language, catalogue = reader.read(file)
            if catalogue is None:
                continue
            for source, target in _pairs(catalogue, max_characters, counters):
                counters["duplicate"] += (language, source, target) in pairs
                pairs.add((language, source, target))
    _check_excluded(unused)
    _check_found(target_languages, reader)
    kept = sorted(pair for pair in pairs if not _repeats_parent(pair, pairs))
    counters["same_as_parent_locale"] = len(pairs) - len(kept)
    counters["pairs_written"] = len(kept)
    return Extraction(kept, counters, reader.unclear, reader.malformed)


class _Reader:
    """Reads the catalogues of the languages to keep."""

    def __init__(
        self,
        source_language: str,
        target_languages: frozenset[str] | None,
        target_language: str | None,
    ):
        """Takes the arguments of `extract_pairs`."""
        self.counters = collections.Counter()
        self.unclear: list[str] = []
        self.malformed: list[str] = []
        self.found: set[str] = set()
        self._source_language = source_language
        self._target_languages = target_languages
        self._target_language = target_language

    def read(self, file: CatalogueFile) -> tuple[str, Catalogue | None]:
        """The language and the catalogue; None, counted, if it is not used."""
        sure = file.sure_language
        # Not read: it may be damaged, and takes time.
        if sure and not self._wants(sure):
            return sure, None
        try:
            catalogue = file.read()
        except MalformedCatalogue as error:
            self.counters["catalogues_malformed"] += 1
            self.malformed.append(str(error))
            return "", None
        self.counters["catalogues_read"] += 1
        language = catalogue.language
        if language is None and self._target_language:
            self.counters["catalogues_language_given"] += 1
            language = self._target_language
        if language is None:
            self.counters["catalogues_language_unclear"] += 1
            self.unclear.append(f"{catalogue.name}: {catalogue.why_unclear}")
            return "", None
        return language, catalogue if self._wants(language) else None

    def _wants(self, language: str) -> bool:
        """Whether to keep the language; counts it if not."""
        if _same_language(language, self._source_language):
            # en_GB is another spelling of English, not a translation.
            self.counters["catalogues_in_source_language"] += 1
            return False
        self.found.add(language)
        if self._target_languages and language not in self._target_languages:
            self.counters["catalogues_not_asked_for"] += 1
            return False
        return True


def _check_excluded(unused: set[str]) -> None:
    if unused:
        raise InputError(
            "Each glob of catalogues to exclude must match one. Received: "
            f"{', '.join(sorted(unused))}, which match none. A glob is for "
            "the whole path in the folder or archive, such as "
            "'*/fr/LC_MESSAGES/*'."
        )


def _check_found(wanted: frozenset[str] | None, reader: _Reader) -> None:
    missing = sorted((wanted or frozenset()) - reader.found)
    if missing:
        lost = [*reader.malformed, *reader.unclear]
        raise InputError(
            "Each target language must have a catalogue. Received: "
            f"{', '.join(missing)}, which have none. There are catalogues in: "
            f"{', '.join(sorted(reader.found)) or 'no language'}."
            + (f" Not counted: {named(lost)}." if lost else "")
            + " Pass target_language for those whose language is unclear."
            * bool(reader.unclear)
        )


def named(places: list[str]) -> str:
    """The first few, and the number of the others."""
    more = len(places) - NAMED
    return "; ".join(places[:NAMED]) + (f"; and {more} more" * (more > 0))


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
    """A string and its translation; either may omit one of `leaves_out`."""

    source: str
    target: str
    leaves_out: collections.Counter


def _pairs(
    catalogue: Catalogue, max_characters: int, counters: collections.Counter
) -> Iterator[tuple[str, str]]:
    """The catalogue's pairs of visible texts; counts the dropped ones."""
    plural_indices = PluralIndices(catalogue.plural_forms)
    for entry in catalogue.entries:
        strings = 1 if entry.msgid_plural is None else 2
        counters["strings_read"] += strings
        # A .mo file has none of these: its compiler leaves them out.
        if entry.obsolete:
            counters["obsolete"] += strings
        elif entry.fuzzy:
            counters["fuzzy"] += strings
        elif entry.in_conflict:
            counters["conflict"] += strings
        else:
            candidates = _candidates(entry, plural_indices)
            counters["plural_unclear"] += strings - len(candidates)
            for candidate in candidates:
                source, target, reason = _checked(candidate, max_characters)
                if reason:
                    counters[reason] += 1
                else:
                    yield source, target


def _candidates(
    entry: Entry, plural_indices: PluralIndices
) -> list[_Candidate]:
    """One candidate, or up to two for an entry with a plural."""
    nothing = collections.Counter()
    if entry.msgid_plural is None:
        return [_Candidate(entry.msgid, entry.msgstr[0], nothing)]
    forms = dict(enumerate(entry.msgstr))
    one, many = plural_indices.of(forms)
    # "one file" for "%d file" is good style in many languages, and Russian
    # needs the number where English leaves it out (21 takes the form of 1).
    number = message_text.placeholders(entry.msgid_plural)
    candidates = []
    if one in forms:
        candidates.append(_Candidate(entry.msgid, forms[one], number))
    if many in forms:
        candidates.append(_Candidate(entry.msgid_plural, forms[many], nothing))
    return candidates


def _checked(
    candidate: _Candidate, max_characters: int
) -> tuple[str, str, str | None]:
    """The visible texts, and why they are dropped; None if they are kept."""
    source, target = message_text.without_accelerators(
        message_text.visible_text(candidate.source),
        message_text.visible_text(candidate.target),
    )
    reason = None
    if not target:
        reason = "untranslated"
    elif not all(map(message_text.has_letters, (source, target))):
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
    """Whether both have the same values, except one of `leaves_out`."""
    source_values = message_text.placeholders(source)
    target_values = message_text.placeholders(target)
    difference = (source_values - target_values) + (
        target_values - source_values
    )
    return not difference or (
        difference.total() == 1 and difference <= leaves_out
    )


def summary(extraction: Extraction) -> str:
    """A table of the counters and of the pairs of each language."""
    counters = extraction.counters
    places = {
        "catalogues_malformed": extraction.malformed,
        "catalogues_language_unclear": extraction.unclear,
    }
    lines = []
    for name in sorted(counters):
        if name.startswith("catalogues_"):
            lines.append(f"{counters[name]:>9,}  {name}")
            some = places.get(name, [])
            lines += [f"             {place}" for place in some[:NAMED]]
            more = len(some) - NAMED
            lines += [f"             and {more} more"] * (more > 0)
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
