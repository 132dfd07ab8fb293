import pytest
import tensorflow as tf

from labse.checkpoints import run_folder
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.training import run_records, training_pairs


def test_a_worker_waits_for_the_records(tmp_path, monkeypatch):
    source = tmp_path / "pairs.tsv"
    source.write_text("source\ttarget\na\tb\n")
    out = tmp_path / "records"

    def write(_):
        write_records([source], out)

    monkeypatch.setattr(run_records.time, "sleep", write)
    run_records._wait_for(str(out))
    assert (out / "manifest.json").exists()


def test_a_worker_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(run_records, "_PATIENCE", 0.01)
    with pytest.raises(InputError, match="Nothing changed there for 0.01 sec"):
        run_records._wait_for(str(tmp_path / "records"))


@pytest.fixture
def begun(tmp_path):
    """A run folder with a checkpoint."""
    checkpoint = tf.train.Checkpoint(value=tf.Variable(1.0))
    tf.train.CheckpointManager(
        checkpoint, str(tmp_path / run_folder.LAST), max_to_keep=1
    ).save()
    return tmp_path


def test_a_run_is_resumed_with_the_same_pairs_only(begun):
    (begun / run_folder.PAIRS_HASH).write_text("abc")
    training_pairs.check_same_pairs(begun, "abc")
    with pytest.raises(InputError) as error:
        training_pairs.check_same_pairs(begun, "abd")
    assert str(error.value).startswith(
        f"The training pairs are not those that {begun} started with"
    )
    assert (begun / run_folder.PAIRS_HASH).read_text() == "abc"


def test_a_run_without_a_checkpoint_may_take_other_pairs(tmp_path):
    training_pairs.check_same_pairs(tmp_path, "abc")
    training_pairs.check_same_pairs(tmp_path, "abd")
    assert (tmp_path / run_folder.PAIRS_HASH).read_text() == "abd"


def test_a_run_of_an_earlier_version_is_refused(begun):
    with pytest.raises(InputError) as error:
        training_pairs.check_same_pairs(begun, "abc")
    assert str(error.value) == (
        f"{begun} holds a run of an earlier version, which took the pairs in "
        "another order. Finish it with that version, or start a new run from "
        f"its encoder: init={begun} and another run folder."
    )
