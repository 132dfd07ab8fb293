"""Arguments of sentence-transformers' encode."""

import inspect

import numpy as np
import pytest

import labse
from labse.errors import InputError
from labse.inference import peer_arguments


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run)


DONE_ANYWAY = {
    "normalize_embeddings": True,
    "convert_to_numpy": True,
    "convert_to_tensor": False,
    "device": "cpu",
    "prompt": None,
    "prompt_name": None,
    "output_value": "sentence_embedding",
    "precision": "float32",
    "show_progress_bar": None,
    "truncate_dim": 32,
    "pool": None,
    "chunk_size": None,
    "batch_size": np.int64(32),
}


def test_what_is_done_anyway_may_be_asked_for(model):
    expected = model.encode(["hello", "the"])
    for name, value in DONE_ANYWAY.items():
        vectors = model.encode(["hello", "the"], **{name: value})
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
    vectors = model.encode(["hello", "the"], **DONE_ANYWAY)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"convert_to_numpy": np.True_, "convert_to_tensor": np.False_},
        {"truncate_dim": np.int64(32)},
        {"truncate_dim": np.uint8(32), "precision": np.str_("float32")},
    ],
)
def test_scalars_of_numpy_are_their_values(model, arguments):
    assert model.encode("hello", **arguments).shape == (32,)


def test_the_peer_s_other_names(model):
    for method in (model.encode_query, model.encode_document):
        np.testing.assert_array_equal(
            method(["hello"], 8, convert_to_numpy=True), model.encode(["hello"])
        )
        assert method(sentences="hello").shape == (32,)
        with pytest.raises(InputError, match="prompt"):
            method("hello", prompt="query: ")
    assert model.get_sentence_embedding_dimension() == 32
    assert model.get_embedding_dimension() == 32


def test_the_peer_has_no_other_arguments():
    peer = pytest.importorskip("sentence_transformers").SentenceTransformer
    theirs = set(inspect.signature(peer.encode).parameters)
    theirs -= {"self", "inputs", "sentences", "kwargs"}
    assert theirs == set(DONE_ANYWAY)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("normalize_embeddings", False, "=True only.*: False. .*pooled_output"),
        ("normalize_embeddings", 1, "Received: 1"),
        ("normalize_embeddings", np.False_, "Received: "),
        ("normalize_embeddings", np.int64(1), "Received: "),
        ("convert_to_numpy", False, "=True only.*torch.from_numpy"),
        ("convert_to_tensor", True, "=False only.*tf.constant"),
        ("device", "cuda", "device='cuda', .* CPU.*CUDA_VISIBLE_DEVICES"),
        ("device", ["cpu", "cpu"], "device="),
        ("prompt", "query: ", "prompt \\+ s for s in sentences"),
        ("prompt_name", "query", "no prompts.* before each sentence"),
        ("output_value", "token_embeddings", "sequence_output"),
        ("output_value", None, "sequence_output"),
        ("precision", "int8", "'int8'. .* quantize them afterwards"),
        ("truncate_dim", np.int64(16), "linalg.norm"),
        ("truncate_dim", np.array([32]), "linalg.norm"),
        ("truncate_dim", 16, "vectors\\[:, :n\\].*linalg.norm"),
        ("pool", {}, "web_service.md"),
        ("chunk_size", 5, "belongs to pool"),
        ("batchsize", 5, "Received: batchsize"),
    ],
)
def test_all_else_says_what_to_do_instead(model, name, value, message):
    with pytest.raises(InputError, match=message):
        model.encode(["hello"], **{name: value})


@pytest.mark.parametrize("device", ["CPU", "cpu:0", "/CPU:0", "/device:CPU:0"])
def test_spellings_of_the_device(model, device):
    assert model.encode("hello", device=device).shape == (32,)


def test_a_gpu_is_a_gpu(model, monkeypatch):
    monkeypatch.setattr(
        peer_arguments.tf.config, "list_logical_devices", lambda kind: ["one"]
    )
    for device in (None, "cuda", "cuda:0", "gpu", "/GPU:0"):
        peer_arguments.check_arguments({"device": device}, 32)
    with pytest.raises(InputError, match="here it is the GPU"):
        peer_arguments.check_arguments({"device": "cpu"}, 32)


@pytest.mark.parametrize("value", [0, -1, 2.5, "query", True])
def test_batch_size_is_a_whole_number(model, value):
    # The second argument of the peer is prompt_name.
    with pytest.raises(InputError, match="whole number, at least 1"):
        model.encode(["hello"], value)
