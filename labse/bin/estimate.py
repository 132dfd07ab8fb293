r"""Says whether a training fits, and how long it takes, without starting it.

    labse estimate --config=labse_base --hardware=tpu-v3-32
    labse estimate --config=labse_base --hardware=h100-8 --train=RECORDS \
        --override=training.global_batch_size=8192
    labse estimate --config=pretrain_base --hardware=tpu-v3-512
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
    config = loading.load(flags.config, flags.override, kind=None)
    _check_kind(flags, config)
    if flags.vocab:
        from labse.preprocessing.vocabulary import Vocabulary

        size = len(Vocabulary.read(flags.vocab).pieces)
        config = config.with_vocab_size(size)
    pairs, record_bytes = _data(flags)
    devices = hardware.parse(flags.hardware)
    found = estimator.estimate(
        config, devices, pairs, record_bytes, flags.utilization
    )
    plan = None
    if sides:
        from labse.mining.job.assumed_plan import assumed_plan

        rate = estimator.sentence_rate(config, devices, flags.utilization)
        plan = assumed_plan(*sides, config.encoder.hidden_size, rate)
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


def _check_kind(flags: FlagSet, config) -> None:
    """Raises `InputError` for what pre-training does not have."""
    from labse.configs.pretraining import PretrainingConfig

    if not isinstance(config, PretrainingConfig):
        return
    for flag, value in (
        ("--train", flags.train),
        ("--pairs", flags.pairs),
        ("--mine", flags.mine),
    ):
        if value not in ("", None):
            raise InputError(
                f"{flag} is for a dual encoder, which pre-training only "
                f"prepares. Received: {flag}={value} and "
                f"--config={flags.config}. Leave it out."
            )


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


if __name__ == "__main__":
    program.main(__name__)
