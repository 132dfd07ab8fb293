"""Damaged exports are found out, and what differs is named."""

import ast
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import export
from export import export_folder, layout, warmup
from export.checks import (
    all_checks,
    content_checks,
    serving_checks,
    source_checks,
    tokenization_checks,
    vector_checks,
    verification,
)
from export.checks.outcome import Difference, Skipped
from export.checks.subject import Subject, differences
from export.models import encode_model, preprocess_model
from labse.bin import verify
from labse.bin.flags import program
from labse.preprocessing.tokenizer import WordPieceTokenizer

ALL = [name for name, _ in all_checks.CHECKS]


def replace_model(folder, name: str, root_and_signatures) -> None:
    """Puts another SavedModel in the place of the exported one."""
    root, signatures = root_and_signatures
    shutil.rmtree(folder / name / "variables")
    tf.saved_model.save(root, str(folder / name), signatures=signatures)


def asset_of(folder) -> str:
    return str(folder / "preprocess" / layout.VOCABULARY_ASSET)


def finding(check, folder) -> str:
    """What `check` says of a damaged folder."""
    with pytest.raises(Difference) as difference:
        check(Subject(folder))
    return str(difference.value)


def test_sound_export_passes_every_check_in_a_new_process(
    exported, capfd, monkeypatch
):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    assert program.run(verify, [str(exported)], "labse verify") == 0
    out, error = capfd.readouterr()
    assert error == ""
    lines = out.splitlines()
    passed = [line for line in lines if line.startswith("ok ")]
    assert [line[9:53].strip() for line in passed] == ALL
    assert lines[-1] == f"{len(ALL)} checks: {len(ALL)} ok, 0 FAILED, 0 skipped"
    # The vectors were compared, not only computed.
    differences = re.findall(r"largest difference (\S+)", "\n".join(lines))
    assert len(differences) > 10
    assert max(map(float, differences)) <= 1e-5


def test_export_without_graphs_fails_in_a_new_process(copied, capfd):
    for model in layout.MODELS:
        (copied / model / "saved_model.pb").unlink()
    assert verification.verify(str(copied)) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("FAILED   files are those that were exported")
    assert "encode/saved_model.pb is missing" in lines[0]
    # The run needs no SavedModel.
    assert [line for line in lines[1:-1] if not line.startswith("FAILED")] == [
        line for line in lines if "the run itself" in line
    ]
    assert (
        lines[-1]
        == f"{len(ALL)} checks: 1 ok, {len(ALL) - 1} FAILED, 0 skipped"
    )


@pytest.mark.parametrize(
    ("level", "shown"), [("3", ["E0000", "plain"]), ("0", None)]
)
def test_advice_of_the_new_process_is_not_shown(
    copied, monkeypatch, capfd, level, shown
):
    """What `TF_CPP_MIN_LOG_LEVEL` hides, Abseil logs all the same."""
    lines = [
        "WARNING: All log messages before absl::InitializeLog() is called are",
        "W0000 00:00:1795828753.003028   10167 loop_optimizer.cc:934] Skipping",
        "I0000 00:00:1795828763.326473   10167 mlir_pass.cc:437] not enabled",
        "E0000 00:00:1795828763.326473   10167 cuda.cc:1] failed",
        "plain words of a traceback",
    ]
    code = f"import sys; sys.stderr.write({chr(10).join(lines)!r}); sys.exit(1)"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    real = subprocess.Popen

    def popen(command, **options):
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert verification.verify(str(copied)) == 1
    found = capfd.readouterr().err.splitlines()
    assert [line.split()[0] for line in found] == (
        shown or [line.split()[0] for line in lines]
    )


def test_damaged_weight_is_named(copied):
    file = copied / "encode/variables/variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    # The table of pieces is more than half of the tiny encoder.
    assert finding(content_checks.files, copied) == (
        "encode/variables/variables.data-00000-of-00001 was changed (weights; "
        "damaged: word_embeddings/embeddings)"
    )
    with pytest.raises(tf.errors.DataLossError, match="Checksum"):
        content_checks.weights(Subject(copied))


