"""Steps of pre-training, by hand arithmetic."""

import json
import re

import pytest

from labse.configs.loading import from_dict, load
from labse.configs.pretraining import PretrainingConfig
from labse.errors import InputError
from labse.training.estimate import masked_lm_step, memory, report
from labse.training.estimate.estimator import estimate
from labse.training.estimate.hardware import GIB, Hardware, parse


def small(packed=True, **training):
    """16 sequences of 32 tokens, 4 of them masked; 2 blocks of 8."""
    return from_dict(
        {
            "encoder": {
                "vocab_size": 100,
                "num_layers": 2,
                "num_heads": 2,
                "hidden_size": 8,
                "intermediate_size": 16,
                "max_positions": 32,
            },
            "tokenizer": {"max_length": 32},
            "masking": {"max_masked": 4},
            "data": {"packed": packed},
            "training": {
                "global_batch_size": 16,
                "num_steps": 100,
                "warmup_steps": 1,
                **training,
            },
        },
        PretrainingConfig,
    )


ROWS, TOKENS = 16 * 4, 16 * 32


def test_parameters():
    """Of pretrain_base, whose pooler is not trained."""
    config = load("pretrain_base", kind=None)
    found = estimate(config, parse("tpu-v3-512"))
    head = 768 * 768 + 768 + 2 * 768 + 501_153
    assert found.parameters["masked-LM head"] == head
    total = 470_926_848 + head
    assert found.memory["weights"] == 4 * total
    trained = total - (768 * 768 + 768)
    assert found.memory["optimizer's slots"] == 8 * trained
    assert found.all_reduce_bytes == 4 * trained
    assert found.checkpoint_bytes == 3 * (4 * total + 8 * trained) + 2 * (
        4 * total
    )
    assert found.negatives is None


def test_flops_of_a_step():
    """The last block has queries for all tokens, but the rest for masked ones.

    The head's 64 x 100 logits are computed at once, so thrice like the rest.
    """
    block = TOKENS * (3 * 8 * 8 + 2 * 32 * 8 + 8 * 8 + 2 * 8 * 16)
    last = TOKENS * 3 * 8 * 8 + ROWS * (2 * 32 * 8 + 8 * 8 + 2 * 8 * 16)
    head = ROWS * (8 * 8 + 8 * 100)
    found = masked_lm_step.step_flops(small(), 1)
    assert found == 2 * 3 * (block + last + head)
    # Two devices share the sequences; a stage of one block has the last one.
    assert masked_lm_step.step_flops(small(), 2) == found / 2
    one = masked_lm_step.step_flops(small(), 1, num_layers=1)
    assert one == 2 * 3 * (last + head)
    again = masked_lm_step.step_flops(small(rematerialize=True), 1)
    assert again == found + 2 * (block + last)


def test_logits_in_chunks_are_computed_once_more():
    config = load("pretrain_base", kind=None)
    rows = 16 * 80
    logits = 2 * rows * 768 * 501_153
    found = masked_lm_step.step_flops(config, 512)
    token = 3 * 768**2 + 2 * 512 * 768 + 768**2 + 2 * 768 * 3072
    last = rows * (token - 3 * 768**2) + 16 * 512 * 3 * 768**2
    blocks = 2 * (11 * 16 * 512 * token + last)
    dense = 2 * rows * 768**2
    assert found == 3 * blocks + 3 * dense + 4 * logits


def test_hours_are_those_of_all_stages():
    """400k steps of 3 blocks, 800k of 6 and 1.8M of 12 (section 3.4)."""
    config = load("pretrain_base", kind=None)
    hardware = parse("tpu-v3-512")
    found = estimate(config, hardware)
    flops = sum(
        steps * masked_lm_step.step_flops(config, 512, layers)
        for layers, steps in ((3, 400_000), (6, 800_000), (12, 1_800_000))
    )
    assert found.flops == masked_lm_step.step_flops(config, 512, 12)
    assert found.hours == pytest.approx(flops / (61.5e12 * 0.4) / 3600)


