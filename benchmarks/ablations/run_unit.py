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

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import labse
from benchmarks.ablations import (
    local_negatives,
    pieces,
    prepare,
    retrieval,
    settings,
    units,
)
from benchmarks.ablations.arms import (
    LM_LOSS,
    Dual,
    Pretrained,
)
from labse.files.atomic_write import write_text
from labse.training import history
from labse.training.dual_encoder_task import train_dual_encoder
from labse.training.pretraining_task import PretrainingFiles, pretrain


def run(
    unit: units.Unit,
    by_name: dict[str, units.Unit],
    data: pathlib.Path,
    out: pathlib.Path,
) -> bool:
    """Runs a unit and writes its result; False where a signal stopped it.

    The run folder of a dual encoder is removed; no other unit needs it.
    """
    folder = out / "data"
    if unit.name == units.PREPARE:
        figures = prepare.prepare(data, folder)
    elif unit.name == units.NEGATIVES:
        figures = prepare.mine_hard_negatives(folder)
    elif isinstance(unit.arm, Pretrained):
        figures = _pretrain(unit, folder, units.run_path(out, unit))
    else:
        init = ""
        if unit.arm.pretrained:
            name = units.unit_name(unit.arm.pretrained, unit.seed)
            init = str(units.run_path(out, by_name[name]))
        figures = _train(unit, init, data, folder, units.run_path(out, unit))
    if figures is None:
        return False
    times = os.times()
    figures["cpu_seconds"] = round(sum(times[:4]), 1)  # With child processes.
    write_text(
        units.result_path(out, unit), json.dumps(figures, indent=1) + "\n"
    )
    if isinstance(unit.arm, Dual):
        shutil.rmtree(units.run_path(out, unit))
    return True


def _pretrain(
    unit: units.Unit, folder: pathlib.Path, run_folder: pathlib.Path
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
        str(run_folder),
        validation=PretrainingFiles(held_out, held_out),
    )
    if not finished:
        return None
    records = history.read(run_folder / history.FILE_NAME)
    last = [record for record in records if "validation" in record][-1]
    return {LM_LOSS: last["validation"]["loss"], "history": last}


def _train(
    unit: units.Unit,
    init: str,
    data: pathlib.Path,
    folder: pathlib.Path,
    run_folder: pathlib.Path,
) -> dict | None:
    """The figures of a dual encoder."""
    arm, seed = unit.arm, unit.seed
    config = settings.dual_encoder_config(arm, seed)
    records = prepare.PAIR_RECORDS
    if arm.hard_negatives:
        records = prepare.HARD_RECORDS
    records = str(folder / records)
    vocabulary = prepare.vocabulary_path(folder, arm.vocabulary)
    started = time.process_time()
    arguments = (records, str(vocabulary), str(run_folder))
    if arm.local_batches > 1:
        finished = local_negatives.train(config, arm.local_batches, *arguments)
    else:
        finished = train_dual_encoder(
            config, [records], *arguments[1:], init=init
        )
    if not finished:
        return None
    trained = time.process_time() - started
    model = labse.load(str(run_folder))
    return {
        **retrieval.evaluate(model.encode, data / "tatoeba_v1"),
        **pieces.count(vocabulary, data / "tatoeba_v1"),
        "training_seconds": round(trained, 1),
        "last": history.read(run_folder / history.FILE_NAME)[-1],
    }


def main() -> int:
    """Runs the unit that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--unit", required=True)
    options = parser.parse_args()
    by_name = {unit.name: unit for unit in units.units_of()}
    unit = by_name[options.unit]
    result = units.result_path(options.out, unit)
    result.parent.mkdir(parents=True, exist_ok=True)
    # A process whose parent was killed may still be at the same unit.
    with open(result.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if result.exists():
            return 0
        finished = run(unit, by_name, options.data, options.out)
    return 0 if finished else 143


if __name__ == "__main__":
    sys.exit(main())
