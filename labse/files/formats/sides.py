"""Which language of a multilingual file is the source, and which the target."""

from collections.abc import Iterable, Sequence

from labse.errors import InputError
from labse.files.reading import MalformedRow


def language_key(language: str) -> str:
    """A language's code without what differs between spellings of it."""
    return language.replace("_", "-").lower()


def matches(language: str, wanted: str) -> bool:
    """Whether a language is the one wanted; `en` also stands for `en-US`."""
    language, wanted = language_key(language), language_key(wanted)
    return language == wanted or language.startswith(f"{wanted}-")


def find_language(languages: Sequence[str], wanted: str) -> int | None:
    """The place of a language among others; None where it is not there.

    Raises:
      MalformedRow: there are several texts in it.
    """
    exact = [
        place
        for place, language in enumerate(languages)
        if language_key(language) == language_key(wanted)
    ]
    found = exact or [
        place
        for place, language in enumerate(languages)
        if matches(language, wanted)
    ]
    if len(found) > 1:
        raise MalformedRow(
            "several texts in a language",
            f"a row has one text in {wanted!r}. Received: "
            f"{', '.join(languages)}",
        )
    return found[0] if found else None


def find_sides(
    languages: Sequence[str],
    source: str,
    target: str,
    usual_sources: Iterable[str],
    where: str,
) -> tuple[int, int] | None:
    """The places of source and target among a row's languages.

    Args:
      languages: of the row's texts, in their order.
      source, target: the languages wanted; empty where none is named.
      usual_sources: languages of which the first that the row has is the
        source where none is named.
      where: `path:line`, for messages.

    Returns:
      None where the row lacks a language that is wanted.

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
    for side, wanted in (("source", source), ("target", target)):
        if wanted:
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
    if len(places) == 1 and len(rest) == 1:
        return places.get("source", rest[0]), places.get("target", rest[0])
    if len(places) == 2 and places["source"] != places["target"]:
        return places["source"], places["target"]
    raise InputError(
        f"{where}: a pair has two languages. Received texts in "
        f"{', '.join(languages)}. Choose two of them with source_language and "
        "target_language."
    )


def lacks_language(
    shown_as: str, wanted: Iterable[str], found: Iterable[str]
) -> InputError:
    """The error that nothing in a file is in the languages wanted."""
    return InputError(
        f"{shown_as}: there is no text in {' and '.join(filter(None, wanted))}."
        f" Received texts in {', '.join(sorted(found)) or 'no language'}. Name "
        "one of these."
    )