def test_memory_of_a_step():
    """Float32, with dropout; when the last block's gradients begin."""
    parts = masked_lm_step.MaskedLMStep(
        small(), Hardware("", 1, 0)
    ).in_gradients()
    # See `activations`: 4 c D for all tokens, the rest for those computed.
    row = 3 * 4 * 8 + 2 * 32 * (4 + 1 + 4) + 16 * 8 + 2 * 8 + 5 * 4 * 16
    block = TOKENS * 4 * 4 * 8
    embeddings = TOKENS * (8 + 8 * 8 + 4 * 2)
    assert parts["activations"] == (
        embeddings + 2 * block + (TOKENS + ROWS) * row
    )
    # Hidden state, its copy, five of gelu; the norm's three tensors.
    assert parts["activations of the head"] == ROWS * 8 * 4 * (1 + 5 + 4)
    assert parts["sentence mask"] == 4 * 16 * 32 * 32
    # Pieces, mask, types, sentences and positions; the masked tokens'.
    assert parts["input"] == 4 * (5 * TOKENS + 3 * ROWS)
    head = 8 * 8 + 8 + 2 * 8 + 100
    weights = 4 * (8 * 8 + 8) + 2 * 8 * 16 + 16 + 8 + 4 * 8  # Of a block.
    assert parts["gradients"] == 4 * (weights + 100 * 8 + head)
    assert "gathered embeddings" not in parts
    # What is not used is a share of all else but what is always there.
    always = ("weights", "optimizer's slots", "input", "unused")
    temporary = sum(v for k, v in parts.items() if k not in always)
    assert parts["unused"] == int(0.15 * temporary)


def test_without_packing_the_mask_is_small():
    found = memory.peak(small(packed=False), Hardware("", 1, 0))
    assert "sentence mask" not in found.parts
    assert found.parts["input"] == 4 * (3 * TOKENS + 3 * ROWS)


def test_a_chunk_of_logits_is_in_memory():
    """1280 masked tokens: 2^24 / 1280 = 13107 pieces, 39 chunks of 12,928."""
    config = load("pretrain_base", ["training.global_batch_size=16"], kind=None)
    step = masked_lm_step.MaskedLMStep(config, Hardware("", 1, 0))
    assert step.in_loss()["logits"] == 3 * 4 * 1280 * 12_928


def test_what_does_not_fit_has_no_chunk_as_remedy():
    config = load(
        "pretrain_base", ["training.global_batch_size=256"], kind=None
    )
    found = estimate(config, parse("h100"))
    assert not found.fits
    with pytest.raises(InputError) as error:
        found.check_fits()
    assert "sequences a device)" in str(error.value)
    assert "training.rematerialize=true" in str(error.value)
    assert "gradient_cache_chunk" not in str(error.value)


def test_what_would_fit_can_be_shared_by_the_devices():
    """Eight devices have units of 8 of each kind: batches of 128."""
    config, hardware = load("pretrain_base", kind=None), parse("h100-8")
    found = estimate(config, hardware)
    [size] = re.findall(r"global_batch_size=(\d+) ", found.remedies[0])
    size = int(size)
    assert found.remedies[0] == (
        f"training.global_batch_size={size} ({size // 8} sequences a device)"
    )

    def with_batch(size):
        override = f"training.global_batch_size={size}"
        return load("pretrain_base", [override], kind=None)

    assert size % 128 == 0
    assert estimate(with_batch(size), hardware).fits
    assert not estimate(with_batch(size + 128), hardware).fits


def test_a_batch_that_pretraining_refuses_is_refused():
    config = load(
        "pretrain_base", ["training.global_batch_size=872"], kind=None
    )
    with pytest.raises(InputError, match="multiples of 64, or set data.packed"):
        estimate(config, parse("h100-8"))


def test_pairs_are_refused():
    with pytest.raises(InputError, match="Received: pairs=5 and a conf"):
        estimate(small(), Hardware("", 1, GIB), pairs=5)


def test_the_report_speaks_of_sequences():
    found = estimate(small(global_batch_size=32), Hardware("", 2, GIB))
    lines = [
        " ".join(each.split()) for each in report.to_text(found).splitlines()
    ]
    assert "sequences of a device 16" in lines
    assert not any("negatives" in line for line in lines)
    assert json.loads(json.dumps(report.to_json(found)))["fits"] is True
