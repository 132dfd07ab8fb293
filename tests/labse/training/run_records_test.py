import os
import shutil

import pytest
import tensorflow as tf

from labse.checkpoints import run_folder
from labse.configs.schema import ExperimentConfig, TrainingConfig
from labse.data.record_reader import RecordReader
from labse.data.records import writer
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.remote_path import as_path
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import SPECIAL_PIECES, Vocabulary
from labse.training import run_records, same_records
from labse.training.distribution import Workers
from labse.training.same_records import TRAINING_PAIRS

WORDS = ["one", "two", "three"]
CONFIG = ExperimentConfig(
    training=TrainingConfig(global_batch_size=2, num_steps=1, warmup_steps=0)
)


@pytest.fixture
def source(tmp_path):
    """Three pairs."""
    path = tmp_path / "pairs.tsv"
    rows = [f"{word}\t{word.upper()}\n" for word in WORDS]
    path.write_text("".join(["source\ttarget\n", *rows]))
    return path


def save_checkpoint(run):
    checkpoint = tf.train.Checkpoint(value=tf.Variable(1.0))
    tf.train.CheckpointManager(
        checkpoint, str(run / run_folder.LAST), max_to_keep=1
    ).save()


@pytest.fixture
def begun(tmp_path):
    """A run folder with a checkpoint."""
    save_checkpoint(tmp_path)
    return tmp_path


class Chief(Workers):
    """Alone, so it waits for nobody."""

    def __init__(self):
        super().__init__(tf.distribute.get_strategy())


class Worker(Chief):
    """A worker that is not the chief; `write` is what the chief does."""

    def __init__(self, write):
        super().__init__()
        self.is_chief = False
        self._write = write

    def from_chief(self, value):
        assert value == bytes(32)
        return bytes.fromhex(self._write().identity())


def open_pairs(source, run, workers):
    return run_records.open_pairs(
        *(CONFIG, [str(source)], run),
        *(
            WordPieceTokenizer(Vocabulary([*SPECIAL_PIECES, *WORDS])),
            ReadOptions(),
        ),
        workers,
    )


def test_a_worker_reads_what_the_chief_writes_and_not_what_was_there(
    source, tmp_path
):
    records = tmp_path / "run" / "records"
    stale = tmp_path / "stale.tsv"
    stale.write_text("source\ttarget\na\tb\nc\td\n")
    write_records([stale], records)

    def write():
        shutil.rmtree(records)
        return write_records([source], records)

    reader = open_pairs(source, tmp_path / "run", Worker(write))
    assert reader.manifest.num_records == 3


def test_a_worker_that_does_not_see_the_chiefs_records(source, tmp_path):
    run = tmp_path / "run"

    def write():
        return write_records([source], tmp_path / "elsewhere")

    with pytest.raises(InputError, match="records. The first worker finds th"):
        open_pairs(source, run, Worker(write))
    write_records([source], run / "records", seed=1)
    with pytest.raises(InputError, match="others for the first worker than"):
        open_pairs(source, run, Worker(write))


@pytest.mark.parametrize("changed", [False, True])
def test_a_run_keeps_the_records_that_it_was_begun_with(
    source, tmp_path, caplog, changed
):
    begun = tmp_path / "run"
    first = open_pairs(source, begun, Chief()).manifest
    save_checkpoint(begun)
    text = source.read_text()
    source.write_text(text + "four\tFOUR\n" * changed)
    os.utime(source, ns=(1, 1))
    if changed:
        with pytest.raises(InputError) as error:
            open_pairs(source, begun, Chief())
        assert str(error.value).startswith(
            f"The training pairs are not those that {begun} started with "
            "(files was [["
        )
        assert "init=" in str(error.value)
        source.write_text(text)
    found = open_pairs(source, begun, Chief()).manifest
    assert found.identity() == first.identity()
    assert found.made_from == first.made_from  # Not written again.
    assert "The run resumes with what it read before" in caplog.text


def test_records_of_other_pairs_are_written_again_for_the_runs_own(
    source, tmp_path
):
    """As after they were removed, and other files were given by mistake."""
    begun = tmp_path / "run"
    first = open_pairs(source, begun, Chief()).manifest
    save_checkpoint(begun)
    shutil.rmtree(begun / "records")
    other = tmp_path / "other.tsv"
    other.write_text("source\ttarget\na\tb\nc\td\n")
    with pytest.raises(InputError, match="not those that"):
        open_pairs(other, begun, Chief())
    found = open_pairs(source, begun, Chief()).manifest
    assert found.identity() == first.identity()


def test_an_unfinished_remote_job_of_other_pairs_is_removed(
    source, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    run = as_path("ram://run_records_test/run")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_shards", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_pairs(source, run, Chief())
    [work] = tmp_path.glob("labse-records-*")
    source.write_text(source.read_text() + "four\tFOUR\n")
    with pytest.raises(InputError, match=f"or remove it and {work}."):
        write_records([source], run / "records")
    assert open_pairs(source, run, Chief()).manifest.num_records == 4
    assert not work.exists()


def test_remote_files_are_refused():
    with pytest.raises(InputError, match=r"Received: ram://x/\*.tsv. Write"):
        run_records._find_folder(TRAINING_PAIRS, ["ram://x/*.tsv"])


@pytest.mark.parametrize(
    "change, what",
    [
        (lambda content: content[:-1], r":\d: the record is damaged or tr"),
        (lambda content: content * 2, ": its content is not what the manif"),
        (None, ": the file is missing."),
    ],
)
def test_a_damaged_remote_shard_is_named(source, change, what):
    folder = as_path("ram://run_records_test/damaged")
    folder.remove()
    manifest = write_records([source], folder)
    reader = RecordReader(folder, manifest, 2)
    name = next(shard.name for shard in manifest.shards if shard.records)
    path = folder / name
    error = tf.errors.DataLossError(None, None, "corrupted record at 0")
    run_records.check_damage(reader, 0, error)
    if change is None:
        path.remove()
    else:
        content = change(path.read_bytes())
        with path.open("wb") as file:
            file.write(content)
    with pytest.raises(InputError, match=f"could not be read: {path}{what}"):
        run_records.check_damage(reader, 0, error)


def test_a_run_is_resumed_with_the_same_pairs_only(begun):
    (begun / run_folder.PAIRS_HASH).write_text("abc")
    same_records.check_same(begun, TRAINING_PAIRS, "abc")
    with pytest.raises(InputError) as error:
        same_records.check_same(begun, TRAINING_PAIRS, "abd")
    assert str(error.value).startswith(
        f"The training pairs are not those that {begun} started with"
    )
    assert (begun / run_folder.PAIRS_HASH).read_text() == "abc"


def test_a_run_without_a_checkpoint_may_take_other_pairs(tmp_path):
    same_records.check_same(tmp_path, TRAINING_PAIRS, "abc")
    same_records.check_same(tmp_path, TRAINING_PAIRS, "abd")
    assert (tmp_path / run_folder.PAIRS_HASH).read_text() == "abd"


def test_a_run_of_an_earlier_version_is_refused(begun):
    with pytest.raises(InputError) as error:
        same_records.check_same(begun, TRAINING_PAIRS, "abc")
    assert str(error.value) == (
        f"{begun} holds a run of an earlier version, which took the training "
        "pairs in another order. Finish it with that version, or start a new "
        f"run from its encoder: init={begun} and another run folder."
    )
