"""`encode` in TensorFlow Lite, with nothing but its built-in operations."""

import numpy as np
import pytest
import tensorflow as tf

from export import export_folder, golden

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module", params=["cls", "mean"])
def folder(request, exported, make_run, tmp_path_factory):
    if request.param == "cls":
        return exported
    out = tmp_path_factory.mktemp("export") / request.param
    return export_folder.export_run(make_run(request.param), str(out))


@pytest.fixture(scope="module")
def content(folder):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "encode"))
    assert converter.target_spec.supported_ops == {
        tf.lite.OpsSet.TFLITE_BUILTINS
    }
    return converter.convert()


@pytest.mark.parametrize("names", [["de"], ["en", "de", "fr", "truncated"]])
def test_vectors_are_those_of_the_run(folder, content, names):
    rows = golden.read_golden(folder)
    numbers = [rows.names.index(name) for name in names]
    length = max(len(rows.ids[number]) for number in numbers)
    ids = np.zeros([len(names), length], np.int32)
    mask = np.zeros_like(ids)
    for row, number in enumerate(numbers):
        ids[row, : len(rows.ids[number])] = rows.ids[number]
        mask[row, : len(rows.ids[number])] = 1
    interpreter = tf.lite.Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    values = (ids, mask, np.zeros_like(ids))
    found = runner(**dict(zip(INPUTS, values, strict=True)))
    np.testing.assert_allclose(
        found["default"], rows.embeddings[numbers], atol=1e-5
    )
    assert found["sequence_output"].shape == (len(names), length, 16)
