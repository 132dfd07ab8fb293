"""Runs one unit of `units`, in a process of its own.

    python -m benchmarks.ablations.run_unit --data=DATA --out=OUT \
        --unit=margin_0.1.0

Its result is OUT/results/NAME-HASH.json. Exit code 143: a signal stopped it,
and the same command resumes.
"""

import argparse
import fcntl
import json
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import labse
from benchmarks.ablations import (
    cpu_time,
    local_negatives,
    pieces,
    prepare,
    retrieval,
    settings,
    units,
)
from benchmarks.ablations.arms import (
    CPU,
    LM_LOSS,
    Dual,
    Pretrained,
)
from benchmarks.machine import machine
from labse.checkpoints.run_folder import HISTORY
from labse.files.atomic_write import write_text
from labse.training import history
from labse.training.dual_encoder_task import train_dual_encoder
from labse.training.pretraining_task import PretrainingFiles, pretrain


def run(
    unit: units.Unit,
    folders: Mapping[str, pathlib.Path],
    data: pathlib.Path,
    out: pathlib.Path,
) -> bool:
    """Runs a unit and writes its result; False where a signal stopped it.

    The run folder of a dual encoder is removed; no other unit needs it.

    Args:
      unit: to run.
      folders: of all units, by their names.
      data: the training and evaluation data.
      out: for results.
    """
    cpu = cpu_time.CpuTime(out / "cpu_seconds" / f"{unit.key()}.json")
    try:
        figures = _figures(unit, folders, data)
    finally:
        cpu.save()
    if figures is None:
        return False
    figures |= {
        CPU: cpu.seconds(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine().partition(";")[0],
    }
    write_text(
        units.result_path(out, unit), json.dumps(figures, indent=1) + "\n"
    )
    if isinstance(unit.arm, Dual):
        shutil.rmtree(folders[unit.name])
    return True


def _figures(
    unit: units.Unit, folders: Mapping[str, pathlib.Path], data: pathlib.Path
) -> dict | None:
    """What a unit found; None where a signal stopped it."""
    prepared, folder = folders[units.PREPARE], folders[unit.name]
    if unit.name == units.PREPARE:
        return prepare.prepare(data, folder)
    if unit.name == units.NEGATIVES:
        return prepare.mine_hard_negatives(prepared, folder)
    if isinstance(unit.arm, Pretrained):
        return _pretrain(unit, prepared, folder)
    init = ""
    if unit.arm.pretrained:
        init = str(folders[units.unit_name(unit.arm.pretrained, unit.seed)])
    records = prepared / prepare.PAIR_RECORDS
    if unit.arm.hard_negatives:
        records = folders[units.NEGATIVES] / prepare.HARD_RECORDS
    vocabulary = prepare.vocabulary_path(prepared, unit.arm.vocabulary)
    if not _train(unit, init, str(records), str(vocabulary), str(folder)):
        return None
    return _evaluate(folder, vocabulary, data / "tatoeba_v1")


def _pretrain(
    unit: units.Unit, folder: pathlib.Path, run: pathlib.Path
) -> dict | None:
    """The loss of masked tokens after a pre-training; its run is kept."""
    held_out = [str(folder / prepare.HELD_OUT)]
    config = settings.pretraining_config(unit.arm, unit.seed)
    finished = pretrain(
        config,
        PretrainingFiles(
            [str(folder / prepare.TEXT_RECORDS)],
            [str(folder / prepare.PAIR_RECORDS)]
            if config.data.bilingual_share
            else [],
        ),
        str(prepare.vocabulary_path(folder, "smoothed")),
        str(run),
        validation=PretrainingFiles(held_out, held_out),
    )
    if not finished:
        return None
    records = history.read(run / HISTORY)
    last = [record for record in records if "validation" in record][-1]
    return {LM_LOSS: last["validation"]["loss"], "history": last}


def _train(
    unit: units.Unit, init: str, records: str, vocabulary: str, folder: str
) -> bool:
    """Trains a dual encoder; False where a signal stopped it."""
    config = settings.dual_encoder_config(unit.arm, unit.seed)
    if unit.arm.local_batches > 1:
        return local_negatives.train(
            config, unit.arm.local_batches, records, vocabulary, folder
        )
    return train_dual_encoder(config, [records], vocabulary, folder, init=init)


def _evaluate(
    folder: pathlib.Path, vocabulary: pathlib.Path, test: pathlib.Path
) -> dict:
    """The figures of a dual encoder, which truncates as in training."""
    model = labse.load(str(folder))
    return {
        **retrieval.evaluate(model.encode, test),
        **pieces.count(vocabulary, test),
        "truncated": retrieval.truncated(model.truncated, test),
        "last": history.read(folder / HISTORY)[-1],
    }


def main() -> int:
    """Runs the unit that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--unit", required=True)
    options = parser.parse_args()
    by_name = {unit.name: unit for unit in units.units_of()}
    folders = {
        name: units.run_path(options.out, each)
        for name, each in by_name.items()
    }
    unit = by_name[options.unit]
    result = units.result_path(options.out, unit)
    result.parent.mkdir(parents=True, exist_ok=True)
    # A process whose parent was killed may still be at the same unit.
    with open(result.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if result.exists():
            return 0
        finished = run(unit, folders, options.data, options.out)
    return 0 if finished else 143


if __name__ == "__main__":
    sys.exit(main())
