import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import EncoderConfig, TokenizerConfig
from labse.modeling import progressive_stacking
from labse.modeling.masked_lm import MaskedLanguageModel

ENCODER = EncoderConfig(
    vocab_size=9,
    num_layers=6,
    num_heads=2,
    hidden_size=4,
    intermediate_size=6,
    max_positions=8,
)


def make_model(num_layers, **encoder):
    return MaskedLanguageModel.of_experiment(
        PretrainingConfig(
            dataclasses.replace(ENCODER, **encoder), TokenizerConfig(8)
        ),
        num_layers,
    )


def of_block(model, number):
    """The values of a block's variables, by what follows its number."""
    prefix = f"transformer/layer_{number}/"
    return {
        variable.name.rpartition(prefix)[2]: variable.numpy()
        for variable in model.encoder.variables
        if prefix in variable.name
    }


def others(model):
    """The values of all variables that belong to no block."""
    return {
        variable.name: variable.numpy()
        for variable in [*model.encoder.variables, *model.head.variables]
        if "transformer/layer_" not in variable.name
    }


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def trained(model):
    """The model with weights that are all different."""
    random = np.random.default_rng(0)
    for variable in [*model.encoder.variables, *model.head.variables]:
        variable.assign(random.normal(size=variable.shape))
    return model


@pytest.mark.parametrize(
    "fewer, more, sources",
    [
        # The tables of docs/pretraining.md.
        (3, 6, [0, 1, 2, 0, 1, 2]),
        (6, 12, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]),
        (2, 6, [0, 1, 0, 1, 0, 1]),
        (1, 2, [0, 0]),
    ],
)
def test_each_block_starts_from_its_source(fewer, more, sources):
    small, large = trained(make_model(fewer)), make_model(more)
    assert len(of_block(large, 0)) == 16
    for number, source in enumerate(sources):
        assert progressive_stacking.source_block(number, fewer) == source
        # The negative control: before it, no kernel is that of the source.
        kernel = of_block(large, number)["output/kernel:0"]
        assert np.all(kernel != of_block(small, source)["output/kernel:0"])
    progressive_stacking.grow(small, large)
    for number, source in enumerate(sources):
        assert_equal(of_block(large, number), of_block(small, source))
    assert_equal(others(large), others(small))
    # Words, positions, types, their norm, the pooler; the head.
    assert len(others(large)) == 1 + 1 + 1 + 2 + 2 + 5


def test_growing_on_several_devices():
    strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    with strategy.scope():
        small, large = trained(make_model(1)), make_model(2)
    progressive_stacking.grow(small, large)
    assert_equal(of_block(large, 1), of_block(small, 0))
    for variable in large.encoder.variables:
        one, other = strategy.experimental_local_results(variable)
        np.testing.assert_array_equal(one, other, err_msg=variable.name)


def test_models_that_differ_otherwise_are_refused():
    small, large = make_model(2), make_model(3)
    with pytest.raises(ValueError, match="different variables: .*layer_1"):
        # Two blocks on top of each other are no three: as if L were 1.
        small.encoder.config = dataclasses.replace(ENCODER, num_layers=1)
        progressive_stacking.grow(small, large)
    with pytest.raises(ValueError, match=r"\(4,\).*\(6,\)|shape"):
        progressive_stacking.grow(make_model(1), make_model(2, hidden_size=6))
