"""`labse train` in this process: what it reads and what it refuses."""

import gzip
import itertools
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from labse.bin import train
from labse.bin.flags import program
from labse.data.records.tokens import TokenIds
from labse.data.records.writer import write_records
from labse.features import PAIR_COLUMNS
from labse.files.reading import ReadOptions
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training import dual_encoder_task

WORDS = ["rot", "blau", "Haus", "Hund"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
SMALL = {
    "encoder.num_layers": 1,
    "encoder.num_heads": 1,
    "encoder.hidden_size": 8,
    "encoder.intermediate_size": 8,
    "encoder.max_positions": 8,
    "tokenizer.max_length": 8,
    "data.length_buckets": "[]",
    "training.global_batch_size": 6,
    "training.num_steps": 2,
    "training.warmup_steps": 0,
    "training.log_every": 1,
    "training.validate_every": 2,
    # It would hold for the whole process, and so for all later tests.
    "training.deterministic": "false",
}


def make_pairs(count):
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(count):
        words = random.choice(WORDS, size=random.integers(1, 6))
        source = " ".join(words)
        pairs.append((source, source.upper(), "de", "de-UPPER"))
    return pairs


PAIRS = make_pairs(18)


def table(pairs):
    rows = ["\t".join(row) for row in [PAIR_COLUMNS, *pairs]]
    return ("\n".join(rows) + "\n").encode()


def write_tfrecord(path, pairs):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for pair in pairs:
            features = {
                name: tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[value.encode()])
                )
                for name, value in zip(PAIR_COLUMNS, pair, strict=True)
            }
            writer.write(
                tf.train.Example(
                    features=tf.train.Features(feature=features)
                ).SerializeToString()
            )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (tmp_path / "all.tsv").write_bytes(table(PAIRS))
    (tmp_path / "mixed_1.tsv").write_bytes(table(PAIRS[:7]))
    compressed = gzip.compress(table(PAIRS[7:12]))
    (tmp_path / "mixed_2.tsv.gz").write_bytes(compressed)
    write_tfrecord(tmp_path / "mixed_3.tfrecord", PAIRS[12:])
    return tmp_path


def run(files, *arguments, pairs="all.tsv", **overrides):
    """Runs the program with usable flags, but for those in `arguments`."""
    values = {**SMALL, **overrides}
    defaults = [
        "--config=labse_tiny",
        f"--train={files / pairs}",
        f"--vocab={files / 'vocab.txt'}",
        f"--out={files / 'run'}",
        "--distribution=none",
    ]
    given = {argument.partition("=")[0] for argument in arguments}
    overridden = {
        argument.removeprefix("--override=").partition("=")[0]
        for argument in arguments
    }
    return program.run(
        train,
        [
            *(
                flag
                for flag in defaults
                if flag.partition("=")[0] not in given - {"--train"}
            ),
            *(
                f"--override={key}={value}"
                for key, value in values.items()
                if key not in overridden
            ),
            *arguments,
        ],
        "labse train",
    )


def error_of(capsys):
    """The message, which has to be one line without a traceback."""
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if "labse train:" in line]
    assert len(lines) == 1
    assert errors.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("labse train: ")


def test_files_of_all_kinds_together_train_as_one_tsv(files):
    """The same pairs in the same order give the same losses."""
    losses = []
    for name, pairs in (("one", "all.tsv"), ("mixed", "mixed_*")):
        out = files / name
        assert run(files, f"--out={out}", pairs=pairs) == 0
        records = [
            json.loads(line)
            for line in (out / "history.jsonl").read_text().splitlines()
        ]
        assert [record["step"] for record in records] == [1, 2]
        losses.append([record["loss"] for record in records])
        assert (out / "vocab.txt").is_file()
        assert tf.train.latest_checkpoint(out / "checkpoints" / "last")
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    # The control: another first pair in the batch would be seen.
    assert losses[0][0] != pytest.approx(losses[0][1], rel=1e-3)


def test_flags_reach_the_library(files, monkeypatch):
    calls = []

    def train_nothing(*args, **kwargs):
        calls.append((args, kwargs))
        return True

    monkeypatch.setattr(dual_encoder_task, "train_dual_encoder", train_nothing)
    code = run(
        files,
        f"--train={files}/mixed_*",
        "--init=other",
        "--distribution=tpu",
        "--tpu=local",
        **{"training.learning_rate": "1e-4"},
    )
    assert code == 0
    [((config, patterns, vocabulary, out), options)] = calls
    assert config.training.learning_rate == 1e-4
    assert config.encoder.hidden_size == 8
    assert patterns == [f"{files}/all.tsv", f"{files}/mixed_*"]
    assert (vocabulary, out) == (f"{files}/vocab.txt", f"{files}/run")
    assert options == {
        "init": "other",
        "validate": None,
        "distribution": "tpu",
        "tpu": "local",
        "reading": ReadOptions(),
    }


