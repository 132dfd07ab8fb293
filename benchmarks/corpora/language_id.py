"""Language identification: each library alone, and together.

    python -m benchmarks.corpora.language_id --data=DIR [--languages]
    python -m benchmarks.corpora.language_id --data=DIR --count

DIR holds `lingua_sentences`, `tatoeba_v1` and `udhr`. Even lines are for the
table of answer rates (`--count`), odd ones for the report. Accuracy is the
share of sentences with the right language (`und` is wrong), averaged over
LaBSE's languages in a corpus. lingua is the peer, where it is installed.
Two cores of an AMD EPYC; one is used.
"""

import argparse
import collections
import pathlib
import time
from collections.abc import Callable

from benchmarks.corpora.labelled_sentences import (
    CHOICE,
    LANGUAGES,
    REPORT,
    Labelled,
    labelled_sentences,
)
from benchmarks.machine import machine
from data_pipeline.language_id.answer_rates import Counted, write_answer_rates
from data_pipeline.language_id.identifier import LanguageIdentifier
from data_pipeline.language_id.libraries import (
    LIBRARIES,
    language_of,
    load_library,
    looked_at,
)
from data_pipeline.language_id.scripts import main_script, tag_in_script
from labse.files.reading import UNKNOWN_LANGUAGE
from labse.languages import primary_language

CORPORA = ("lingua", "tatoeba", "udhr")
# Most of it is Indonesian: not counted, though reported.
MISLABELLED = (("lingua", "ms"),)


def main() -> None:
    """Counts, or reports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--languages", action="store_true")
    arguments = parser.parse_args()
    if arguments.count:
        count(arguments.data)
        return
    print(machine())
    sets = list(labelled_sentences(arguments.data, REPORT))
    identifiers = find_identifiers()
    results = {}
    for name, identify in identifiers.items():
        results[name] = evaluate(name, identify, sets)
    if arguments.languages:
        print_languages(results)


def count(data: pathlib.Path) -> None:
    """Writes the table of answer rates.

    A language that no library gets right, not even sometimes, is left out: all
    that could be learned is what it is taken for.
    """
    sets = list(labelled_sentences(data, CHOICE))
    counted = []
    right = collections.Counter()
    for name in LIBRARIES:
        identify = load_library(name)
        for corpus, language, sentences in sets:
            if (corpus, language) in MISLABELLED:
                continue
            for sentence in sentences:
                answer = identify(looked_at(sentence))
                tag = tag_in_script(language, main_script(sentence)[0])
                counted.append(Counted(name, answer, tag, corpus))
                right[tag] += answer.rstrip("?") == language
    total = collections.Counter(counted_one.language for counted_one in counted)
    known = {
        language
        for language in total
        if right[language] > 0.1 * total[language]
    }
    write_answer_rates(one for one in counted if one.language in known)
    print(f"{len(known)} languages: {' '.join(sorted(known))}")


def find_identifiers() -> dict[str, Callable[[str], str]]:
    """Functions from a sentence to a language."""
    identifiers = {name: alone(name) for name in LIBRARIES}
    identifiers["without eldc"] = together(
        LanguageIdentifier(0.5, ("cld2", "py3langid"))
    )
    for least in (0.0, 0.5, 0.9):
        identifier = LanguageIdentifier(least)
        identifiers[f"together, from {least}"] = together(identifier)
    try:
        identifiers["lingua"] = lingua()
    except ImportError:
        print("lingua is not installed.")
    return identifiers


def alone(name: str) -> Callable[[str], str]:
    """One library, its best answer."""
    identify = load_library(name)
    return lambda text: identify(looked_at(text)).rstrip("?")


def together(identifier: LanguageIdentifier) -> Callable[[str], str]:
    """The package's identifier."""
    return lambda text: primary_language(identifier.identify(text).language)


def lingua() -> Callable[[str], str]:
    """The peer: https://github.com/pemistahl/lingua-py, 75 languages."""
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().build()

    def identify(text: str) -> str:
        found = detector.detect_language_of(text)
        if found is None:
            return UNKNOWN_LANGUAGE
        return language_of(found.iso_code_639_1.name.lower())

    return identify


Result = dict[tuple[str, str], collections.Counter]


def evaluate(
    name: str, identify: Callable[[str], str], sets: list[Labelled]
) -> Result:
    """Prints one line; returns the answers by corpus and language."""
    identify("Loads the models, so that this takes no part in the time.")
    result = {}
    start = time.process_time()
    for corpus, language, sentences in sets:
        result[corpus, language] = collections.Counter(map(identify, sentences))
    seconds = time.process_time() - start
    number = sum(answers.total() for answers in result.values())
    accuracies = [
        f"{corpus} {100 * macro_accuracy(result, corpus):.1f}"
        for corpus in CORPORA
    ]
    ours = [key for key in result if key[1] in LANGUAGES]
    unknown = sum(result[key][UNKNOWN_LANGUAGE] for key in ours)
    total = sum(result[key].total() for key in ours)
    right = sum(result[key][key[1]] for key in ours)
    print(
        f"{name}: {', '.join(accuracies)} %; und {100 * unknown / total:.1f} %"
        f", right of the others {100 * right / (total - unknown):.1f} %; other "
        f"languages taken for LaBSE's {100 * intruders(result):.1f} %; "
        f"{number / seconds:,.0f} texts/s",
        flush=True,
    )
    return result


def macro_accuracy(result: Result, corpus: str) -> float:
    """The mean over LaBSE's languages."""
    shares = [
        answers[language] / answers.total()
        for (name, language), answers in result.items()
        if name == corpus and language in LANGUAGES
    ]
    return sum(shares) / len(shares)


def intruders(result: Result) -> float:
    """The share of other languages' sentences that pass for LaBSE's."""
    shares = [
        sum(answers[taken] for taken in LANGUAGES) / answers.total()
        for (_, language), answers in result.items()
        if language not in LANGUAGES
    ]
    return sum(shares) / len(shares)


def print_languages(results: dict[str, Result]) -> None:
    """A row for each of LaBSE's languages: the mean over its corpora."""
    print("| | " + " | ".join(results) + " | else |")
    for language in sorted(LANGUAGES):
        columns = []
        for result in results.values():
            shares = [
                result[corpus, language][language]
                / result[corpus, language].total()
                for corpus in CORPORA
                if (corpus, language) in result
            ]
            columns.append(
                f"{100 * sum(shares) / len(shares):.0f}" if shares else ""
            )
        answers = sum(
            (
                result.get((corpus, language), collections.Counter())
                for corpus in CORPORA
            ),
            collections.Counter(),
        )
        del answers[language]
        wrong = " ".join(
            f"{name} {number}" for name, number in answers.most_common(3)
        )
        print(f"| {language} | {' | '.join(columns)} | {wrong} |")


if __name__ == "__main__":
    main()
