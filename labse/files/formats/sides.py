"""Which language of a multilingual file is the source, and which the target."""

from collections.abc import Iterable, Sequence

from labse import features
from labse.errors import InputError
from labse.files.formats.row_format import RowReader
from labse.files.reading import Fields, MalformedRow, ReadOptions


def language_key(language: str) -> str:
    """A language's code without what differs between spellings of it."""
    return language.replace("_", "-").lower()


def matches(language: str, wanted: str) -> bool:
    """Whether a language is the one wanted; `en` also stands for `en-US`."""
    language, wanted = language_key(language), language_key(wanted)
    return language == wanted or language.startswith(f"{wanted}-")


def find_language(languages: Sequence[str], wanted: str) -> int | None:
    """The place of a language; None without it, `MalformedRow` if several."""
    places = range(len(languages))
    key = language_key(wanted)
    found = [i for i in places if language_key(languages[i]) == key]
    found = found or [i for i in places if matches(languages[i], wanted)]
    if len(found) > 1:
        raise MalformedRow(
            "several texts in a language",
            f"a row has one text in {wanted!r}. Received: "
            f"{', '.join(languages)}",
        )
    return found[0] if found else None


def find_sides(
    languages: Sequence[str],
    options: ReadOptions,
    usual_sources: Iterable[str],
    where: str,
) -> tuple[int, int] | None:
    """The places of source and target among a row's languages, in order.

    Of the usual sources, the first that the row has is the source where the
    options name none. None where the row lacks a language that they name.

    Raises:
      InputError: there are several possibilities.
      MalformedRow: there are not two texts, or two in one language.
    """
    if len(languages) < 2:
        raise MalformedRow(
            "fewer than two languages",
            "a pair has texts in two languages. Received: "
            f"{', '.join(languages) or 'none'}",
        )
    places = {}
    for side in (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE):
        if wanted := getattr(options, side):
            places[side] = find_language(languages, wanted)
            if places[side] is None:
                return None
    rest = [i for i in range(len(languages)) if i not in places.values()]
    if not places and len(rest) == 2:
        for usual in filter(None, usual_sources):
            is_first, is_second = (matches(name, usual) for name in languages)
            if is_first or is_second:
                return (0, 1) if is_first else (1, 0)
        return 0, 1
    if len(places) == 2 and len(set(places.values())) == 2:
        return tuple(places.values())
    if len(places) == len(rest) == 1:
        source = places.get(features.SOURCE_LANGUAGE, rest[0])
        return source, places.get(features.TARGET_LANGUAGE, rest[0])
    raise InputError(
        f"{where}: a pair has two languages. Received texts in "
        f"{', '.join(languages)}. Choose two of them with source_language and "
        "target_language."
    )


def pair_fields(
    options: ReadOptions,
    languages: Sequence[str],
    texts: Sequence[str],
    sides: tuple[int, int],
) -> Fields:
    """The fields of a pair whose sides are at these places."""
    source, target = sides
    return {
        options.source_column: texts[source],
        options.target_column: texts[target],
        features.SOURCE_LANGUAGE: options.source_language or languages[source],
        features.TARGET_LANGUAGE: options.target_language or languages[target],
    }


def text_fields(options: ReadOptions, language: str, text: str) -> Fields:
    """The fields of a text."""
    return {
        options.text_column: text,
        features.LANGUAGE: options.language or language,
    }


def lacks_language(reader: RowReader, found: Iterable[str]) -> InputError:
    """The error that nothing in a file is in the languages wanted."""
    options = reader.options
    wanted = (
        (options.source_language, options.target_language)
        if reader.is_pairs
        else (options.language,)
    )
    return InputError(
        f"{reader.shown_as}: there is no text in "
        f"{' and '.join(filter(None, wanted))}. Received texts in "
        f"{', '.join(sorted(found)) or 'no language'}. Name one of these."
    )
