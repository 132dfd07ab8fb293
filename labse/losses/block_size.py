"""How much of a matrix of logits exists at once; also read by estimates."""

# At most so many logits are in memory at once, 16 MiB of float32; a loss and
# its gradient hold about ten tensors of their size.
BLOCK_LOGITS = 2**22

# The same of a masked-LM loss (`masked_lm_loss`), above `BLOCK_LOGITS` in all.
# A chunk's work beside its logits is that of its masked tokens' hidden states,
# so chunks are larger (`benchmarks/masked_lm_loss.py`).
MASKED_LM_BLOCK_LOGITS = 2**24
# Its chunks are a multiple of this: the width of a TPU's tiles.
_COLUMN_MULTIPLE = 128


def chunk_size(rows: int | None, pieces: int) -> int:
    """How many pieces' logits a masked-LM loss computes at once.

    Args:
      rows: masked tokens; None: not known, then all pieces.
      pieces: of the vocabulary.
    """
    if rows is None or rows * pieces <= BLOCK_LOGITS:
        return pieces
    most = max(MASKED_LM_BLOCK_LOGITS // rows, 1)
    chunks = -(-pieces // most)
    # Of equal size: the last one overlaps the one before.
    size = -(-pieces // chunks)
    return min(-(-size // _COLUMN_MULTIPLE) * _COLUMN_MULTIPLE, pieces)
