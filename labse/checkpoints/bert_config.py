"""google-research/bert's configuration, a file beside a checkpoint.

Hugging Face's config.json has the same keys.
"""

import pathlib

from labse.formats import json_file, model_file

NAME = "bert_config.json"
# What google-research/bert calls gelu is the tanh approximation.
_ACTIVATIONS = {"gelu": "gelu_tanh"}
SIZES = {
    "vocab_size": "encoder.vocab_size",
    "hidden_size": "encoder.hidden_size",
    "num_hidden_layers": "encoder.num_layers",
    "num_attention_heads": "encoder.num_heads",
    "intermediate_size": "encoder.intermediate_size",
    "max_position_embeddings": "encoder.max_positions",
    "type_vocab_size": "encoder.type_vocab_size",
}
PROBABILITIES = {
    "hidden_dropout_prob": "encoder.dropout",
    "attention_probs_dropout_prob": "encoder.attention_dropout",
    "initializer_range": "encoder.initializer_range",
}


def read_bert_config(path: pathlib.Path) -> dict[str, object]:
    """The configuration as `section.key`.

    Raises:
      InputError: it is damaged, or describes another network.
    """
    config = json_file.read_object(path)
    keys = (*SIZES, *PROBABILITIES)
    missing = [key for key in keys if key not in config.values]
    if missing:
        raise model_file.damaged(path, f"lacks {', '.join(missing)}")
    activation = config.text("hidden_act", None)
    if activation not in _ACTIVATIONS:
        raise config.wrong("hidden_act", f"one of {', '.join(_ACTIVATIONS)}")
    sizes = {ours: config.integer(key) for key, ours in SIZES.items()}
    if sizes["encoder.hidden_size"] % sizes["encoder.num_heads"]:
        raise config.wrong("hidden_size", "a multiple of num_attention_heads")
    if sizes["encoder.max_positions"] < 3:
        raise config.wrong("max_position_embeddings", "at least 3")
    return sizes | {
        ours: config.probability(key) for key, ours in PROBABILITIES.items()
    }


def check_agreement(path: pathlib.Path, recorded: dict, shapes: dict) -> None:
    """Raises `InputError` where bert_config.json does not fit the weights.

    Its vocab_size may be the number of pieces if the table is padded.
    """
    wrong = [
        f"{key.partition('.')[2]} {recorded[key]}, not {shapes[key]}"
        for key in shapes
        if recorded.get(key, shapes[key]) != shapes[key]
        and key != "encoder.vocab_size"
    ]
    if wrong:
        raise model_file.damaged(
            path,
            "does not describe the weights beside it, whose shapes say "
            f"otherwise: {'; '.join(wrong)}",
        )
