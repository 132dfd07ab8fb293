"""Progressive stacking: a model of more blocks from one of fewer.

Section 3.4 trains L/4, L/2 and L blocks one after another; how a model grows is
Gong et al. 2019, "Efficient Training of BERT by Progressively Stacking", as
their code has it (https://github.com/gonglinyuan/StackingBERT): the whole stack
of blocks is put on top of itself, in the same order, and what is below and
above the blocks stays.
"""

import re

import tf_keras

_BLOCK = re.compile(r"\btransformer/layer_(\d+)/")

# (variable of the model of more blocks, the one of fewer that it starts from)
VariablePairs = list[tuple]


def source_block(number: int, num_layers: int) -> int:
    """The block, from 0, that a block of the larger model starts from.

    Args:
      number: of the block in the larger model, from 0.
      num_layers: blocks of the smaller model.
    """
    return number % num_layers


def paired_variables(
    small: tf_keras.Model, large: tf_keras.Model
) -> VariablePairs:
    """Each variable of a model, with the one that it starts from.

    Both are masked language models of the same configuration but for the
    number of blocks, which is a multiple.

    Raises:
      ValueError: the models differ otherwise.
    """
    num_layers = small.encoder.config.num_layers

    def source_name(name: str) -> str:
        return _BLOCK.sub(
            lambda found: (
                f"transformer/layer_{source_block(int(found[1]), num_layers)}/"
            ),
            name,
        )

    sources = _by_name(small)
    targets = _by_name(large)
    wanted = {name: source_name(name) for name in targets}
    if set(wanted.values()) != sources.keys():
        odd = sorted(set(wanted.values()) ^ sources.keys())
        raise ValueError(f"The models have different variables: {odd}")
    return [
        (variable, sources[wanted[name]]) for name, variable in targets.items()
    ]


def _by_name(model: tf_keras.Model) -> dict:
    """The variables of encoder and head by name, each once."""
    return {
        variable.name: variable
        for part in (model.encoder, model.head)
        for variable in part.variables
    }


def grow(small: tf_keras.Model, large: tf_keras.Model) -> None:
    """Starts a built model from a trained one of fewer blocks.

    Block i of `small` becomes block i, i + L, i + 2L, ... of `large`, where L
    is the number of blocks of `small`; embeddings and head stay as they are.
    It is called outside of `Strategy.run`, under any strategy.
    """
    for target, source in paired_variables(small, large):
        target.assign(source)
