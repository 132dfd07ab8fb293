"""Text and pairs to pre-train on."""

import random

import pytest

WORDS = [
    "rot",
    "blau",
    "grün",
    "Haus",
    "Baum",
    "Hund",
    "Katze",
    "läuft",
    "schläft",
    "singt",
]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]


@pytest.fixture(scope="session")
def pretraining_files(tmp_path_factory):
    """texts.jsonl, pairs.tsv and vocab.txt."""
    folder = tmp_path_factory.mktemp("pretraining")
    choose = random.Random(0)
    texts, pairs = [], ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(150):
        words = choose.choices(WORDS, k=choose.randint(4, 8))
        text = " ".join(words)
        pairs.append(f"{text}\t{text.upper()}\tde\tde-UPPER")
        texts += [
            f'{{"text": "{text}", "language": "de"}}',
            f'{{"text": "{text.upper()}", "language": "de-UPPER"}}',
        ]
    (folder / "texts.jsonl").write_text("\n".join(texts) + "\n", "utf-8")
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", "utf-8")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf-8")
    return folder
