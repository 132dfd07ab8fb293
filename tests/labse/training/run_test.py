"""Runs of `labse train`, to their end, in this process."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf


def test_a_run_leaves_what_load_needs_and_has_learned(whole_run, run_reader):
    assert (whole_run / "config.yaml").is_file()
    assert (whole_run / "vocab.txt").is_file()
    assert list((whole_run / "logs").iterdir())
    records = run_reader.history(whole_run)
    losses = [record["loss"] for record in records if "loss" in record]
    assert losses[-1] < losses[0] / 2
    validations = [r["validation"] for r in records if "validation" in r]
    assert [r["step"] for r in records if "validation" in r] == [20, 40, 60]
    assert validations[-1]["languages"]["de-de-UPPER"] > 0.5
    best = json.loads((whole_run / "checkpoints" / "best.json").read_text())
    assert best["accuracy"] == max(v["accuracy"] for v in validations)
    assert records[-1]["step"] == 60
    # 100 pairs of few words, some of them twice, in batches of 8.
    assert 6 < records[0]["negatives"] <= 7


def test_early_stopping(toy, train_here, run_reader, tmp_path):
    """A run that learns nothing is never better than at first."""
    out = tmp_path / "early"
    stuck = {
        "training.learning_rate": 1e-30,
        "training.validate_every": 5,
        "training.checkpoint_every": 60,
        "training.early_stopping_patience": 2,
    }
    result = train_here(toy, out, **stuck)
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
    assert max(run_reader.logged_steps(out)) == 15
    assert "step-15" in tf.train.latest_checkpoint(out / "checkpoints" / "last")
    # Started again it stays; with more patience it resumes.
    again = train_here(toy, out, **stuck)
    assert again.returncode == 0, again.stderr
    assert "Stopping early at step 15" in again.stderr
    assert max(run_reader.logged_steps(out)) == 15
    longer = {**stuck, "training.early_stopping_patience": 4}
    assert train_here(toy, out, **longer).returncode == 0
    assert max(run_reader.logged_steps(out)) == 25


def test_another_seed_gives_other_weights(
    toy, whole_run, train_here, run_reader, tmp_path
):
    """The negative control of bit-equality."""
    out = tmp_path / "seed"
    result = train_here(toy, out, **toy.buckets, **{"training.seed": 1})
    assert result.returncode == 0, result.stderr
    weights = run_reader.last_weights(out)
    assert any(
        (weights[name] != value).any()
        for name, value in run_reader.last_weights(whole_run).items()
    )


def test_a_finished_run_started_again_stays(
    toy, whole_run, train_here, run_reader
):
    before = run_reader.last_weights(whole_run)
    result = train_here(toy, whole_run, **toy.buckets)
    assert result.returncode == 0, result.stderr
    after = run_reader.last_weights(whole_run)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_a_run_with_another_configuration_is_refused(
    toy, whole_run, train_here
):
    result = train_here(toy, whole_run, **toy.buckets, **{"loss.margin": 0.1})
    assert result.returncode == 2
    assert "another configuration" in result.stderr
    assert "loss.margin: 0.3 -> 0.1" in result.stderr
    assert f"init={whole_run} and another run folder" in result.stderr


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    toy, train_here, run_reader, tmp_path
):
    out = tmp_path / "diverged"
    result = train_here(
        toy,
        out,
        **{"training.learning_rate": 1e38, "training.gradient_clip_norm": 0},
    )
    assert result.returncode == 2
    assert "was not finite at step" in result.stderr
    prefix = tf.train.latest_checkpoint(out / "checkpoints" / "last")
    if prefix:
        for name, value in run_reader.last_weights(out).items():
            assert np.all(np.isfinite(value)), name


def test_a_run_that_would_go_on_with_other_pairs_is_refused(
    toy, whole_run, train_here, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(whole_run, copy)
    changed = tmp_path / "changed"
    shutil.copytree(toy.folder, changed)
    with open(changed / "pairs.tsv", "a") as file:
        file.write("rot\tROT\tde\tde-UPPER\n")
    result = train_here(type(toy)(changed), copy, **toy.buckets)
    assert result.returncode == 2
    assert "not those that" in result.stderr


def test_init_starts_from_another_runs_encoder(
    toy, whole_run, train_here, run_reader, tmp_path
):
    out = tmp_path / "continued"
    steps = {"training.num_steps": 6, "training.warmup_steps": 0}
    result = train_here(toy, out, f"--init={whole_run}", **steps)
    assert result.returncode == 0, result.stderr

    def first_loss(folder):
        return run_reader.history(folder)[0]["loss"]

    assert first_loss(out) < first_loss(whole_run) / 2


def test_steps_per_execution_change_no_bit(
    toy, whole_run, train_here, run_reader, tmp_path
):
    out = tmp_path / "executions"
    five = {"training.steps_per_execution": 5}
    result = train_here(toy, out, **toy.buckets, **five)
    assert result.returncode == 0, result.stderr
    weights = run_reader.last_weights(out)
    for name, value in run_reader.last_weights(whole_run).items():
        np.testing.assert_array_equal(weights[name], value)
    assert run_reader.logged_steps(out) == run_reader.logged_steps(whole_run)


def test_training_shorter_than_the_model_is_asked(
    toy, train_here, run_reader, tmp_path
):
    """`data.max_length` cuts the batches as `tokenizer.max_length` does."""
    few = {
        "training.num_steps": 10,
        "training.validate_every": 10,
        "data.length_buckets": "[4,6]",
        "data.length_chunks": 2,
    }
    asked = {"tokenizer.max_length": 6}, {"data.max_length": 6}
    for name, lengths in zip("ab", asked, strict=True):
        done = train_here(toy, tmp_path / name, **few, **lengths)
        assert done.returncode == 0, done.stderr
    cut, shorter = (run_reader.last_weights(tmp_path / name) for name in "ab")
    assert cut.keys() == shorter.keys()
    for name, value in cut.items():
        np.testing.assert_array_equal(value, shorter[name], err_msg=name)
    # Five words and [CLS] and [SEP] are more than six.
    assert run_reader.history(tmp_path / "b")[0]["truncated"] > 0


def test_pairs_are_drawn_by_the_weights_of_their_corpora(
    toy, train_here, run_reader, tmp_path
):
    """A quarter of 50 pairs that are cut and 50 that are not: 1 in 5 is cut."""
    folder = tmp_path / "files"
    shutil.copytree(toy.folder, folder)
    rows = ["source\ttarget\tsource_language\ttarget_language\tcorpus"]
    for number in range(50):
        text = f"{toy.words[number % 10]} {toy.words[number // 10]}"
        rows.append(f"{text}\t{text.upper()}\tde\tde-UPPER\tshort")
        text = " ".join([text] * 4)
        rows.append(f"{text}\t{text.upper()}\tde\tde-UPPER\tlong")
    (folder / "pairs.tsv").write_text("\n".join(rows) + "\n")
    corpora = type(toy)(folder)

    unknown = train_here(
        corpora, tmp_path / "no", **{"data.corpus_weights": "{lang: 0.25}"}
    )
    assert unknown.returncode == 2
    assert "Received: lang. Found: long, short." in unknown.stderr

    settings = {
        "training.num_steps": 50,
        "training.validate_every": 50,
        "data.corpus_weights": "{long: 0.25}",
    }
    done = train_here(corpora, tmp_path / "out", **settings)
    assert done.returncode == 0, done.stderr
    records = run_reader.history(tmp_path / "out")
    cut = [each["truncated"] for each in records if "truncated" in each]
    assert np.mean(cut) == pytest.approx(0.2, abs=1e-6)  # Four epochs of 100.
