"""Data, vocabularies and hard negatives: all that the arms are trained on.

The source of a pair is the foreign text, its target the English one: retrieval
searches English, so hard negatives, which are targets, are English too.

Folders are written whole or not at all; what a killed process had written is
written again.
"""

import itertools
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator

from benchmarks.ablations import settings
from benchmarks.ablations.arms import HARD, VOCABULARIES
from labse.data.records.groups import PAIRS as PAIRS_KIND
from labse.data.records.groups import TEXT
from labse.data.records.manifest import Manifest
from labse.data.records.writer import write_records
from labse.files.atomic_write import atomic_folder

ROOT = pathlib.Path(__file__).parents[2]
PAIRS, HELD_OUT, TEXTS = "train.tsv", "validation.tsv", "texts.tsv"
PAIR_RECORDS, TEXT_RECORDS = "pair_records", "text_records"
LINGUA = "lingua_sentences"
HARD_PAIRS, HARD_RECORDS = "hard_negatives.tsv", "hard_negative_records"
# Columns of the files: source, target, their languages and corpus.
_SWAPPED = (1, 0, 3, 2, 4)


def vocabulary_path(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The vocab.txt of one of `VOCABULARIES`."""
    return folder / f"vocab_{name}.txt"


def labse(program: str, *arguments: str) -> None:
    """Runs `labse PROGRAM`."""
    command = [sys.executable, "-m", "labse.bin.cli", program, *arguments]
    subprocess.run(command, check=True, cwd=ROOT)


def prepare(data: pathlib.Path, folder: pathlib.Path) -> dict:
    """Writes pairs, texts, vocabularies and records; returns their numbers."""
    if not folder.exists():
        with atomic_folder(folder) as new:
            _write(data, new)
    pairs = Manifest.open(folder / PAIR_RECORDS, PAIRS_KIND)
    texts = Manifest.open(folder / TEXT_RECORDS, TEXT)
    return {"pairs": pairs.num_records, "texts": texts.num_records}


def _write(data: pathlib.Path, folder: pathlib.Path) -> None:
    _write_pairs(data, folder)
    _write_texts(data, folder)
    for name, exponent in VOCABULARIES.items():
        path = vocabulary_path(folder, name)
        if exponent is None:
            shutil.copy(data / "vocabs" / "bert_multi_cased.vocab.txt", path)
            continue
        labse(
            "build-vocab",
            f"--input={folder / PAIRS}",
            f"--vocab_size={settings.VOCAB_SIZE}",
            f"--smoothing_exponent={exponent}",
            f"--out={path}",
        )
    for file, records, kind in (
        (PAIRS, PAIR_RECORDS, PAIRS_KIND),
        (TEXTS, TEXT_RECORDS, TEXT),
    ):
        write_records(
            [folder / file],
            folder / records,
            kind=kind,
            shard_records=settings.SHARD_RECORDS,
        )


def _write_pairs(data: pathlib.Path, folder: pathlib.Path) -> None:
    """The open pairs of the languages, without 0.5 % that are held out."""
    every, chosen = folder / "all_pairs.tsv", folder / "pairs.tsv"
    script = ROOT / "examples/open_pairs.py"
    subprocess.run([sys.executable, script, data, every], check=True)
    _write_rows(chosen, _chosen(_rows(every)))
    train, held_out = folder / "train_out.tsv", folder / "heldout_out.tsv"
    # The source is English here, so that an English text is held out in all
    # languages.
    labse(
        "split-pairs",
        f"--input={chosen}",
        f"--share={settings.HELD_OUT_SHARE}",
        f"--train_out={train}",
        f"--heldout_out={held_out}",
    )
    _write_rows(folder / PAIRS, swapped(_rows(train)))
    _write_rows(folder / HELD_OUT, swapped(_rows(held_out)))
    for path in (every, chosen, train, held_out):
        path.unlink()


def _chosen(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """The header and the pairs of the languages, by our codes."""
    for number, row in enumerate(rows):
        code = row[3]
        if number and code not in settings.LANGUAGE_OF_CODE:
            continue
        row[3] = settings.LANGUAGE_OF_CODE.get(code, code)
        yield row


def swapped(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Pairs of a file, header first, with source and target exchanged."""
    rows = iter(rows)
    yield next(rows)
    for row in rows:
        yield [row[column] for column in _SWAPPED]


def _rows(path: pathlib.Path) -> Iterator[list[str]]:
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from (line.rstrip("\n").split("\t") for line in file)


def _write_rows(path: pathlib.Path, rows: Iterable[Iterable[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)


def _write_texts(data: pathlib.Path, folder: pathlib.Path) -> None:
    """The different texts of the pairs, and lingua's sentences."""
    texts = {}
    for row in list(_rows(folder / PAIRS))[1:]:
        texts.update({row[0]: (row[2], row[4]), row[1]: (row[3], row[4])})
    for language in ("en", *settings.TEST_CODE):
        path = data / LINGUA / f"{language}.txt"
        if path.exists():  # Not for km and am.
            for (text,) in _rows(path):
                texts[text] = (language, LINGUA)
    header = ("text", "language", "corpus")
    rows = ((text, *columns) for text, columns in texts.items())
    _write_rows(folder / TEXTS, itertools.chain([header], rows))


def mine_hard_negatives(data: pathlib.Path, folder: pathlib.Path) -> dict:
    """Trains the averaging network, and lets it find each pair's negatives.

    Args:
      data: the folder that `prepare` wrote.
      folder: the folder to write.
    """
    if not folder.exists():
        with atomic_folder(folder) as new:
            _mine(data, new)
    records = Manifest.open(folder / HARD_RECORDS, PAIRS_KIND)
    return {"pairs": records.num_records}


def _mine(data: pathlib.Path, folder: pathlib.Path) -> None:
    miner, pairs = folder / "miner", folder / HARD_PAIRS
    labse(
        "train",
        f"--config={settings.MINER}",
        *(f"--override={each}" for each in settings.MINER_OVERRIDES),
        f"--train={data / PAIR_RECORDS}",
        f"--vocab={vocabulary_path(data, 'smoothed')}",
        f"--out={miner}",
    )
    labse(
        "mine-hard-negatives",
        f"--model={miner}",
        f"--input={data / PAIRS}",
        f"--negatives={HARD.hard_negatives}",
        f"--out={pairs}",
    )
    write_records(
        [pairs],
        folder / HARD_RECORDS,
        shard_records=settings.SHARD_RECORDS,
    )
    shutil.rmtree(f"{pairs}.work", ignore_errors=True)
