"""Runs of `labse train` as processes, killed and started again for real."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

WORDS = "rot blau grün Haus Baum Hund Katze läuft schläft singt"
WORDS = WORDS.split(" ")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
PIECES += [word.upper() for word in WORDS]
SMALL = {
    "encoder.num_layers": 1,
    "encoder.num_heads": 2,
    "encoder.hidden_size": 16,
    "encoder.intermediate_size": 32,
    "encoder.max_positions": 16,
    "tokenizer.max_length": 8,
    "data.length_buckets": "[4,8]",
    "data.length_chunks": "2",
    "training.global_batch_size": 8,
    "training.num_steps": 60,
    "training.warmup_steps": 5,
    "training.log_every": 5,
    "training.checkpoint_every": 5,
    "training.validate_every": 20,
    "data.language_exponent": 1.0,
    "training.learning_rate": 0.01,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    choose = random.Random(0)
    rows = ["source\ttarget\tsource_language\ttarget_language"]
    for _ in range(100):
        words = choose.choices(WORDS, k=choose.randint(1, 5))
        target = " ".join(word.upper() for word in words)
        rows.append(f"{' '.join(words)}\t{target}\tde\tde-UPPER")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


def command(files, out, **overrides):
    overrides = {**SMALL, **overrides}
    return [
        sys.executable,
        "-m",
        "labse.bin.cli",
        "train",
        "--config=labse_tiny",
        f"--train={files / 'pairs.tsv'}",
        f"--validation={files / 'pairs.tsv'}",
        f"--vocab={files / 'vocab.txt'}",
        f"--out={out}",
        *(f"--override={key}={value}" for key, value in overrides.items()),
    ]


def run(files, out, environment=None, **overrides):
    return subprocess.run(
        command(files, out, **overrides),
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def history_steps(out):
    try:
        lines = (out / "history.jsonl").read_text().splitlines()
        return [json.loads(line)["step"] for line in lines]
    except (FileNotFoundError, ValueError):
        return []  # Not there yet, or half a line.


def stop_after(files, out, step, signal_number, **overrides):
    """Starts the run and sends a signal once it has logged `step`."""
    process = subprocess.Popen(
        command(files, out, **overrides),
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and max(history_steps(out), default=0) < step:
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, errors = process.communicate()
    return process.returncode, errors


def last_weights(out):
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    reader = tf.train.load_checkpoint(prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    result = run(files, out)
    assert result.returncode == 0, result.stderr
    return out


def test_a_run_leaves_what_load_needs_and_has_learned(whole):
    assert (whole / "config.yaml").is_file()
    assert (whole / "vocab.txt").is_file()
    assert list((whole / "logs").iterdir())
    records = [
        json.loads(line)
        for line in (whole / "history.jsonl").read_text().splitlines()
    ]
    losses = [record["loss"] for record in records if "loss" in record]
    assert losses[-1] < losses[0] / 2
    validations = [r["validation"] for r in records if "validation" in r]
    assert [r["step"] for r in records if "validation" in r] == [20, 40, 60]
    assert validations[-1]["languages"]["de-de-UPPER"] > 0.5
    best = json.loads((whole / "checkpoints" / "best.json").read_text())
    assert best["accuracy"] == max(v["accuracy"] for v in validations)
    assert records[-1]["step"] == 60
    # 100 pairs of few words, some of them twice, in batches of 8.
    assert 6 < records[0]["negatives"] <= 7


def test_killed_and_stopped_it_ends_with_the_same_bits(files, whole, tmp_path):
    """Twice SIGKILL, once SIGTERM, each followed by the same command."""
    out = tmp_path / "interrupted"
    code, errors = stop_after(files, out, 12, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "Resuming from step" not in errors
    # Five steps more than were ever logged, so that it has surely begun.
    more = max(history_steps(out)) + 5
    code, errors = stop_after(files, out, more, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "Resuming from step" in errors
    more = max(history_steps(out)) + 5
    assert more < 60
    code, errors = stop_after(files, out, more, signal.SIGTERM)
    assert code == 143
    assert "Traceback" not in errors
    assert "Resuming from step" in errors
    stopped_at = int(re.search(r"saved a checkpoint at step (\d+)", errors)[1])
    assert more <= stopped_at < 60
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    assert prefix.endswith(f"step-{stopped_at}")
    result = run(files, out)
    assert result.returncode == 0, result.stderr
    assert f"Resuming from step {stopped_at}." in result.stderr
    expected, weights = last_weights(whole), last_weights(out)
    assert expected.keys() == weights.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    # SIGTERM may have logged one step more; the others are the whole run's.
    logged = history_steps(out)
    assert logged == sorted(logged)
    assert set(history_steps(whole)) <= set(logged)
    assert set(logged) - set(history_steps(whole)) <= {stopped_at}


def test_ctrl_c_saves_and_the_run_resumes(files, whole, tmp_path):
    """Resumed with other values of what changes no weight."""
    out = tmp_path / "interrupted"
    # Soon, since on a busy machine the signal comes late.
    seldom = {"training.checkpoint_every": 60, "training.log_every": 2}
    code, errors = stop_after(files, out, 2, signal.SIGINT, **seldom)
    assert code == 130
    assert "Traceback" not in errors
    stopped_at = int(re.search(r"saved a checkpoint at step (\d+)", errors)[1])
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    assert prefix.endswith(f"step-{stopped_at}")
    free = {
        "training.log_every": 1,
        "training.checkpoint_every": 30,
        "training.validate_every": 60,
        "training.early_stopping_patience": 3,
        "data.max_malformed_share": 0.5,
    }
    result = run(files, out, **free)
    assert result.returncode == 0, result.stderr
    assert f"Resuming from step {stopped_at}." in result.stderr
    expected, weights = last_weights(whole), last_weights(out)
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    assert set(range(stopped_at + 1, 61)) <= set(history_steps(out))
    saved = (out / "config.yaml").read_text()
    assert "log_every: 1\n" in saved


def test_early_stopping(files, tmp_path):
    """A run that learns nothing is never better than at first."""
    out = tmp_path / "early"
    stuck = {
        "training.learning_rate": 1e-30,
        "training.validate_every": 5,
        "training.checkpoint_every": 60,
        "training.early_stopping_patience": 2,
    }
    result = run(files, out, **stuck)
    assert result.returncode == 0, result.stderr
    # The best is that of step 5; 10 and 15 were no better.
    assert (
        "Stopping early at step 15: the last 2 validations were no better than "
        "that of step 5, accuracy "
    ) in result.stderr
    assert (
        f"Finished at step 15. labse.load('{out}') opens the checkpoint with "
        "the best validation accuracy, that of step 5: "
    ) in result.stderr
    assert max(history_steps(out)) == 15
    assert "step-15" in tf.train.latest_checkpoint(out / "checkpoints" / "last")
    # Started again it stays; with more patience it resumes.
    again = run(files, out, **stuck)
    assert again.returncode == 0, again.stderr
    assert "Stopping early at step 15" in again.stderr
    assert max(history_steps(out)) == 15
    longer = {**stuck, "training.early_stopping_patience": 4}
    assert run(files, out, **longer).returncode == 0
    assert max(history_steps(out)) == 25


def test_another_seed_gives_other_weights(files, whole, tmp_path):
    """The negative control of bit-equality."""
    result = run(files, tmp_path / "seed", **{"training.seed": 1})
    assert result.returncode == 0, result.stderr
    weights = last_weights(tmp_path / "seed")
    assert any(
        (weights[name] != value).any()
        for name, value in last_weights(whole).items()
    )


def test_a_finished_run_started_again_stays(files, whole):
    before = last_weights(whole)
    result = run(files, whole)
    assert result.returncode == 0, result.stderr
    for name, value in before.items():
        np.testing.assert_array_equal(last_weights(whole)[name], value)


def test_a_run_with_another_configuration_is_refused(files, whole):
    result = run(files, whole, **{"loss.margin": 0.1})
    assert result.returncode == 2
    assert "another configuration" in result.stderr
    assert "loss.margin: 0.3 -> 0.1" in result.stderr
    assert f"init={whole} and another run folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    files, tmp_path
):
    out = tmp_path / "diverged"
    result = run(
        files,
        out,
        **{"training.learning_rate": 1e38, "training.gradient_clip_norm": 0},
    )
    assert result.returncode == 2
    assert "was not finite at step" in result.stderr
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    if prefix:
        for name, value in last_weights(out).items():
            assert np.all(np.isfinite(value)), name


def test_two_workers_end_as_one(files, whole, tmp_path):
    """MultiWorkerMirroredStrategy, two processes of this machine."""
    out = tmp_path / "workers"
    ports = [f"localhost:{20000 + os.getpid() % 20000 + i}" for i in range(2)]
    processes = []
    for index in range(2):
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": ports},
                    "task": {"type": "worker", "index": index},
                }
            ),
        }
        processes.append(
            subprocess.Popen(
                [
                    *command(
                        files,
                        out,
                        **{
                            "encoder.dropout": 0,
                            "encoder.attention_dropout": 0,
                            "training.num_steps": 10,
                        },
                    ),
                    "--distribution=multi_worker",
                ],
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [p.returncode for p in processes] == [0, 0], "\n".join(errors)
    alone = run(
        files,
        tmp_path / "alone",
        **{
            "encoder.dropout": 0,
            "encoder.attention_dropout": 0,
            "training.num_steps": 10,
        },
    )
    assert alone.returncode == 0, alone.stderr
    expected = last_weights(tmp_path / "alone")
    weights = last_weights(out)
    for name, value in expected.items():
        np.testing.assert_allclose(weights[name], value, atol=1e-5)


def test_a_run_that_would_go_on_with_other_pairs_is_refused(
    files, whole, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    changed = tmp_path / "changed"
    shutil.copytree(files, changed)
    with open(changed / "pairs.tsv", "a") as file:
        file.write("rot\tROT\tde\tde-UPPER\n")
    result = run(changed, copy)
    assert result.returncode == 2
    assert "not those that" in result.stderr


def test_init_starts_from_another_runs_encoder(files, whole, tmp_path):
    out = tmp_path / "continued"
    steps = {"training.num_steps": 6, "training.warmup_steps": 0}
    process = subprocess.run(
        [*command(files, out, **steps), f"--init={whole}"],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr

    def first_loss(folder):
        line = (folder / "history.jsonl").read_text().splitlines()[0]
        return json.loads(line)["loss"]

    assert first_loss(out) < first_loss(whole) / 2


def test_steps_per_execution_change_no_bit(files, whole, tmp_path):
    out = tmp_path / "executions"
    result = run(files, out, **{"training.steps_per_execution": 5})
    assert result.returncode == 0, result.stderr
    for name, value in last_weights(whole).items():
        np.testing.assert_array_equal(last_weights(out)[name], value)
    assert history_steps(out) == history_steps(whole)


def test_training_shorter_than_the_model_is_asked(files, tmp_path):
    """`data.max_length` cuts the batches as `tokenizer.max_length` does."""
    few = {
        "training.num_steps": 10,
        "training.validate_every": 10,
        "data.length_buckets": "[4,6]",
    }
    asked = {"tokenizer.max_length": 6}, {"data.max_length": 6}
    for name, lengths in zip("ab", asked, strict=True):
        done = run(files, tmp_path / name, **few, **lengths)
        assert done.returncode == 0, done.stderr
    cut, shorter = (last_weights(tmp_path / name) for name in "ab")
    assert cut.keys() == shorter.keys()
    for name, value in cut.items():
        np.testing.assert_array_equal(value, shorter[name], err_msg=name)
    lines = (tmp_path / "b" / "history.jsonl").read_text().splitlines()
    # Five words and [CLS] and [SEP] are more than six.
    assert json.loads(lines[0])["truncated"] > 0


def test_pairs_are_drawn_by_the_weights_of_their_corpora(files, tmp_path):
    """A quarter of 50 pairs that are cut and 50 that are not: 1 in 5 is cut."""
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    rows = ["source\ttarget\tsource_language\ttarget_language\tcorpus"]
    for number in range(50):
        text = f"{WORDS[number % 10]} {WORDS[number // 10]}"
        rows.append(f"{text}\t{text.upper()}\tde\tde-UPPER\tshort")
        text = " ".join([text] * 4)
        rows.append(f"{text}\t{text.upper()}\tde\tde-UPPER\tlong")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")

    unknown = run(
        folder, tmp_path / "no", **{"data.corpus_weights": "{lang: 0.25}"}
    )
    assert unknown.returncode == 2
    assert "Received: lang. Found: long, short." in unknown.stderr

    settings = {
        "training.num_steps": 50,
        "training.validate_every": 50,
        "data.corpus_weights": "{long: 0.25}",
    }
    done = run(folder, tmp_path / "out", **settings)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out" / "history.jsonl").read_text().splitlines()
    records = map(json.loads, lines)
    cut = [each["truncated"] for each in records if "truncated" in each]
    assert np.mean(cut) == pytest.approx(0.2, abs=1e-6)  # Four epochs of 100.
