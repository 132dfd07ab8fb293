"""How much of a matrix of logits exists at once; also read by estimates."""

# At most so many logits are in memory at once, 16 MiB of float32; a loss and
# its gradient hold about ten tensors of their size.
BLOCK_LOGITS = 2**22
