"""How often a library gives each answer to sentences of each language.

The table `answer_rates.tsv` has columns library, answer, language and rate: the
share of the language's sentences to which the library gives the answer (see
`libraries`). It is counted on half of three corpora by
`python -m benchmarks.corpora.language_id --count`.
"""

import collections
import functools
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from labse.files.atomic_write import atomic_file
from labse.files.reading import UNKNOWN_LANGUAGE

TABLE = pathlib.Path(__file__).with_name("answer_rates.tsv")
# A rate below this is as good as none: too few sentences were counted.
_LOWEST_RATE = 0.002
# Of the language itself, where no sentence of it was there to be counted.
_UNCOUNTED_RATE = 0.9


class Counted(NamedTuple):
    """A library's answer to a sentence of a known language."""

    library: str
    answer: str
    language: str
    corpus: str


@functools.lru_cache(maxsize=1)
def read_answer_rates() -> Mapping[tuple[str, str], Mapping[str, float]]:
    """(library, answer) -> language -> logarithm of the rate over the lowest.

    A language that is not listed has the lowest rate: 0 here, so that a sum
    over libraries need only visit languages that are listed.
    """
    table = collections.defaultdict(dict)
    lines = TABLE.read_text(encoding="utf-8").split("\n")
    for line in lines[1:-1]:
        library, answer, language, rate = line.split("\t")
        table[library, answer][language] = math.log(float(rate) / _LOWEST_RATE)
    return dict(table)


def rates_of_uncounted(answer: str) -> Mapping[str, float]:
    """The same for an answer that the table does not hold."""
    language = answer.rstrip("?")
    if language == UNKNOWN_LANGUAGE:
        return {}
    return {language: math.log(_UNCOUNTED_RATE / _LOWEST_RATE)}


def write_answer_rates(counted: Iterable[Counted]) -> None:
    """Counts answers and writes the table, each corpus with equal weight."""
    counts = collections.defaultdict(
        lambda: collections.defaultdict(collections.Counter)
    )
    for library, answer, language, corpus in counted:
        counts[library, language][corpus][answer] += 1
    rows = []
    for (library, language), corpora in counts.items():
        rates = collections.Counter()
        for answers in corpora.values():
            for answer, number in answers.items():
                rates[answer] += number / answers.total() / len(corpora)
        rows += [
            (library, answer, language, f"{rate:.3f}")
            for answer, rate in rates.items()
            if rate > _LOWEST_RATE
        ]
    with atomic_file(TABLE) as file:
        for row in [("library", "answer", "language", "rate"), *sorted(rows)]:
            file.write("\t".join(row) + "\n")
