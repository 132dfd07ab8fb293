import pytest

from labse.configs.loading import from_dict, load
from labse.training.estimate.arithmetic import forward_flops, step_flops

# Two blocks of 4 with an inner layer of 10; texts of 3 tokens.
SMALL = {
    "encoder": {
        "num_layers": 2,
        "num_heads": 2,
        "hidden_size": 4,
        "intermediate_size": 10,
        "pooling": "cls",
    },
    "tokenizer": {"max_length": 3},
    "training": {"global_batch_size": 6},
}
# Multiplications of a token in a block: query, key, value 3 x 16; scores and
# their product 2 x 3 x 4; attention's output 16; inner layer 2 x 4 x 10.
QUERY_KEY_VALUE, ATTENTION, DENSE = 48, 24, 96


def small(**training):
    return from_dict({**SMALL, "training": {**SMALL["training"], **training}})


def test_the_last_block_is_computed_for_cls_alone():
    text = 3 * (QUERY_KEY_VALUE + ATTENTION + DENSE)
    last = 3 * QUERY_KEY_VALUE + ATTENTION + DENSE
    assert forward_flops(small(), 5, 3) == 2 * 5 * (text + last)


def test_mean_tanh_computes_all_tokens_and_the_pooler():
    values = {**SMALL, "encoder": {**SMALL["encoder"], "pooling": "mean_tanh"}}
    text = 2 * 3 * (QUERY_KEY_VALUE + ATTENTION + DENSE) + 4 * 4
    assert forward_flops(from_dict(values), 5, 3) == 2 * 5 * text


@pytest.mark.parametrize(
    ("training", "passes"),
    [
        ({}, 3),
        ({"rematerialize": True}, 4),
        ({"gradient_cache_chunk": 1}, 4),
        ({"gradient_cache_chunk": 1, "rematerialize": True}, 5),
        # All pairs of a device in one chunk: embedded once.
        ({"gradient_cache_chunk": 3}, 3),
    ],
)
def test_a_step(training, passes):
    config = small(**training)
    # On two devices: 3 pairs each, 6 texts; 3 rows with 6 columns of 4, both
    # directions.
    loss = 2 * 2 * 3 * 6 * 4
    expected = passes * forward_flops(config, 6, 3) + 3 * loss
    assert step_flops(config, devices=2) == expected


def test_hard_negatives_are_embedded_and_compared():
    values = {**SMALL, "data": {"hard_negatives": 2}}
    config = from_dict(values)
    # 6 pairs of 4 texts; 6 rows with 6 + 12 and 6 columns.
    expected = 3 * forward_flops(config, 24, 3) + 3 * 2 * 6 * 24 * 4
    assert step_flops(config, devices=1) == expected


def test_labse_base_beside_the_tpu_compiler():
    """It counts 1.733e13, with all that is no matrix product."""
    found = step_flops(load("labse_base"), devices=32)
    assert found == pytest.approx(1.733e13, rel=0.15)
    rematerialized = load("labse_base", ["training.rematerialize=true"])
    found = step_flops(rematerialized, devices=32)
    assert found == pytest.approx(2.164e13, rel=0.15)