def test_verifying_imports_no_code_of_the_model():
    seen, queue = (
        set(),
        ["export.checks.verification", "export.checks.all_checks"],
    )
    while queue:
        name = queue.pop()
        if name in seen or not name.startswith("export"):
            seen.add(name)
            continue
        seen.add(name)
        queue += imports_at_the_top(name)
    ours = {name for name in seen if name.startswith("labse")}
    assert ours == {"labse.errors"}
    assert "export.checks.vector_checks" in seen


def imports_at_the_top(module: str) -> list[str]:
    """The modules that a module of `export` imports when it is imported."""
    root = pathlib.Path(export.__file__).parents[1]
    names = []
    file = root / f"{module.replace('.', '/')}.py"
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = root / node.module.replace(".", "/")
            names += (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if folder.is_dir()
                else [node.module]
            )
    return names


def test_folder_that_is_no_export_is_refused(tmp_path, capsys):
    assert program.run(verify, [str(tmp_path)], "labse verify") == 2
    assert capsys.readouterr().err == (
        f"labse verify: An export folder has a file export.json. {tmp_path} "
        "has none. Pass a folder that labse export wrote.\n"
    )
    assert program.run(verify, [], "labse verify") == 2
    assert "takes one export folder. Received 0" in capsys.readouterr().err


def test_another_weight_is_named(run, copied):
    loaded = export_folder.load_run(run)
    key = "transformer/layer_1/output/kernel"
    variable = next(v for v in loaded.encoder.variables if key in v.name)
    # One number among 512.
    variable.scatter_nd_update([[3, 5]], [float(variable[3, 5]) + 0.5])
    replace_model(
        copied,
        layout.ENCODE,
        encode_model.build_encode_model(loaded.encoder, asset_of(copied)),
    )
    assert finding(content_checks.weights, copied) == (
        f"encode/: 1 of 39 variables are not the run's: {key}"
    )
    message = finding(vector_checks.outputs, copied)
    assert re.match(
        r"default|embedding: 7 of 7 sentences differ from the run's vectors, "
        r"most sentence \d \((en|de|fr): '.*'\) by 0\.\d+ \(allowed 1e-05\)",
        message,
    )
    # `text` was not touched.
    tokenization_checks.text(Subject(copied))


def test_other_pooling_is_named(run, copied):
    loaded = export_folder.load_run(run)
    encoder = loaded.encoder
    encoder.config = dataclasses.replace(encoder.config, pooling="mean")
    replace_model(
        copied,
        layout.ENCODE,
        encode_model.build_encode_model(encoder, asset_of(copied)),
    )
    assert finding(content_checks.pooling, copied) == (
        "pooling: encode/ has mean, the run cls"
    )
    assert "differ from the run's vectors" in finding(
        vector_checks.padding, copied
    )
    # The weights are what they were.
    content_checks.weights(Subject(copied))


class LowerCasing(WordPieceTokenizer):
    """The tokenizer of an uncased model."""

    def normalize(self, texts):
        return super().normalize(tf.strings.lower(texts, "utf-8"))


def test_other_casing_is_named(run, copied):
    loaded = export_folder.load_run(run)
    tokenizer = LowerCasing(loaded.tokenizer.vocabulary)
    asset = asset_of(copied)
    replace_model(
        copied,
        layout.PREPROCESS,
        preprocess_model.build_preprocess_model(tokenizer, asset, 48),
    )
    message = finding(tokenization_checks.preprocess, copied)
    assert message.startswith("input_word_ids: ")
    assert "first sentence 0 (en: 'The bus was late" in message
    assert message.endswith(
        "(casing: the export lower-cases, the run does not)"
    )
    assert "differ" in finding(vector_checks.preprocess_encode, copied)


def test_do_lower_case_is_named(run, copied):
    loaded = export_folder.load_run(run)
    root, signatures = encode_model.build_encode_model(
        loaded.encoder, asset_of(copied)
    )
    root.do_lower_case.assign(True)
    replace_model(copied, layout.ENCODE, (root, signatures))
    assert finding(content_checks.vocabulary, copied) == (
        "casing: encode/ has do_lower_case = True, the run's vocabulary is "
        "cased"
    )


