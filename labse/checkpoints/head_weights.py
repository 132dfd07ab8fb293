"""The weights of BERT's masked-LM head: names and layouts in every format.

The head is a dense layer with BERT's activation, layer normalisation, the
table of word embeddings again (tied) and a bias for each piece. Our names are
those of Model Garden's `official.nlp.modeling.layers.MaskedLM` in a
`BertPretrainerV2`.
"""

import dataclasses

import numpy as np

from labse.checkpoints.weights import Weight, WeightName
from labse.formats.stored_tensor import Tensor

HEAD_NAMES = r"cls/predictions/.*"  # A regular expression.
OUTPUT_BIAS = "cls/predictions/output_bias/bias"
_TRANSFORM = "cls/predictions/transform"
# In `transformers`: the output layer has the table and the bias under names of
# its own, which a file holds or leaves out.
_DECODER = "cls.predictions.decoder.weight"
_DECODER_BIAS = "cls.predictions.decoder.bias"
_TABLE = "embeddings.word_embeddings.weight"
_BIAS = "cls.predictions.bias"


def head_names(vocab_size: int, hidden_size: int) -> list[WeightName]:
    """Every weight of the head, in the order of the computation."""
    shapes = {
        f"{_TRANSFORM}/dense/kernel": (hidden_size, hidden_size),
        f"{_TRANSFORM}/dense/bias": (hidden_size,),
        f"{_TRANSFORM}/LayerNorm/gamma": (hidden_size,),
        f"{_TRANSFORM}/LayerNorm/beta": (hidden_size,),
    }
    rows = [WeightName(name, name, shape) for name, shape in shapes.items()]
    bias = OUTPUT_BIAS.removesuffix("/bias")
    return [*rows, WeightName(OUTPUT_BIAS, bias, (vocab_size,))]


@dataclasses.dataclass(frozen=True)
class FoundHead:
    """A masked-LM head among stored tensors.

    Attributes:
      weights: by our names; None where there is no head that can be used.
      names: of the tensors that it consists of, as they are stored.
      problem: why a head that has tensors cannot be used.
    """

    weights: dict[str, Weight] | None = None
    names: frozenset[str] = frozenset()
    problem: str = ""


NO_HEAD = FoundHead()


def find_head(
    found: dict[str, Tensor],
    naming: str,
    vocab_size: int,
    hidden_size: int,
    table_rows: int,
    is_tied: bool = True,
) -> FoundHead:
    """Finds the masked-LM head among stored tensors.

    A sentence encoder has no use for it, so a head that is incomplete, of
    other shapes or not tied to the table is no error here. It is left out as a
    whole: a part of it, or another output layer, would compute something else.

    Args:
      naming: whose names and layouts: a field of `WeightName`.
      vocab_size: pieces of the vocabulary.
      table_rows: of the stored table and bias, which may be padded.
      is_tied: whether the output layer is the table although no file holds it.
    """
    rows = {
        getattr(row, naming): row for row in head_names(vocab_size, hidden_size)
    }
    names = frozenset(found.keys() & {*rows, _DECODER, _DECODER_BIAS})
    if not names:
        return NO_HEAD
    tensors, problems = dict(found), []
    if naming == "hugging_face":
        problems += _decoder_problems(tensors, is_tied)
    weights = {}
    for name, row in rows.items():
        stored, shape = tensors.get(name), row.shape_in(naming)
        if row.name == OUTPUT_BIAS:
            shape = (table_rows,)
        if stored is None:
            problems.append(f"{name} is missing")
        # bfloat16 is "V" to NumPy.
        elif stored.shape != shape or stored.dtype.kind not in "fV":
            problems.append(
                f"{name} is {stored.dtype} {stored.shape}, not {shape}"
            )
        else:
            transposed = row.is_kernel and naming == "hugging_face"
            weights[row.name] = Weight(stored, row.shape, transposed)
    if problems:
        return FoundHead(
            problem="left out: the masked-LM head, which cannot be used: "
            + "; ".join(problems)
        )
    return FoundHead(weights, names)


def _decoder_problems(tensors: dict[str, Tensor], is_tied: bool) -> list[str]:
    """What speaks against the output layer of `transformers`.

    A bias that is stored only as that layer's is put in its place.
    """
    problems = []
    decoder, bias = tensors.get(_DECODER), tensors.get(_DECODER_BIAS)
    if decoder is None and not is_tied:
        problems.append(f"{_DECODER} is missing, and not tied to {_TABLE}")
    elif decoder is not None and not _are_equal(decoder, tensors[_TABLE]):
        problems.append(
            f"{_DECODER} is another matrix than {_TABLE} (not tied), which is "
            "not supported"
        )
    if bias is not None and not _are_equal(
        tensors.setdefault(_BIAS, bias), bias
    ):
        problems.append(f"{_DECODER_BIAS} differs from {_BIAS}")
    return problems


def _are_equal(one: Tensor, other: Tensor) -> bool:
    """Compares numbers block by block; those of one type and shape only."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    blocks = zip(one.row_blocks(), other.row_blocks(), strict=True)
    return all(np.array_equal(*pair) for pair in blocks)
