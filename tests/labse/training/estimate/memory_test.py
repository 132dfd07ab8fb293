import pytest

from labse.configs.loading import from_dict
from labse.training.estimate import memory
from labse.training.estimate.hardware import Hardware


def make_config(training, encoder, length=4, **data):
    return from_dict(
        {
            "encoder": {"num_heads": 2, "hidden_size": 8, **encoder},
            "tokenizer": {"max_length": length},
            "data": data,
            "training": training,
        }
    )


def peak(config, devices=1):
    return memory.peak(config, Hardware("here", devices, 0))


def test_an_averaging_network_peaks_at_the_update():
    """Hand arithmetic; 1000 pieces of 8, 6 pairs of 4 tokens."""
    found = peak(
        make_config(
            {"global_batch_size": 6},
            {"num_layers": 0, "vocab_size": 1000, "pooling": "mean"},
        )
    )
    assert found.moment == "at the update"
    table = 4 * 1000 * 8
    temporary = {
        "gathered embeddings": 2 * 4 * 12 * 8,
        "gradients": table,
        # Weight decay's copy and its result; the gradient as rows.
        "working memory": 2 * table + 4 * 12 * 4 * 8,
    }
    assert found.parts == temporary | {
        "weights": 4 * (1000 * 8 + 72),
        "optimizer's slots": 2 * table,  # Without the pooler.
        "input": 2 * 3 * 4 * 12 * 4,
    }


AVERAGING = {"num_layers": 0, "vocab_size": 1000, "pooling": "mean"}


def working_memory(devices, is_tpu=False, **training):
    """6 pairs of 4 tokens on each device; the table takes 4 * 1000 * 8."""
    training = {"global_batch_size": 6 * devices, **training}
    config = make_config(training, AVERAGING)
    found = memory.peak(config, Hardware("", devices, 0, is_tpu=is_tpu))
    assert found.moment == "at the update"
    return found.parts.get("working memory", 0)


def test_an_averaging_network_of_few_pieces_peaks_with_its_tokens():
    """10 pieces of 8, 6 pairs of 4 tokens."""
    encoder = {**AVERAGING, "vocab_size": 10}
    found = peak(make_config({"global_batch_size": 6}, encoder))
    assert found.moment == "when gradients begin"
    table, tokens = 4 * 10 * 8, 4 * 12 * 4 * 8
    assert found.parts["working memory"] == 2 * tokens + table


def test_each_device_gets_the_rows_of_all():
    table, rows = 4 * 1000 * 8, 4 * 12 * 4 * 8
    assert working_memory(devices=2) == 2 * table + 2 * rows
    # A chunk that is a device's batch is no gradient cache.
    whole = working_memory(devices=2, gradient_cache_chunk=6)
    assert whole == working_memory(devices=2)


def test_a_gradient_cache_and_tpus_have_no_rows():
    assert working_memory(2, gradient_cache_chunk=3) == 2 * 4 * 1000 * 8
    assert working_memory(2, is_tpu=True) == 0


def test_logits_are_those_of_the_global_batch():
    """16 pairs on each of 32 devices, with 2 hard negatives each."""
    config = make_config(
        {"global_batch_size": 512},
        {"num_layers": 0, "vocab_size": 10, "pooling": "mean"},
        hard_negatives=2,
    )
    found = peak(config, devices=32)
    assert found.moment == "in the loss"
    assert found.parts["logits"] == 9 * 4 * 16 * (512 + 1024)
    assert found.parts["gathered embeddings"] == 2 * 4 * (4 * 512) * 8


def test_large_logits_are_computed_in_blocks():
    config = make_config(
        {"global_batch_size": 8192},
        {"num_layers": 0, "vocab_size": 10, "pooling": "mean"},
    )
    assert peak(config).parts["logits"] == 9 * 4 * 2**22


BLOCKS = {"num_layers": 6, "vocab_size": 10, "intermediate_size": 32}


def test_a_gradient_cache_keeps_the_activations_of_a_chunk():
    plain = peak(make_config({"global_batch_size": 64}, BLOCKS, length=64))
    training = {"global_batch_size": 64, "gradient_cache_chunk": 4}
    cached = peak(make_config(training, BLOCKS, length=64))
    assert cached.parts["activations"] == plain.parts["activations"] / 16
    copy = 4 * 10 * 8
    working = plain.parts["working memory"] / 16 + copy
    assert cached.parts["working memory"] == working
    for part in ("weights", "gathered embeddings", "input"):
        assert cached.parts[part] == plain.parts[part]
    # All gradients are there from the first chunk on, and the table's copy.
    trained = cached.parts["optimizer's slots"] // 2
    difference = cached.parts["gradients"] - plain.parts["gradients"]
    assert difference == trained


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_rematerialised_blocks_keep_their_inputs(pooling):
    training = {"global_batch_size": 64, "rematerialize": True}
    encoder = {**BLOCKS, "pooling": pooling}
    found = peak(make_config(training, encoder))
    tokens = 128 * 4
    # Each block's input; the embeddings' norm, types and mask.
    kept = tokens * (6 * 4 * 8 + 2 * 4 * 8 + 4 * 2 + 8)
    assert found.parts["activations"] == kept


def test_a_tpu_draws_the_random_bits_of_rematerialised_blocks_at_once():
    """64 pairs of 64 tokens; 6 blocks of 8 with 2 heads, the last for [CLS].

    While the first block computes: a bit tensor of its own, and of each block
    after it the attention's and two of the hidden size.
    """
    training = {"global_batch_size": 64, "rematerialize": True}
    config = make_config(training, BLOCKS, length=64)
    found = memory.peak(config, Hardware("", 1, 2**40, is_tpu=True))
    assert found.moment == "when the forward pass begins"
    tokens, texts = 128 * 64, 128
    row = 2 * 8 + 2 * 64
    bits = 4 * (4 * tokens * row + texts * row + tokens * 8)
    assert found.parts["random bits"] == bits
    first = tokens * 4 * (32 + 4 * 8)
    assert found.parts["working memory"] == first
    copies = found.parts["weights to compute with"]
    assert found.parts["unused"] == int(0.29 * (bits + first + copies))
    # Drawn later, where it must.
    least = memory.peak(config, Hardware("", 1, 0, is_tpu=True))
    assert "random bits" not in least.parts
    assert least.total < found.total
    # Nothing is drawn without dropout.
    encoder = {**BLOCKS, "dropout": 0.0, "attention_dropout": 0.0}
    config = make_config(training, encoder, length=64)
    found = memory.peak(config, Hardware("", 1, 2**40, is_tpu=True))
    assert found.moment == "when gradients begin"