def test_other_length_is_found(subject, copied):
    other = Subject(copied)
    other.golden.ids[0].extend([6] * 50)
    with pytest.raises(Difference) as difference:
        tokenization_checks.preprocess(other)
    wanted = len(other.golden.ids[0])
    assert str(difference.value) == (
        f"rows of 48 ids, the run's longest sentence has {wanted}"
    )


def test_edited_vocabulary_is_named(copied):
    asset = copied / "encode" / layout.VOCABULARY_ASSET
    # Line 8 of the tiny vocabulary.
    asset.write_bytes(asset.read_bytes().replace(b"\nbus\n", b"\nBus\n"))
    assert finding(content_checks.files, copied) == (
        "encode/assets/cased_vocab.txt was changed (vocabulary; line 8: "
        "'Bus', 'bus' in text/)"
    )
    assert finding(content_checks.vocabulary, copied) == (
        "vocabulary: the asset of encode is not the run's"
    )


def test_missing_and_added_files_are_named(copied):
    (copied / "README.md").unlink()
    (copied / "text" / "note").write_text("x")
    assert finding(content_checks.files, copied) == (
        "README.md is missing; text/note was added"
    )


def test_warmup_request_that_does_not_fit_fails(copied):
    requests = [("serving_default", {"text": np.zeros([2, 2], np.int32)})]
    shutil.rmtree(copied / "text" / "assets.extra")
    warmup.write_requests(copied / "text", requests)
    with pytest.raises(ValueError, match="Cannot feed value of shape"):
        serving_checks.warmup_requests(Subject(copied))


def test_lost_run_is_skipped_not_passed(subject, copied):
    other = Subject(copied)
    other.record["run"] = "/nowhere/run"
    with pytest.raises(Skipped, match="^/nowhere/run does not exist"):
        source_checks.run(other)
    other.record.update(subject.record, checkpoint="checkpoints/last/ckpt-1")
    with pytest.raises(Skipped, match="was trained further"):
        source_checks.run(other)


def test_other_golden_vectors_fail(subject, copied):
    other = Subject(copied)
    other.golden.embeddings[226, 3] += 2e-5
    with pytest.raises(Difference, match=r"1 of 1 .* sentence 226 \(markup"):
        vector_checks.text(other)


def test_not_a_number_is_a_difference(subject):
    rows = [0, 1]
    vectors = subject.golden.embeddings[rows].copy()
    assert subject.compare(vectors, rows) == 0
    vectors[1, 2] = np.nan
    with pytest.raises(Difference, match="most sentence 1 .* by inf"):
        subject.compare(vectors, rows)
    with pytest.raises(Difference, match=r"shape \(1, 16\), expected \(2, 16"):
        subject.compare(vectors[:1], rows)


def test_every_check_runs_whatever_the_others_found(capsys):
    def fail():
        raise Difference("x differs")

    def skip():
        raise Skipped("no run")

    def crash():
        raise KeyError("default")

    checks = [("a", fail), ("b", skip), ("c", crash), ("d", lambda: "fine")]
    assert verification.run_checks(iter(checks)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0:2] for line in lines[:4]] == [
        ["FAILED", "a"],
        ["skipped", "b"],
        ["FAILED", "c"],
        ["ok", "d"],
    ]
    assert lines[2].endswith("KeyError: 'default'")
    assert lines[4] == "4 checks: 1 ok, 2 FAILED, 1 skipped"
    assert verification.run_checks(iter(checks[1:2])) == 0


def test_differences_are_relative_to_large_numbers_only():
    expected = np.array([[0.5, -0.25], [0.0, -200.0]], np.float32)
    actual = expected + np.array([[0.25, 0.0], [0.0, 2.0]], np.float32)
    # 0.25 of at most 1; 2 of 200.
    np.testing.assert_allclose(differences(actual, expected), [0.25, 0.01])
