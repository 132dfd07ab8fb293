"""Open translations -> one file of pairs for `labse_small_open`.

usage: open_pairs.py DATA OUT.tsv

DATA holds three folders of human translations:

    tatoeba_challenge_train/xxx-eng.tsv    text TAB English
    bible_nt/xx-name.txt                   line N is one verse in all files
    wikimedia_ui/xx.tsv                    key TAB text, joined on the key

Writes source (English), target, source_language, target_language and corpus,
the folder's name; each pair of texts once.
"""

import pathlib
import sys
from collections.abc import Iterator

ENGLISH_VERSION = "en-web.txt"
# Longer verses would be cut, and cost three times a sentence of Tatoeba.
MAX_VERSE_CHARACTERS = 120


def read_lines(path: pathlib.Path) -> list[str]:
    r"""The lines of a file; nothing but \n ends one."""
    return path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")


def tatoeba(folder: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """(English, translation, language) of Tatoeba's pairs."""
    for path in sorted(folder.glob("*-eng.tsv")):
        language = path.name.removesuffix("-eng.tsv")
        for line in read_lines(path):
            text, english = line.split("\t")[:2]
            yield english, text, language


def bible(folder: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """(English, translation, language) of verses."""
    english = read_lines(folder / ENGLISH_VERSION)
    for path in sorted(folder.glob("*-*.txt")):
        language = path.name.partition("-")[0]
        if language == "en":
            continue
        for verse, text in zip(english, read_lines(path), strict=True):
            if text and 0 < len(verse) <= MAX_VERSE_CHARACTERS:
                yield verse, text, language


def interface(folder: pathlib.Path) -> Iterator[tuple[str, str, str]]:
    """(English, translation, language) of interface messages."""
    english = dict(
        line.split("\t", 1) for line in read_lines(folder / "en.tsv")
    )
    for path in sorted(folder.glob("*.tsv")):
        if path.name in ("en.tsv", "qq.tsv"):  # qq documents the messages.
            continue
        for line in read_lines(path):
            key, text = line.split("\t", 1)
            if key in english:
                yield english[key], text, path.stem


def main(data: str, out: str) -> None:
    """Writes the pairs and says how many there are of each kind."""
    seen = set()
    temporary = pathlib.Path(out + ".tmp")
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        columns = "source target source_language target_language corpus"
        file.write("\t".join(columns.split()) + "\n")
        for name, read in (
            ("tatoeba_challenge_train", tatoeba),
            ("bible_nt", bible),
            ("wikimedia_ui", interface),
        ):
            before = len(seen)
            for english, text, language in read(pathlib.Path(data, name)):
                row = (" ".join(english.split()), " ".join(text.split()))
                if all(row) and row not in seen:
                    seen.add(row)
                    file.write("\t".join([*row, "en", language, name]) + "\n")
            print(f"{len(seen) - before:,} pairs of {name}", file=sys.stderr)
    temporary.replace(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
