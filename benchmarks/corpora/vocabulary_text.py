"""Text with millions of distinct words, for the benchmark of vocabularies.

The sets of texts at hand are put together, each language under one code. That
is too few words, so further ones are made: a word's first half (rounded up)
and the second half of another word of the same language, both drawn evenly
from its distinct words of four characters or more. Each language gets made
words in proportion to its distinct words at hand; the one of rank r of n is
written n / (r + 50) times, at least once (Zipf's law), in lines of twenty.
Equal sizes and seeds give equal files.
"""

import collections
import csv
import pathlib
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

FILES = 16
_WORDS_IN_LINE = 20
_LINES_IN_BLOCK = 1000
_LEAST_WORDS = 200  # Of a language for which words are made.


def codes(data: pathlib.Path) -> dict[str, str]:
    """ISO 639-3 -> the first part of BCP 47's tag, by the set `udhr`."""
    with open(data / "udhr/INDEX.tsv", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = {row["iso639-3"]: row["bcp47"].split("-")[0] for row in rows}
    # Macrolanguages and codes that the set names otherwise.
    more = {"ara": "ar", "fas": "fa", "swa": "sw", "msa": "ms", "zho": "zh"}
    more |= {"lvs": "lv", "sqi": "sq", "nor": "nb", "cmn": "zh", "zsm": "ms"}
    return found | more


def texts_at_hand(data: pathlib.Path) -> Iterator[tuple[str, str]]:
    """(language, text) of all sets, without what is held out."""
    short = codes(data)
    for path in sorted((data / "tatoeba_challenge_train").glob("*-eng.tsv")):
        code = path.name.split("-")[0]
        if "_" in code and not code.startswith("cmn"):
            continue  # The same sentences as of the code without a script.
        for row in _rows(path):
            yield short.get(code.split("_")[0], code), row[0]
            yield "en", row[1]
    with open(data / "udhr/INDEX.tsv", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        tags = {row["file"]: row["bcp47"].split("-")[0] for row in rows}
    for name, tag in sorted(tags.items()):
        for row in _rows(data / f"udhr/{name}.tsv"):
            yield tag, row[1]
    for path in sorted((data / "wikimedia_ui").glob("*.tsv")):
        for row in _rows(path):
            yield path.stem.split("-")[0], row[1]
    for path in sorted((data / "bible_nt").glob("*-*.txt")):
        for row in _rows(path):
            yield path.stem.split("-")[0], row[0]
    for path in sorted((data / "lingua_sentences").glob("??.txt")):
        for row in _rows(path):
            yield path.stem, row[0]
    for path in sorted((data / "un_v1_devset").glob("*.??")):
        for row in _rows(path):
            yield path.suffix[1:], row[0]
    for path in sorted((data / "bucc_made").glob("*.made.??")):
        for row in _rows(path):
            yield path.suffix[1:], row[1]
    for path in sorted((data / "pair_quality").glob("mlqe_*.dev.tsv")):
        source, target = re.findall(r"_(..)-(..)\.", path.name)[0]
        for row in list(_rows(path))[1:]:
            yield source, row[2]
            yield target, row[3]


def held_out_texts(data: pathlib.Path) -> Iterator[tuple[str, str]]:
    """(language, text): `tatoeba_v1`, and Wikipedia in six languages."""
    short = codes(data)
    for path in sorted((data / "tatoeba_v1").glob("tatoeba.*-eng.*")):
        code = path.suffix[1:]
        if code != "eng":
            for row in _rows(path):
                yield short.get(code, code), row[0]
    for path in sorted((data / "pair_quality").glob("mlqe_*.test*.tsv")):
        source = re.findall(r"_(..)-(..)\.", path.name)[0][0]
        if source != "en":
            header, *rows = _rows(path)
            for row in rows:
                yield source, row[header.index("src")]


def write_held_out(data: pathlib.Path, path: pathlib.Path) -> None:
    """Writes the held-out texts as a TSV file."""
    with _Writer([path]) as writer:
        for language, text in held_out_texts(data):
            writer.write(language, [text])


def write_text(
    data: pathlib.Path, folder: pathlib.Path, words: int, seed: int = 0
) -> int:
    """Writes text with at least `words` distinct words, if words can be made.

    Args:
      data: the sets.
      folder: gets FILES .tsv files with the columns language and text.
      words: distinct words, counted once in each language; 0: only the texts
        at hand.
      seed: of what is drawn.

    Returns:
      the number of distinct words, counted once in each language.
    """
    texts = collections.defaultdict(list)
    for language, text in texts_at_hand(data):
        texts[language].append(text)
    separators = _separators()
    known = {
        language: sorted(
            {w for text in lines for w in text.translate(separators).split()}
        )
        for language, lines in sorted(texts.items())
    }
    total = sum(map(len, known.values()))
    grown = sum(n for n in map(len, known.values()) if n >= _LEAST_WORDS)
    share = max(0, words - total) / grown
    folder.mkdir(parents=True)
    paths = [folder / f"text-{number:02}.tsv" for number in range(FILES)]
    with _Writer(paths) as writer:
        for number, (language, lines) in enumerate(sorted(texts.items())):
            writer.write(language, lines)
            generator = np.random.default_rng([seed, number])
            made = _made_words(
                known[language], round(share * len(known[language])), generator
            )
            total += len(made)
            writer.write(language, _lines(made, generator))
    return total


class _Writer:
    """Writes blocks of lines to several files in turn."""

    def __init__(self, paths: list[pathlib.Path]):
        self._files = [path.open("w", encoding="utf-8") for path in paths]
        for file in self._files:
            file.write("language\ttext\n")
        self._turn = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for file in self._files:
            file.close()

    def write(self, language: str, lines: Iterable[str]) -> None:
        """Writes texts of a language."""
        lines = list(lines)
        for start in range(0, len(lines), _LINES_IN_BLOCK):
            self._files[self._turn % len(self._files)].writelines(
                f"{language}\t{line}\n"
                for line in lines[start : start + _LINES_IN_BLOCK]
            )
            self._turn += 1


def _separators() -> dict[int, str]:
    """What separates words, each with a space: punctuation and ideographs."""
    return {
        code: " "
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "PSC"
        or unicodedata.name(chr(code), "").startswith("CJK")
    }


def _made_words(
    known: list[str], count: int, generator: np.random.Generator
) -> list[str]:
    """Up to `count` further words; none where too few are known."""
    if len(known) < _LEAST_WORDS:
        return []
    whole = [word for word in known if len(word) >= 4]
    stems = [word[: (len(word) + 1) // 2] for word in whole]
    endings = [word[(len(word) + 1) // 2 :] for word in whole]
    seen, made = set(known), []
    for _ in range(4):  # What is drawn may be known or drawn before.
        if not whole or len(made) >= count:
            break
        drawn = generator.integers(0, len(whole), [2 * (count - len(made)), 2])
        for stem, ending in drawn.tolist():
            word = stems[stem] + endings[ending]
            if word not in seen and len(made) < count:
                seen.add(word)
                made.append(word)
    return made


def _lines(made: list[str], generator: np.random.Generator) -> Iterator[str]:
    """Lines of the made words, each as often as its rank says."""
    ranks = np.arange(1, len(made) + 1)
    counts = np.maximum(1, len(made) // (ranks + 50))
    tokens = generator.permutation(np.repeat(ranks - 1, counts)).tolist()
    for start in range(0, len(tokens), _WORDS_IN_LINE):
        yield " ".join(
            [made[row] for row in tokens[start : start + _WORDS_IN_LINE]]
        )


def _rows(path: pathlib.Path) -> Iterator[list[str]]:
    """The cells of each line that is not blank."""
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            cells = line.rstrip("\r\n").split("\t")
            if any(cell.strip() for cell in cells):
                yield cells
