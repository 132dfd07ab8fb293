"""The effect of the order of examples: P@1 after equal steps, three seeds.

    python benchmarks/batch_order.py --data=DATA --init=runs/quickstart \
        [--setups fine_tune dan large] [--override=section.key=value]...

DATA is `tatoeba_challenge_train` (xxx-eng.tsv). 500 German-English pairs are
held out; each setup trains on others and is evaluated on these, German to
English. To compare with another version, run this file with that version's
`labse` on PYTHONPATH.
"""

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

import labse
from labse.configs import loading
from labse.training.dual_encoder_task import train_dual_encoder

HELD_OUT = 500
LANGUAGES = ("deu", "fra", "spa", "rus", "ita", "tur", "epo", "ces", "lat")
# Name: preset, pairs of each language, whether from `--init`, batch size (of
# the preset if None), steps, warm-up.
SETUPS = {
    "fine_tune": ("labse_tiny", {"deu": 200}, True, 128, 60, 6),
    "dan": ("labse_dan", {"deu": 1000}, False, 512, 100, 10),
    "large": (
        "labse_small_open",
        dict.fromkeys(LANGUAGES, 6000),
        False,
        None,
        100,
        20,
    ),
}


def read_pairs(folder: pathlib.Path, language: str) -> list[tuple[str, str]]:
    """(text, English), in random order; a text stands in one pair only."""
    text = (folder / f"{language}-eng.tsv").read_text(encoding="utf-8")
    rows = [tuple(line.split("\t")[:2]) for line in text.split("\n") if line]
    by_english = dict((english, foreign) for foreign, english in rows)
    by_foreign = dict(
        (foreign, english) for english, foreign in by_english.items()
    )
    pairs = sorted(by_foreign.items())
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[place] for place in order]


def write_training_pairs(path, folder, counts, held_out) -> int:
    """Writes a TSV with `counts` pairs of each language; returns their sum."""
    english = {pair[1] for pair in held_out}
    foreign = {pair[0] for pair in held_out}
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    for language, count in counts.items():
        pairs = [
            f"{text}\t{translation}\t{language}\teng"
            for text, translation in read_pairs(folder, language)
            if text not in foreign and translation not in english
        ]
        rows += pairs[:count]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


def accuracy(run: pathlib.Path, pairs: list[tuple[str, str]]) -> float:
    """P@1 of German to English in per cent."""
    model = labse.load(str(run))
    german, english = (
        model.encode(list(side)) for side in zip(*pairs, strict=True)
    )
    nearest = np.argmax(german @ english.T, axis=1)
    return 100 * np.mean(nearest == np.arange(len(pairs)))


def main() -> None:
    """Prints a line for each setup: the P@1 of each seed and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--init", required=True, help="A trained quickstart.")
    parser.add_argument("--setups", nargs="+", default=list(SETUPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--override", action="append", default=[])
    options = parser.parse_args()
    held_out = read_pairs(options.data, "deu")[:HELD_OUT]
    for name in options.setups:
        preset, counts, from_init, batch_size, steps, warmup = SETUPS[name]
        found = []
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            train = folder / "train.tsv"
            number = write_training_pairs(train, options.data, counts, held_out)
            for seed in range(options.seeds):
                overrides = [
                    f"training.num_steps={steps}",
                    f"training.warmup_steps={warmup}",
                    f"training.seed={seed}",
                    *options.override,
                ]
                if batch_size:
                    overrides.append(f"training.global_batch_size={batch_size}")
                train_dual_encoder(
                    loading.load(preset, overrides),
                    [str(train)],
                    f"{options.init}/vocab.txt",
                    str(folder / str(seed)),
                    init=options.init if from_init else "",
                )
                found.append(accuracy(folder / str(seed), held_out))
        seeds = " ".join(f"{each:5.1f}" for each in found)
        print(
            f"{name:9} {preset} {number} pairs {steps} steps: {seeds}   mean "
            f"{np.mean(found):5.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
