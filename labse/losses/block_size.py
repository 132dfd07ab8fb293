"""How much of a matrix of logits exists at once; also read by estimates."""

# At most so many logits are in memory at once, 16 MiB of float32; a loss and
# its gradient hold about ten tensors of their size.
BLOCK_LOGITS = 2**22

# The same of a masked-LM loss (`masked_lm_loss`), above `BLOCK_LOGITS` in all.
# A chunk's work beside its logits is that of its masked tokens' hidden states,
# so chunks are larger (`benchmarks/masked_lm_loss.py`).
MASKED_LM_BLOCK_LOGITS = 2**24
