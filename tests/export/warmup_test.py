import numpy as np
import tensorflow as tf

from export import warmup


def test_record_has_the_bytes_that_a_server_reads():
    found = warmup.serialize("s", {"text": np.array([b"ab"], object)})
    # TensorProto: dtype (1) = DT_STRING (7); tensor_shape (2) { dim (2)
    # { size (1) = 1 } }; string_val (8) = "ab".
    tensor = b"\x08\x07" + b"\x12\x04\x12\x02\x08\x01" + b"\x42\x02ab"
    # map entry: key (1), value (2).
    entry = b"\x0a\x04text" + b"\x12" + bytes([len(tensor)]) + tensor
    # PredictRequest: model_spec (1) { signature_name (3) = "s" }, inputs (2).
    request = b"\x0a\x03\x1a\x01s" + b"\x12" + bytes([len(entry)]) + entry
    log = b"\x0a" + bytes([len(request)]) + request  # PredictLog.request (1)
    # PredictionLog.predict_log (6).
    assert found == b"\x32" + bytes([len(log)]) + log


def test_parse_gives_back_what_was_serialised():
    ids = np.array([[3, 6, 4], [3, 4, 0]], np.int32)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.int32)
    given = {"input_word_ids": ids, "input_mask": mask}
    signature, found = warmup.parse(warmup.serialize("encode", given))
    assert signature == "encode"
    assert set(found) == set(given)
    for name, value in given.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.int32


def test_files_hold_every_signature_and_batch_size(exported):
    path = exported / "text/assets.extra/tf_serving_warmup_requests"
    found = [
        (signature, len(next(iter(inputs.values()))))
        for signature, inputs in warmup.read_requests(path)
    ]
    assert sorted(found) == [
        (signature, size)
        for signature in ("encode", "preprocess", "serving_default")
        for size in (1, 8, 32)
    ]
    path = exported / "encode/assets.extra/tf_serving_warmup_requests"
    assert [signature for signature, _ in warmup.read_requests(path)] == [
        "serving_default"
    ] * 3
    # A server refuses more than 1,000 records.
    count = sum(1 for _ in tf.data.TFRecordDataset(str(path)))
    assert count == 3
