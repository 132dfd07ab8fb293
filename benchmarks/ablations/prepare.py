"""Data, vocabularies and hard negatives: all that the arms are trained on."""

import pathlib
import shutil
import subprocess
import sys

from benchmarks.ablations import settings
from benchmarks.ablations.arms import (
    VOCABULARIES,
)
from labse.data.records.groups import TEXT
from labse.data.records.writer import write_records
from labse.files.atomic_write import atomic_file

ROOT = pathlib.Path(__file__).parents[2]
PAIRS, HELD_OUT, TEXTS = "train.tsv", "validation.tsv", "texts.tsv"
PAIR_RECORDS, TEXT_RECORDS = "pair_records", "text_records"
LINGUA = "lingua_sentences"
HARD_PAIRS, HARD_RECORDS = "hard_negatives.tsv", "hard_negative_records"
# Small shards, so that an order of examples mixes many of them.
_SHARD_RECORDS = 4096


def vocabulary_path(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The vocab.txt of one of `VOCABULARIES`."""
    return folder / f"vocab_{name}.txt"


def labse(program: str, *arguments: str) -> None:
    """Runs `labse PROGRAM`."""
    command = [sys.executable, "-m", "labse.bin.cli", program, *arguments]
    subprocess.run(command, check=True, cwd=ROOT)


def prepare(data: pathlib.Path, folder: pathlib.Path) -> dict:
    """Writes pairs, texts, vocabularies and records; returns their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_pairs(data, folder)
    texts = _write_texts(data, folder)
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
    pairs = write_records(
        [folder / PAIRS], folder / PAIR_RECORDS, shard_records=_SHARD_RECORDS
    )
    write_records(
        [folder / TEXTS],
        folder / TEXT_RECORDS,
        kind=TEXT,
        shard_records=_SHARD_RECORDS,
    )
    return {"pairs": pairs.num_records, "texts": texts}


def _write_pairs(data: pathlib.Path, folder: pathlib.Path) -> None:
    """The open pairs of the languages, without 0.5 % that are held out."""
    outputs = folder / PAIRS, folder / HELD_OUT
    if all(path.exists() for path in outputs):
        return
    for path in outputs:
        path.unlink(missing_ok=True)
    every, chosen = folder / "all_pairs.tsv", folder / "pairs.tsv"
    script = ROOT / "examples/open_pairs.py"
    subprocess.run([sys.executable, script, data, every], check=True)
    with atomic_file(chosen, "w") as file:
        for number, row in enumerate(_rows(every)):
            code = row[3]
            if number and code not in settings.LANGUAGE_OF_CODE:
                continue
            row[3] = settings.LANGUAGE_OF_CODE.get(code, code)
            file.write("\t".join(row) + "\n")
    every.unlink()
    labse(
        "split-pairs",
        f"--input={chosen}",
        f"--share={settings.HELD_OUT_SHARE}",
        f"--train_out={outputs[0]}",
        f"--heldout_out={outputs[1]}",
    )


def _rows(path: pathlib.Path):
    with open(path, encoding="utf-8", newline="\n") as file:
        yield from (line.rstrip("\n").split("\t") for line in file)


def _write_texts(data: pathlib.Path, folder: pathlib.Path) -> int:
    """The different texts of the pairs, and lingua's sentences."""
    texts = {}
    for row in list(_rows(folder / PAIRS))[1:]:
        texts.update({row[0]: (row[2], row[4]), row[1]: (row[3], row[4])})
    for language in ("en", *settings.TEST_CODE):
        path = data / LINGUA / f"{language}.txt"
        if path.exists():  # Not for km and am.
            for (text,) in _rows(path):
                texts[text] = (language, LINGUA)
    with atomic_file(folder / TEXTS) as file:
        file.write("text\tlanguage\tcorpus\n")
        for text, columns in texts.items():
            file.write("\t".join((text, *columns)) + "\n")
    return len(texts)


def mine_hard_negatives(folder: pathlib.Path) -> dict:
    """Trains the averaging network, and lets it find each pair's negatives."""
    miner = folder / "miner"
    labse(
        "train",
        "--config=labse_dan",
        f"--override=training.num_steps={settings.MINER_STEPS}",
        "--override=training.warmup_steps=10",
        f"--train={folder / PAIR_RECORDS}",
        f"--vocab={vocabulary_path(folder, 'smoothed')}",
        f"--out={miner}",
    )
    out = folder / HARD_PAIRS
    out.unlink(missing_ok=True)
    labse(
        "mine-hard-negatives",
        f"--model={miner}",
        f"--input={folder / PAIRS}",
        f"--out={out}",
        "--restart",
    )
    manifest = write_records(
        [out], folder / HARD_RECORDS, shard_records=_SHARD_RECORDS
    )
    return {"pairs": manifest.num_records}
