import dataclasses
import json

import pytest

from labse.configs.loading import from_dict, load
from labse.errors import InputError
from labse.training.estimate import memory, report
from labse.training.estimate.estimator import estimate, sentence_rate
from labse.training.estimate.hardware import GIB, Hardware, parse
from labse.training.estimate.remedies import what_would_fit

H100 = parse("h100-8")


def small(**training):
    return from_dict(
        {
            "encoder": {
                "vocab_size": 1000,
                "num_layers": 4,
                "num_heads": 2,
                "hidden_size": 64,
                "intermediate_size": 128,
            },
            "tokenizer": {"max_length": 32},
            "training": {
                "global_batch_size": 256,
                "num_steps": 100,
                "warmup_steps": 1,
                **training,
            },
        }
    )


def device(memory_bytes, devices=2):
    return Hardware("here", devices, int(memory_bytes), 1e12, 1e12)


def test_labse_base():
    found = estimate(load("labse_base"), parse("a100-40-32"), pairs=6 * 10**9)
    assert (found.batch_size, found.global_batch_size) == (128, 4096)
    assert found.negatives == 4095
    assert found.epochs == pytest.approx(4096 * 50_000 / 6e9)
    assert found.memory["weights"] == 4 * 470_926_848
    # Without the pooler, which "cls" does not train.
    trained = 470_926_848 - 590_592
    assert found.memory["optimizer's slots"] == 8 * trained
    # Rows of 2 * 4096 texts of 128 tokens take the place of the table.
    table, rows = 501_153 * 768, 2 * 4096 * 128 * 768
    assert found.all_reduce_bytes == 4 * (trained - table + rows)
    tpu = estimate(load("labse_base"), parse("tpu-v3-32"))
    assert tpu.all_reduce_bytes == 4 * trained
    assert found.checkpoint_bytes == 3 * (4 * 470_926_848 + 8 * trained) + (
        2 * 4 * 470_926_848
    )
    seconds = found.flops / (312e12 * 0.4)
    assert found.seconds == pytest.approx(seconds)
    assert found.hours == pytest.approx(50_000 * seconds / 3600)
    assert found.fits
    found.check_fits()


def test_hard_negatives_are_negatives_of_all_pairs():
    config = load("labse_base", ["data.hard_negatives=3"])
    assert estimate(config, H100).negatives == 4 * 4096 - 1


def test_what_is_unknown_is_none():
    found = estimate(small(), Hardware("here", 1, GIB))
    assert (found.seconds, found.hours, found.epochs) == (None, None, None)
    assert found.records_bytes is None
    # One device sums nothing with others.
    assert found.all_reduce_bytes == 0


def test_flops_say_nothing_of_an_averaging_networks_hours():
    assert estimate(load("labse_dan"), H100).hours is None


def test_what_does_not_fit_is_refused_with_what_would():
    config, most = small(), device(0.125 * GIB)
    found = estimate(config, most)
    assert not found.fits
    assert len(found.remedies) == 4
    with pytest.raises(InputError) as error:
        found.check_fits()
    assert str(error.value) == (
        "A training step must fit into the memory of a device. On here it may "
        f"use 0.12 GiB. It needs {found.memory_total / GIB:.2f} GiB. What "
        f"would fit: {'; or '.join(found.remedies)}."
    )
    # What is proposed fits; one pair or the next power of two more does not.
    batch, chunk, rematerialize, dtype = found.remedies
    pairs = int(batch.partition("=")[2].split()[0]) // 2
    assert batch == (
        f"training.global_batch_size={2 * pairs} ({pairs} pairs a device)"
    )
    limit = most.memory
    assert needed(config, most, global_batch_size=2 * pairs) <= limit
    assert needed(config, most, global_batch_size=2 * pairs + 2) > limit
    chunk = int(chunk.removeprefix("training.gradient_cache_chunk="))
    assert needed(config, most, gradient_cache_chunk=chunk) <= limit
    assert needed(config, most, gradient_cache_chunk=2 * chunk) > limit
    assert rematerialize == "training.rematerialize=true"
    assert needed(config, most, rematerialize=True) <= limit
    assert dtype == "training.compute_dtype=mixed_bfloat16"
    assert needed(config, most, compute_dtype="mixed_bfloat16") <= limit