def test_validation_judges_each_language(files, monkeypatch):
    calls = []

    def train_nothing(*args, **kwargs):
        calls.append(kwargs)
        return True

    monkeypatch.setattr(dual_encoder_task, "train_dual_encoder", train_nothing)
    rows = [("rot", "ROT", "de", "xx"), ("blau", "BLAU", "de", "xx")]
    (files / "v.tsv").write_bytes(table(rows))
    assert run(files, f"--validation={files / 'v.tsv'}") == 0
    vectors = {"rot": [1, 0], "ROT": [1, 0], "blau": [0, 1]}

    def encode(texts):
        # BLAU is nearer to rot than to blau.
        return np.array([vectors.get(t, [0.8, 0.6]) for t in texts], "f4")

    figures = calls[0]["validate"](encode)
    assert figures["accuracy"] == 0.5
    assert figures["languages"] == {"de-xx": 0.5}


def test_malformed_lines_above_the_share_are_named(files, capsys):
    with open(files / "all.tsv", "ab") as file:
        file.write(b"only one column\nrot\t\tde\txx\n")
    assert run(files) == 2
    message = error_of(capsys)
    assert message.startswith("2 of 20 rows are malformed (1 wrong")
    # A header and 18 pairs come before.
    assert f"{files / 'all.tsv'}:20: " in message
    assert f"{files / 'all.tsv'}:21: target is empty" in message
    assert "data.max_malformed_share" in message


@pytest.mark.parametrize("flag", ["train", "vocab", "out"])
def test_a_missing_flag_is_named(flag, capsys):
    arguments = [f"--{name}=x" for name in ("train", "vocab", "out")]
    arguments.remove(f"--{flag}=x")
    assert program.run(train, arguments, "labse train") == 2
    message = error_of(capsys)
    assert f"--{flag} must have a value other than None" in message
    assert message.endswith("See labse train --help.")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--config=labse_tyni"], "A configuration is one of the presets"),
        (["--override=training.steps=1"], "training.num_steps?"),
        (["--override=training.num_steps=ten"], "must be a int"),
        (
            ["--override=loss.margin=0.1", "--override=loss.margin=0.2"],
            "loss.margin twice: '0.1' and '0.2'",
        ),
        (["--override=num_steps=1"], "has the form section.key=value"),
        (["--override=loss.logit_scale=0"], "greater than 0. Received: 0"),
        (["--train=absent*"], "No file matches 'absent*'."),
        (["--init=absent"], "init=absent: 'absent' does not exist."),
        (
            ["--distribution=tpu"],
            "distribution=tpu needs the TPU's name, tpu=NAME",
        ),
        (["--distribution=gpu"], "should be one of"),
        (["more.tsv"], "takes flags only"),
    ],
)
def test_mistakes_are_one_line(files, capsys, arguments, message):
    assert run(files, *arguments) == 2
    assert message in error_of(capsys)


def test_a_missing_vocabulary_is_refused(files, capsys):
    assert run(files, f"--vocab={files / 'absent.txt'}") == 2
    assert "absent.txt" in error_of(capsys)
    assert not (files / "run").exists()


def test_a_batch_that_no_device_shares_evenly_is_refused(files, capsys):
    """6 pairs on the four logical CPUs of the tests."""
    assert run(files, "--distribution=mirrored") == 2
    message = error_of(capsys)
    assert "must be a multiple of the number of replicas" in message
    assert "Received: 6 and 4." in message


def test_a_mistake_in_the_validation_file_is_told_at_once(files, capsys):
    (files / "v.tsv").write_text("no header\n")
    assert run(files, f"--validation={files / 'v.tsv'}") == 2
    assert f"{files / 'v.tsv'}" in error_of(capsys)
    assert not (files / "run").exists()


def test_a_worker_that_another_one_stopped_is_not_finished(files, monkeypatch):
    monkeypatch.setattr(
        dual_encoder_task, "train_dual_encoder", lambda *args, **kwargs: False
    )
    assert run(files) == 143


