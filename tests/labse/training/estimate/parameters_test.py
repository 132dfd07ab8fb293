import pytest

from labse.configs.loading import load
from labse.configs.schema import EncoderConfig
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.estimate.parameters import parameters, trained_parameters


def test_labse_base():
    """Hand arithmetic; in sum the 470.9M of the published model."""
    found = parameters(load("labse_base").encoder)
    assert found == {
        "word embeddings": 501_153 * 768,
        "positions and types": (512 + 2 + 2) * 768,
        # 4 x (768 x 768 + 768), 2 x 768 x 3072 + 3072 + 768, 4 x 768
        "blocks": 12 * (2_362_368 + 4_722_432 + 3_072),
        "pooler": 590_592,
    }
    assert sum(found.values()) == 470_926_848


@pytest.mark.parametrize(
    ("num_layers", "pooling"),
    [(2, "cls"), (2, "mean_tanh"), (0, "mean"), (0, "mean_tanh")],
)
def test_those_of_the_model(num_layers, pooling):
    config = EncoderConfig(
        vocab_size=11,
        num_layers=num_layers,
        num_heads=2,
        hidden_size=8,
        intermediate_size=20,
        max_positions=7,
        pooling=pooling,
    )
    encoder = SentenceEncoder(config)
    encoder.build()
    count = encoder.count_params()
    assert sum(parameters(config).values()) == count
    trained = sum(v.shape.num_elements() for v in encoder.trainable_variables)
    assert trained_parameters(config) == trained
