"""Sentence splitting by language: precision, recall, F1 and MB/s, with peers.

    python -m benchmarks.corpora.sentence_splitting --data=DIR [--languages]

Five sentences at a time are joined to a paragraph (by a space; Chinese and
Japanese by nothing) and split again. What counts is the ends within paragraphs.
Sentences without a final mark stay in. The rules were made with the even lines
of `lingua_sentences` (75 languages); reported are the odd ones, and those of
`tatoeba_v1` for LaBSE's languages that are not among the 75. Peers: a regular
expression of marks, sentencex, pySBD (its languages only, and few paragraphs:
it is slow).
Two cores of an AMD EPYC; one is used.
"""

import argparse
import collections
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.corpora.labelled_sentences import (
    LANGUAGES,
    REPORT,
    labelled_sentences,
)
from benchmarks.machine import machine
from data_pipeline.sentences.splitter import split_sentences
from data_pipeline.sentences.terminators import (
    PLAIN_MARKS,
    SPACED_MARKS,
    ends_sentence,
)

Splitter = Callable[[str, str], list[str]]
SENTENCES = 5  # in a paragraph
WITHOUT_SPACES = ("ja", "zh")
SLOW_PARAGRAPHS = 20
TIMED_BYTES = 5_000_000
MARKS = re.compile(
    rf"(?<=[{SPACED_MARKS}{PLAIN_MARKS}])\s+|(?<=[\u3002\uff01\uff1f])"
)


class Paragraph(NamedTuple):
    """Sentences and the text that they were joined to."""

    text: str
    sentences: list[str]