# Rows, the batch, and what is negative of nothing in it.
@pytest.mark.parametrize(
    "rows, batch, different",
    [
        ([("rot", "ROT")] * 6, 6, 1),
        ([("rot", "ROT")] * 9, 6, 1),
        ([("rot", "ROT"), ("rot", "BLAU"), ("rot", "HAUS")] * 2, 6, 3),
        ([("rot", "ROT"), ("blau", "ROT"), ("Haus", "ROT")] * 2, 6, 3),
        ([(pair[0], pair[1]) for pair in PAIRS], 1, 1),
    ],
)
def test_pairs_without_a_negative_are_refused(
    files, capsys, rows, batch, different
):
    (files / "few.tsv").write_bytes(table([(*row, "de", "xx") for row in rows]))
    code = run(files, pairs="few.tsv", **{"training.global_batch_size": batch})
    assert code == 2
    message = error_of(capsys)
    assert message.startswith("A pair needs other pairs in its batch")
    assert (
        f"Received: {different} different pairs in a batch of {batch} "
        f"(training.global_batch_size), {len(rows)} pairs in all"
    ) in message


def test_a_hard_negative_is_a_negative(files, caplog):
    """One pair in batches of one; 1 negative is few."""
    text = 'source\ttarget\thard_negatives\nrot\tROT\t["BLAU"]\n'
    (files / "few.tsv").write_text(text)
    sizes = {"training.global_batch_size": 1, "data.hard_negatives": 1}
    assert run(files, pairs="few.tsv", **sizes) == 0
    assert "only 1 negatives in a batch of 1" in caplog.text
    first = (files / "run" / "history.jsonl").read_text().splitlines()[0]
    assert json.loads(first)["negatives"] == 1


def test_few_negatives_are_told(files, caplog):
    """Two languages, of three pairs and of one, in batches of 4.

    Of 4 rows 2 are of each at exponent 0.
    """
    rows = [("rot", "ROT"), ("blau", "BLAU"), ("Haus", "HAUS")]
    rows = [(*row, "de", "xx") for row in rows]
    rows.append(("Hund", "HUND", "de", "yy"))
    (files / "few.tsv").write_bytes(table(rows))
    settings = {"training.global_batch_size": 4, "data.language_exponent": 0.0}
    assert run(files, pairs="few.tsv", **settings) == 0
    logged = caplog.text
    assert (
        "A batch of 4 holds 3 different pairs, each with at least 2 negatives."
    ) in logged
    assert (
        "A pair has only 2 negatives in a batch of 4 with 3 different pairs "
        "(4 in all), so loss and accuracy mean little. Give more pairs, or set "
        "training.global_batch_size=3."
    ) in logged
    assert (
        "In 1 languages, every pair occurs twice or more in a batch: de-yy (2 "
        "rows, 1 pairs)."
    ) in logged
    first = (files / "run" / "history.jsonl").read_text().splitlines()[0]
    assert json.loads(first)["negatives"] == 2


def test_fewer_pairs_than_a_batch_are_refused(files, capsys):
    assert run(files, **{"training.global_batch_size": 19}) == 2
    assert error_of(capsys) == (
        "A global batch has at most as many rows as there are records. "
        "Received training.global_batch_size=19 and 18 records in "
        f"{files}/run/records. Lower it, or give more records."
    )


def test_enough_negatives_are_not_warned_of(files, caplog):
    words = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS]
    rows = [(text, text.upper(), "de", "xx") for text in words]
    (files / "many.tsv").write_bytes(table(rows))
    sizes = {"training.global_batch_size": 24}
    assert run(files, pairs="many.tsv", **sizes) == 0
    logged = caplog.text
    assert "24 different pairs, each with at least 23 negatives" in logged
    assert "only" not in logged
    assert "every pair occurs" not in logged


def test_texts_that_read_as_the_same_pieces_are_told(files, caplog):
    """Different texts, all of them [UNK]: no text says so before training."""
    rows = [(f"w{n}", f"W{n}", "de", "xx") for n in range(20)]
    (files / "unknown.tsv").write_bytes(table(rows))
    sizes = {"training.global_batch_size": 12}
    assert run(files, pairs="unknown.tsv", **sizes) == 0
    message = "Step 1: a pair has 0.00 negatives on average"
    assert caplog.text.count(message) == 1


def test_early_stopping_needs_validation_pairs(files, capsys):
    assert run(files, **{"training.early_stopping_patience": 2}) == 2
    message = error_of(capsys)
    assert message.startswith("training.early_stopping_patience needs valid")
    assert "give some, or set 0" in message


