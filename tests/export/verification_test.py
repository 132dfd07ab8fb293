"""Damaged exports are found out, and what differs is named."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from export import (
    all_checks,
    content_checks,
    encode_model,
    export_folder,
    layout,
    preprocess_model,
    serving_checks,
    source_checks,
    text_model,
    tokenization_checks,
    vector_checks,
    verification,
    verify_program,
    warmup,
)
from export.subject import Subject
from export.verification import Difference, Skipped
from labse.bin import program
from labse.preprocessing.tokenizer import WordPieceTokenizer

ALL = list(dict(all_checks.checks.__globals__["_CHECKS"]))


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


def test_sound_export_passes_every_check_in_a_new_process(exported, capfd):
    assert program.run(verify_program, [str(exported)], "labse verify") == 0
    lines = capfd.readouterr().out.splitlines()
    passed = [line for line in lines if line.startswith("ok ")]
    assert [line[9:53].strip() for line in passed] == ALL
    assert lines[-1] == f"{len(ALL)} checks: {len(ALL)} ok, 0 FAILED, 0 skipped"
    # The vectors were compared, not only computed.
    differences = re.findall(r"largest difference (\S+)", "\n".join(lines))
    assert len(differences) > 10
    assert max(map(float, differences)) <= 1e-5


def test_damaged_weights_fail_in_a_new_process(copied, capfd):
    file = copied / "encode/variables/variables.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    # The checkpoint begins with the first variable in alphabetical order.
    content[40] ^= 0xFF
    file.write_bytes(content)
    assert verification.verify(str(copied)) == 1
    out = capfd.readouterr().out
    line = next(line for line in out.splitlines() if "files are" in line)
    assert line.startswith("FAILED")
    assert "variables.data-00000-of-00001 was changed (weights; damaged:" in out
    variable = re.search(r"damaged: ([\w/]+)", line).group(1)
    assert variable in Subject(copied).record["variables"]
    # What does not depend on it is still judged.
    assert re.search(r"ok +text: hub.load", out)
    assert re.search(r"FAILED +encode: every output +DataLossError", out)


def test_folder_that_is_no_export_is_refused(tmp_path, capsys):
    assert program.run(verify_program, [str(tmp_path)], "labse verify") == 2
    assert capsys.readouterr().err == (
        "labse verify: labse verify takes a folder that labse export wrote; "
        f"it holds export.json. Received: {tmp_path}.\n"
    )
    assert program.run(verify_program, [], "labse verify") == 2
    assert "takes one export folder. Received 0" in capsys.readouterr().err


def test_process_that_verifies_has_no_code_of_the_model():
    code = (
        "import sys; from export import all_checks; "
        "print([m for m in sys.modules if m.startswith(('labse.modeling', "
        "'labse.preprocessing', 'labse.checkpoints', 'official'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"


def test_another_weight_is_named(run, copied):
    loaded = export_folder.load_run(run)
    key = "transformer/layer_1/output/kernel"
    variable = next(v for v in loaded.encoder.variables if key in v.name)
    # One number among 512.
    variable.scatter_nd_update([[3, 5]], [float(variable[3, 5]) + 0.5])
    replace_model(
        copied,
        layout.ENCODE,
        encode_model.build(loaded.encoder, asset_of(copied)),
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
    vector_checks.text(Subject(copied))


def test_other_pooling_is_named(run, copied):
    loaded = export_folder.load_run(run)
    encoder = loaded.encoder
    encoder.config = dataclasses.replace(encoder.config, pooling="mean")
    replace_model(
        copied, layout.ENCODE, encode_model.build(encoder, asset_of(copied))
    )
    assert finding(content_checks.pooling, copied) == (
        "pooling: encode/ pools mean, the run cls"
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
        layout.TEXT,
        text_model.build(loaded.encoder, tokenizer, asset, 48),
    )
    replace_model(
        copied, layout.PREPROCESS, preprocess_model.build(tokenizer, asset, 48)
    )
    for check in (tokenization_checks.preprocess, tokenization_checks.text):
        message = finding(check, copied)
        assert message.startswith("input_word_ids: ")
        assert "first sentence 0 (en: 'The bus was late" in message
        assert message.endswith(
            "(casing: the export lower-cases, the run does not)"
        )
    assert "differ" in finding(vector_checks.text, copied)


def test_do_lower_case_is_named(run, copied):
    loaded = export_folder.load_run(run)
    root, signatures = encode_model.build(loaded.encoder, asset_of(copied))
    root.do_lower_case.assign(True)
    replace_model(copied, layout.ENCODE, (root, signatures))
    assert finding(content_checks.vocabulary, copied) == (
        "casing: encode/ has do_lower_case = True, the run's vocabulary is "
        "cased"
    )


def test_other_length_is_found(run, copied):
    loaded = export_folder.load_run(run)
    replace_model(
        copied,
        layout.PREPROCESS,
        preprocess_model.build(loaded.tokenizer, asset_of(copied), 40),
    )
    assert finding(tokenization_checks.preprocess, copied) == (
        "rows of 40 ids, the run's longest sentence has 48"
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
    warmup.write(copied / "text", requests)
    with pytest.raises(ValueError, match="Cannot feed value of shape"):
        serving_checks.warmup_requests(Subject(copied))


def test_lost_run_is_skipped_not_passed(subject, copied):
    other = Subject(copied)
    other.record["run"] = "/nowhere/run"
    with pytest.raises(Skipped, match="^/nowhere/run is gone"):
        source_checks.run(other)
    other.record.update(subject.record, checkpoint="checkpoints/last/ckpt-1")
    with pytest.raises(Skipped, match="went on training"):
        source_checks.run(other)


def test_other_golden_vectors_fail(subject, copied):
    other = Subject(copied)
    other.golden.embeddings[226, 3] += 2e-5
    with pytest.raises(Difference, match=r"1 of 227 .* sentence 226 \(markup"):
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
