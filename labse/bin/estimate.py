r"""Says whether a training fits, and how long it takes, without starting it.

    labse estimate --config=labse_base --hardware=tpu-v3-32
    labse estimate --config=labse_base --hardware=h100-8 --train=RECORDS \
        --override=training.global_batch_size=8192
    labse estimate --config=my.yaml --hardware=devices=2,memory=24GiB,flops=7e13

Prints the model's parameters, the memory of a device by part, the FLOPs of a
step, the negatives of a pair, the epochs over the data, the hours at a share of
the hardware's peak (--utilization), and the disk. What does not fit is refused
with exit code 2 and with what would fit. docs/estimating.md says how good the
estimates are.

With --mine, also what it takes to encode and mine that many sentences with the
model: its sentences a second on this hardware, and the plan that labse mine
makes from them. labse mine measures its machine before it starts a large job;
--mine assumes the search of docs/mining_at_scale.md.
"""

import dataclasses
import json
import re

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError
from labse.training.estimate.estimator import UTILIZATION
from labse.training.estimate.hardware import FORMS

# Rates of exact search on two cores of an AMD EPYC (docs/mining_at_scale.md,
# "Hours").
SEARCH_PRODUCTS, SEARCH_ROW_SECONDS = 1.6e11, 2e-5
# Sentences of a side to mine: more than there are.
MOST = 1e15


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.string("config", "labse_base", "Preset or YAML file.")
    flags.strings(
        "override",
        [],
        "section.key=value, e.g. training.global_batch_size=1024; repeatable.",
    )
    flags.string(
        "hardware",
        None,
        f"The devices: {FORMS}.",
        required=True,
    )
    flags.string(
        "vocab",
        "",
        "vocab.txt to train with; by default encoder.vocab_size counts.",
    )
    flags.string(
        "train", "", "Folder of records to train on, for epochs and disk."
    )
    flags.integer(
        "pairs", None, "Number of pairs to train on, in place of --train."
    )
    flags.number(
        "utilization",
        UTILIZATION,
        "The share of the hardware's peak that the hours assume.",
    )
    flags.string(
        "mine",
        "",
        "SOURCESxTARGETS, numbers of sentences to mine, e.g. 1e6x2e6.",
    )
    flags.boolean("json", False, "Prints JSON in place of the tables.")


def main(flags: FlagSet) -> None:
    """Estimates."""
    from labse.configs import loading
    from labse.training.estimate import estimator, hardware, report

    sides = _sides(flags.mine) if flags.mine else None
    config = loading.load(flags.config, flags.override)
    if flags.vocab:
        config = _with_vocabulary(config, flags.vocab)
    pairs, record_bytes = _data(flags)
    devices = hardware.parse(flags.hardware)
    found = estimator.estimate(
        config, devices, pairs, record_bytes, flags.utilization
    )
    plan = None
    if sides:
        plan = _plan(
            sides,
            config.encoder.hidden_size,
            estimator.sentence_rate(config, devices, flags.utilization),
        )
    if flags.json:
        values = report.to_json(found)
        if plan:
            values["mining"] = dataclasses.asdict(plan)
        print(json.dumps(values, indent=1))
    else:
        print(report.to_text(found))
        if plan:
            print(f"Mining {plan.size}\n{plan.explain()}\n")
    found.check_fits()


def _with_vocabulary(config, path: str):
    from labse.preprocessing.vocabulary import Vocabulary

    size = len(Vocabulary.read(path).pieces)
    encoder = dataclasses.replace(config.encoder, vocab_size=size)
    return dataclasses.replace(config, encoder=encoder)


def _data(flags: FlagSet) -> tuple[int | None, int | None]:
    """The number of pairs, and the bytes of their records, where known."""
    if flags.train and flags.pairs is not None:
        raise InputError(
            "--train and --pairs both give the number of pairs. Received: "
            f"{flags.train} and {flags.pairs}. Leave one out."
        )
    if not flags.train:
        return flags.pairs, None
    from labse.data.records.groups import PAIRS
    from labse.data.records.manifest import Manifest

    manifest = Manifest.open(flags.train, PAIRS)
    size = sum(shard.bytes for shard in manifest.shards)
    return manifest.num_records, size


def _sides(text: str) -> tuple[int, int]:
    number = r"(\d+(?:\.\d+)?(?:e\d+)?)"
    found = re.fullmatch(f"{number}x{number}", text)
    sides = tuple(map(float, found.groups())) if found else ()
    if not sides or not all(1 <= side <= MOST for side in sides):
        raise InputError(
            "--mine has the form SOURCESxTARGETS, e.g. 1e6x2e6, each "
            f"from 1 to {MOST:g}. Received: {text!r}."
        )
    return tuple(map(int, sides))


def _plan(sides: tuple[int, int], dimension: int, rate: float):
    """The plan of labse mine with its default settings."""
    from labse.mining.job.plan import JobSize, MachineSpeed, choose_plan
    from labse.mining.job.settings import Settings

    number_bytes = {"float32": 4, "float16": 2}[Settings().vector_type]
    size = JobSize(*sides, dimension, number_bytes, Settings().k)
    speed = MachineSpeed(rate, SEARCH_PRODUCTS, SEARCH_ROW_SECONDS)
    unlimited = float("inf")
    return choose_plan(size, speed, unlimited, unlimited)


if __name__ == "__main__":
    program.main(__name__)