def losses(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture
def records(files):
    write_records([files / "all.tsv"], files / "texts")
    tokenizer = WordPieceTokenizer(Vocabulary(PIECES))
    ids = TokenIds(tokenizer, 8)
    write_records([files / "all.tsv"], files / "ids", token_ids=ids)
    return files


def test_a_folder_of_records_trains_as_its_files(records):
    files = records
    assert run(files) == 0
    for name in ("texts", "ids"):
        assert run(files, f"--out={files / 'of'}-{name}", pairs=name) == 0
        assert losses(files / f"of-{name}") == losses(files / "run")
        assert not (files / f"of-{name}" / "records").exists()
    assert (files / "run" / "records" / "manifest.json").exists()


def test_records_are_written_once(files, monkeypatch, caplog):
    """Nor again for files that changed in nothing but the time."""
    manifest = files / "run" / "records" / "manifest.json"
    free = {"training.num_steps": 4}
    assert run(files, **free) == 0
    written = manifest.stat().st_mtime_ns
    assert run(files, **free) == 0
    assert manifest.stat().st_mtime_ns == written
    os.utime(files / "all.tsv", ns=(1, 1))
    assert run(files, **free) == 0
    assert "The run resumes with what it read before" in caplog.text
    lines = (files / "all.tsv").read_bytes().splitlines(keepends=True)
    (files / "all.tsv").write_bytes(b"".join(lines[:1] + lines[2:]))
    assert run(files, **free) == 2
    assert manifest.stat().st_mtime_ns == written
    # A run without a checkpoint has nothing to lose.
    shutil.rmtree(files / "run" / "checkpoints")
    (files / "run" / "history.jsonl").unlink()
    assert run(files, **free) == 0
    assert "is of other files: writing it again" in caplog.text
    assert manifest.stat().st_mtime_ns > written


def test_records_that_do_not_fit_are_refused(records, capsys):
    files = records
    assert run(files, f"--train={files}/all.tsv", pairs="texts") == 2
    message = error_of(capsys)
    assert message.startswith("train is one folder of records, or any number")
    assert f"Received 2, with {files}/texts among them" in message
    (files / "vocab.txt").write_text("\n".join(PIECES[:-1]) + "\n")
    assert run(files, pairs="ids") == 2
    message = error_of(capsys)
    assert message.startswith(f"{files}/ids: pre-tokenized records have the")
    assert "another vocabulary" in message
    # Records of texts fit every vocabulary.
    assert run(files, f"--out={files}/other", pairs="texts") == 0


def test_a_shard_cut_short_is_refused(records, capsys):
    path = records / "texts" / "shard-00003-of-00064.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    assert run(records, pairs="texts") == 2
    message = error_of(capsys)
    assert message.startswith(f"{path}: the manifest has this shard with")


@pytest.mark.parametrize("how", ["damaged", "cut", "missing", "replaced"])
def test_a_shard_that_breaks_ends_training(files, capsys, monkeypatch, how):
    """After the checks and after the first epoch, of 3 steps."""
    settings = {"training.num_steps": 9, "training.checkpoint_every": 2}
    folder = files / "run" / "records"
    read = dual_encoder_task.DualEncoderTask.batches

    def then_broken(self, steps, *arguments):
        whole = list(read(self, steps[:3], *arguments))
        path = folder / "shard-00003-of-00064.tfrecord"
        content = bytearray(path.read_bytes())
        if how == "replaced":
            content *= 2
        elif how == "damaged":
            content[-10] ^= 1
        path.write_bytes(content[:-1] if how == "cut" else content)
        if how == "missing":
            path.unlink()
        rest = read(self, steps[3:], *arguments)
        return tf.data.Dataset.from_generator(
            lambda: itertools.chain(whole, rest),
            output_signature=rest.element_spec,
        )

    monkeypatch.setattr(
        dual_encoder_task.DualEncoderTask, "batches", then_broken
    )
    assert run(files, **settings) == 2
    message = error_of(capsys)
    path = folder / "shard-00003-of-00064.tfrecord"
    assert message.startswith("The batch of step 3 could not be read: ")
    assert {
        "damaged": f"{path}:1: the record is damaged or truncated",
        "cut": f"{path}:1: the record is damaged or truncated",
        "missing": f"{path}: the file is missing.",
        "replaced": f"{path}: its content is not what the manifest has.",
    }[how] in message
    assert "The last good checkpoint is kept." in message
    last = tf.train.latest_checkpoint(files / "run" / "checkpoints" / "last")
    assert last.endswith("step-2")