def needed(config, hardware, **training):
    training = dataclasses.replace(config.training, **training)
    config = dataclasses.replace(config, training=training)
    return memory.peak(config, hardware).total


def test_where_no_single_change_fits_they_are_combined():
    config = small(compute_dtype="mixed_bfloat16").with_vocab_size(10)
    least = needed(config, device(1), rematerialize=True, global_batch_size=2)
    alone = needed(config, device(1), global_batch_size=2)
    assert least < alone
    found = what_would_fit(config, device((least + alone) / 2))
    assert found == (
        "training.rematerialize=true and "
        "training.global_batch_size=2 (1 pairs a device)",
    )


def test_weights_that_do_not_fit_have_no_remedy():
    found = estimate(small(), device(1e6))
    assert found.remedies == ()
    with pytest.raises(InputError, match="none of a smaller batch, grad"):
        found.check_fits()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"utilization": 0.0}, "utilization must be above 0 .* Received: 0.0"),
        ({"utilization": 1.5}, "Received: 1.5"),
        ({"pairs": 0}, "pairs must be at least 1. Received: 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        estimate(small(), device(GIB), **arguments)


def test_the_batch_divides_by_the_devices():
    message = "global_batch_size must be a multiple .* Received: 256 and 3"
    with pytest.raises(InputError, match=message):
        estimate(small(), device(GIB, devices=3))


def test_the_chunk_divides_a_devices_batch():
    config = small(gradient_cache_chunk=256)
    message = "gradient_cache_chunk must divide .* Received: 256 and 128"
    with pytest.raises(InputError, match=message):
        estimate(config, device(GIB))


def test_sentence_rate():
    """8 devices of 1e12 at 50 %: 4e12 a second."""
    config = small()
    # A token of a block: 4 x 64 x 64, 2 x 64 x 128, 2 x 32 x 64 products; the
    # last block for one token, but its keys, values and queries for all.
    token = 3 * 64 * 64 + 64 * 64 + 2 * 64 * 128 + 2 * 32 * 64
    text = 3 * 32 * token + 32 * 3 * 64 * 64 + token - 3 * 64 * 64
    rate = sentence_rate(config, device(GIB, devices=8), 0.5)
    assert rate == pytest.approx(4e12 / (2 * text))


def test_sentence_rate_needs_a_peak():
    with pytest.raises(InputError, match="needs the hardware's flops"):
        sentence_rate(small(), Hardware("cpu", 1, GIB))


@pytest.mark.parametrize("preset", ["labse_dan", "labse_tiny"])
def test_an_averaging_network_has_no_sentence_rate(preset):
    overrides = ["encoder.num_layers=0", "encoder.pooling=mean"]
    message = "unknown for an averaging network.*encoder.num_layers=0"
    with pytest.raises(InputError, match=message):
        sentence_rate(load(preset, overrides), parse("tpu-v3-8"))


def test_report_shows_each_figure():
    found = estimate(load("labse_base"), H100, 10**9, records_bytes=5 * GIB)
    lines = report.to_text(found).splitlines()
    for line in (
        "word embeddings 384,885,504",
        "weights 1.75 GiB",
        "negatives of a pair, at most 4,095",
        "epochs over the pairs 0.205",
        "disk for the records 5.00 GiB",
    ):
        assert line in [" ".join(each.split()) for each in lines]
    values = json.loads(json.dumps(report.to_json(found)))
    assert values["fits"] is False
    assert values["memory_total_bytes"] == found.memory_total
    assert values["records_bytes"] == 5 * GIB
