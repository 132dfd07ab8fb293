"""How many numbers a model has, by part."""

from labse.configs.schema import EncoderConfig


def parameters(config: EncoderConfig) -> dict[str, int]:
    """The numbers of each part of an encoder, trained or not.

    Parts without numbers, such as the blocks of an averaging network, are
    left out.
    """
    size, inner = config.hidden_size, config.intermediate_size
    dense = 4 * (size * size + size)  # query, key, value, attention's output
    feed_forward = 2 * size * inner + inner + size
    norms = 2 * 2 * size
    found = {"word embeddings": config.vocab_size * size}
    if config.num_layers:
        positions = config.max_positions + config.type_vocab_size
        # With the layer normalisation of their sum.
        found["positions and types"] = (positions + 2) * size
        found["blocks"] = config.num_layers * (dense + feed_forward + norms)
    found["pooler"] = size * size + size
    return found


def trained_parameters(config: EncoderConfig) -> int:
    """The numbers that have a gradient and the optimizer's two slots."""
    found = parameters(config)
    return sum(found.values()) - (not config.uses_pooler) * found["pooler"]
