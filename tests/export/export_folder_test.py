import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from export import export_folder, golden, layout, record
from labse.bin import export
from labse.bin.flags import program
from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.preprocessing.vocabulary import Vocabulary


def test_folder_holds_everything_and_nothing_else(exported):
    files = {
        path.relative_to(exported).as_posix()
        for path in exported.rglob("*")
        if path.is_file()
    }
    saved_model = {
        "saved_model.pb",
        "fingerprint.pb",
        "assets/cased_vocab.txt",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
    }
    warmup = "assets.extra/tf_serving_warmup_requests"
    expected = {f"{m}/{f}" for m in layout.MODELS for f in saved_model}
    expected |= {f"text/{warmup}", f"encode/{warmup}"}
    expected |= {"README.md", "export.json", "ops.json"}
    expected |= {"golden.json", "golden.npz"}
    assert files == expected
    # The temporary name is gone.
    assert [path.name for path in exported.parent.iterdir()] == ["tiny"]


def test_record_names_the_source_and_fingerprints_the_rest(exported, run):
    saved = record.read_record(exported)
    assert saved["run"] == str(pathlib.Path(run).resolve())
    assert saved["checkpoint"] == "checkpoints/last/ckpt-700"
    assert saved["config"]["encoder"]["pooling"] == "cls"
    assert "export.json" not in saved["files"]
    assert saved["files"] == record.fingerprints(exported)
    table = saved["variables"]["word_embeddings/embeddings"]
    assert table["shape"] == [saved["config"]["encoder"]["vocab_size"], 16]


def test_vocabulary_asset_has_the_pieces_of_the_run(exported, run):
    expected = Vocabulary.read(pathlib.Path(run) / "vocab.txt").pieces
    for model in layout.MODELS:
        asset = exported / model / layout.VOCABULARY_ASSET
        assert Vocabulary.read(asset).pieces == expected


def test_golden_vectors_are_those_of_the_python_encoder(exported, run):
    encoder, config, vocabulary = run_folder.load_encoder(run)
    made = golden.read_golden(exported)
    row = made.names.index("de")
    ids = tf.constant([made.ids[row]])
    assert made.ids[row][0] == vocabulary.cls_id
    assert made.ids[row][-1] == vocabulary.sep_id
    alone = encoder(
        {
            "input_word_ids": ids,
            "input_mask": tf.ones_like(ids),
            "input_type_ids": tf.zeros_like(ids),
        }
    )
    np.testing.assert_allclose(made.embeddings[row], alone[0], atol=1e-6)
    norm = np.linalg.norm(made.pooled[row])
    np.testing.assert_allclose(
        made.embeddings[row], made.pooled[row] / norm, atol=1e-6
    )
    assert made.truncated[made.names.index("truncated")]
    assert len(made.ids[made.names.index("truncated")]) == 48
    assert made.ids[made.names.index("empty text")] == [
        vocabulary.cls_id,
        vocabulary.sep_id,
    ]


def test_golden_sentences_are_many_and_different(exported):
    texts, names = golden.read_sentences()
    assert len(texts) == len(set(texts)) > 200
    assert len({name for name in names if len(name) <= 3}) > 60
    vectors = golden.read_golden(exported).embeddings
    # Vectors that were all alike would prove nothing.
    distance = np.abs(vectors[:, None] - vectors[None]).max(axis=-1)
    ids = [tuple(row) for row in golden.read_golden(exported).ids]
    different = np.array([[one != other for other in ids] for one in ids])
    assert distance[different].min() > 1e-3


def test_mixed_precision_run_is_exported_in_float32(make_run):
    loaded = export_folder.load_run(make_run(compute_dtype="mixed_bfloat16"))
    assert loaded.config.training.compute_dtype == "mixed_bfloat16"
    assert loaded.encoder.transformer.compute_dtype == "float32"
    assert {v.dtype for v in loaded.encoder.variables} == {tf.float32}


def test_existing_folder_is_refused(run, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError) as error:
        export_folder.export_run(run, str(tmp_path))
    assert str(error.value) == (
        "out must be a new folder; nothing is written over. "
        f"{tmp_path} exists. Choose another name, or remove it first."
    )
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_failed_export_leaves_nothing(run, tmp_path, monkeypatch):
    def write_something(path, root, signatures):
        pathlib.Path(path).mkdir()

    def fail(*arguments):
        raise RuntimeError("disk is full")

    monkeypatch.setattr(export_folder, "_write_evidence", fail)
    monkeypatch.setattr(export_folder, "_save", write_something)
    with pytest.raises(RuntimeError, match="disk is full"):
        export_folder.export_run(run, str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_program_names_a_missing_flag(capsys):
    assert program.run(export, ["--run=x"], "labse export") == 2
    error = capsys.readouterr().err
    assert "--out" in error and "--run" not in error


def test_program_refuses_what_is_no_run(tmp_path, capsys):
    arguments = [f"--run={tmp_path}", f"--out={tmp_path / 'out'}"]
    assert program.run(export, arguments, "labse export") == 2
    assert "A run folder holds config.yaml." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_operations_name_those_of_tensorflow_text(exported):
    operations = json.loads((exported / "ops.json").read_text())
    text = ["FastWordpieceTokenizeWithOffsets"]
    assert operations["text"]["tensorflow_text"] == text
    assert operations["preprocess"]["tensorflow_text"] == text
    assert operations["encode"]["tensorflow_text"] == []
    # Inside functions, not in the graph itself.
    assert "MatMul" in operations["encode"]["tensorflow"]
    # Nothing that needs a compiler in the server.
    assert not any("Xla" in name for name in operations["text"]["tensorflow"])


def test_a_remote_run_is_loaded(remote_run, small_run):
    run = export_folder.load_run(str(remote_run))
    assert run.checkpoint == "checkpoints/last/ckpt-0"
    assert run.name == str(remote_run)
    assert run.folder.name == remote_run.name
    expected = export_folder.load_run(str(small_run)).encoder
    for one, other in zip(
        run.encoder.variables, expected.variables, strict=True
    ):
        np.testing.assert_array_equal(one, other)