def main() -> None:
    """Prints a line for each splitter and corpus."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--languages", action="store_true")
    arguments = parser.parse_args()
    print(machine())
    corpora = read_paragraphs(arguments.data)
    scores = {}
    for name, splitter in find_splitters().items():
        for corpus, languages in corpora.items():
            scores[name, corpus] = report(name, splitter, corpus, languages)
        print_speed(name, splitter, corpora["lingua"])
    for corpus, languages in corpora.items():
        print_marks(corpus, languages)
        if arguments.languages:
            print_languages(corpus, scores)


def read_paragraphs(
    data: pathlib.Path,
) -> dict[str, dict[str, list[Paragraph]]]:
    """Corpus -> language -> paragraphs."""
    corpora = {"lingua": {}, "tatoeba": {}}
    for corpus, language, sentences in labelled_sentences(data, REPORT):
        if corpus == "udhr" or (
            corpus == "tatoeba"
            and (language in corpora["lingua"] or language not in LANGUAGES)
        ):
            continue
        joint = "" if language in WITHOUT_SPACES else " "
        corpora[corpus][language] = [
            Paragraph(joint.join(group), group)
            for start in range(0, len(sentences), SENTENCES)
            for group in [sentences[start : start + SENTENCES]]
        ]
    return corpora


def find_splitters() -> dict[str, Splitter]:
    """Ours and the peers that are installed."""
    splitters = {
        "split_sentences": split_sentences,
        "marks": lambda text, language: MARKS.split(text),
    }
    try:
        from sentencex import segment

        splitters["sentencex"] = lambda text, language: segment(language, text)
    except ImportError:
        print("sentencex is not installed.")
    try:
        splitters["pysbd"] = pysbd_splitter()
    except ImportError:
        print("pysbd is not installed.")
    return splitters


def pysbd_splitter() -> Splitter:
    """pySBD; nothing for a language that it does not have."""
    import pysbd
    from pysbd.languages import LANGUAGE_CODES

    segmenters = {
        code: pysbd.Segmenter(language=code, clean=False)
        for code in LANGUAGE_CODES
    }

    def split(text: str, language: str) -> list[str]:
        segmenter = segmenters.get(language)
        return segmenter.segment(text) if segmenter else []

    return split


def ends(sentences: list[str]) -> set[int]:
    """Where sentences end, counted in characters that are no white space."""
    places = set()
    place = 0
    for sentence in sentences:
        place += len("".join(sentence.split()))
        places.add(place)
    return places


class Score(NamedTuple):
    """Precision, recall and F1 of ends; F1 of whole sentences."""

    precision: float
    recall: float
    f1: float
    whole: float


def score(
    splitter: Splitter, language: str, paragraphs: list[Paragraph]
) -> Score:
    """The scores of one language."""
    counts = collections.Counter()
    for text, sentences in paragraphs:
        found = [part.strip() for part in splitter(text, language)]
        found = [part for part in found if part]
        end = {len("".join(text.split()))}
        right, ours = ends(sentences) - end, ends(found) - end
        counts += collections.Counter(
            both=len(right & ours),
            right=len(right),
            ours=len(ours),
            whole_both=sum(
                (
                    collections.Counter(found) & collections.Counter(sentences)
                ).values()
            ),
            whole=len(found) + len(sentences),
        )
    precision = counts["both"] / max(counts["ours"], 1)
    recall = counts["both"] / max(counts["right"], 1)
    return Score(
        precision,
        recall,
        2 * counts["both"] / max(counts["ours"] + counts["right"], 1),
        2 * counts["whole_both"] / max(counts["whole"], 1),
    )


def report(
    name: str,
    splitter: Splitter,
    corpus: str,
    languages: dict[str, list[Paragraph]],
) -> dict[str, Score]:
    """Prints the means over languages."""
    scores = {}
    for language, paragraphs in languages.items():
        if name == "pysbd":
            paragraphs = paragraphs[:SLOW_PARAGRAPHS]
            if not splitter(paragraphs[0].text, language):
                continue
        scores[language] = score(splitter, language, paragraphs)
    means = [
        sum(column) / len(scores)
        for column in zip(*scores.values(), strict=True)
    ]
    worst = sorted(scores, key=lambda language: scores[language].f1)[:6]
    print(
        f"{name}, {corpus}, {len(scores)} languages: precision {means[0]:.3f}, "
        f"recall {means[1]:.3f}, F1 {means[2]:.3f}, whole sentences F1 "
        f"{means[3]:.3f}; lowest "
        + ", ".join(f"{one} {scores[one].f1:.2f}" for one in worst),
        flush=True,
    )
    return scores


def print_speed(
    name: str, splitter: Splitter, languages: dict[str, list[Paragraph]]
) -> None:
    """MB of UTF-8 a second over all languages, in one process."""
    limit = TIMED_BYTES if name != "pysbd" else TIMED_BYTES // 500
    size = 0
    start = time.process_time()
    for language, text in cycle(languages):
        if splitter(text, language):
            size += len(text.encode())
        if size > limit:
            break
    seconds = time.process_time() - start
    print(f"{name}: {size / seconds / 1e6:.2f} MB/s", flush=True)


def cycle(
    languages: dict[str, list[Paragraph]],
) -> Iterator[tuple[str, str]]:
    """Paragraphs of all languages in turn, again and again."""
    while True:
        for place in range(max(map(len, languages.values()))):
            for language, paragraphs in languages.items():
                if place < len(paragraphs):
                    yield language, paragraphs[place].text


def print_marks(corpus: str, languages: dict[str, list[Paragraph]]) -> None:
    """How many sentences have no final mark, and how many ends that costs."""
    counts = collections.Counter()
    for language, paragraphs in languages.items():
        for text, sentences in paragraphs:
            found = ends(split_sentences(text, language))
            place = 0
            for sentence in sentences[:-1]:
                place += len("".join(sentence.split()))
                kind = "mark" if ends_sentence(sentence, language) else "none"
                counts[kind] += 1
                counts[kind, "found"] += place in found
    total = counts["mark"] + counts["none"]
    print(
        f"{corpus}: {100 * counts['none'] / total:.1f} % of the sentences have "
        f"no final mark; recall "
        f"{counts['mark', 'found'] / max(counts['mark'], 1):.3f} with one, "
        f"{counts['none', 'found'] / max(counts['none'], 1):.3f} without"
    )


def print_languages(
    corpus: str, scores: dict[tuple[str, str], dict[str, Score]]
) -> None:
    """F1 by language, for each splitter."""
    names = [name for name, other in scores if other == corpus]
    print("| | precision | recall | " + " | ".join(names) + " |")
    for language, own in scores["split_sentences", corpus].items():
        columns = [
            f"{100 * scores[name, corpus][language].f1:.0f}"
            if language in scores[name, corpus]
            else ""
            for name in names
        ]
        print(
            f"| {language} | {100 * own.precision:.0f} | "
            f"{100 * own.recall:.0f} | {' | '.join(columns)} |"
        )


if __name__ == "__main__":
    main()
