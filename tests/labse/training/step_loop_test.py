import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from labse.checkpoints import run_folder
from labse.configs.schema import TrainingConfig
from labse.errors import InputError
from labse.training.checkpoints import BEST_FIGURES
from labse.training.step_loop import Stage, StepLoop


@pytest.mark.parametrize("is_chief", [False, True])
def test_only_the_chief_reads_the_history(tmp_path, is_chief):
    """Another worker could read half of the line that is being appended."""
    (tmp_path / BEST_FIGURES).parent.mkdir()
    (tmp_path / BEST_FIGURES).write_text(json.dumps({"step": 1, "fit": 0.5}))
    (tmp_path / run_folder.HISTORY).write_text('{"step": 2')
    stage = Stage(
        SimpleNamespace(score="fit"),
        SimpleNamespace(optimizer=SimpleNamespace(iterations=tf.Variable(0))),
        checkpoints=None,
        steps=range(10),
        is_final=True,
    )
    workers = SimpleNamespace(
        are_several=True, is_chief=is_chief, any_of_each=tuple
    )
    config = TrainingConfig(early_stopping_patience=2)
    loop = StepLoop(stage, tmp_path, config, workers, progress=None)
    if is_chief:
        with pytest.raises(InputError, match="history.jsonl:1: each line"):
            loop.stops_before_first_step()
    else:
        assert not loop.stops_before_first_step()
