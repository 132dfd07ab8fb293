"""Which English strings mean the same as these in other languages?

  python examples/nearest_translations.py RUN heldout.tsv

RUN is what `labse train` made, heldout.tsv pairs that it was not trained on
(source, target, source_language, target_language under a header).
"""

import csv
import sys

import labse

LANGUAGES = ("de", "es", "fr", "ru", "ar", "ja", "zh-Hans", "sw")
STRINGS_PER_LANGUAGE = 2
NUM_NEIGHBOURS = 3


def main(run: str, heldout: str) -> None:
    """Prints the nearest English strings of a few strings."""
    with open(heldout, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(
            file, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n"
        )
        pairs = list(rows)
    english = sorted({pair["source"] for pair in pairs})
    strings = []
    for language in LANGUAGES:
        targets = [
            pair["target"]
            for pair in pairs
            if pair["target_language"] == language
        ]
        strings += targets[len(targets) // 2 :][:STRINGS_PER_LANGUAGE]

    model = labse.load(run)
    # Vectors have length 1, so that a dot product is a cosine.
    cosines = model.encode(strings) @ model.encode(english).T

    for string, row in zip(strings, cosines, strict=True):
        print(string)
        for index in row.argsort()[::-1][:NUM_NEIGHBOURS]:
            print(f"    {row[index]:.3f}  {english[index]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
