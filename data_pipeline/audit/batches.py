"""How many accidental negatives a batch will hold.

In a batch of B pairs drawn at random, without repetition, from N pairs, the
target of pair j is scored against the source of pair i != j as a negative.
It is an accidental one if both pairs have the same source, or the same target:
then it may well be a translation. All ordered pairs (i, j) of different rows
are equally likely to stand in the batch, so the expected number is

    B (B - 1) * E / (N (N - 1)),    E = S + T - P,

where S, T and P are the numbers of ordered pairs of different rows with the
same source, the same target, and both: the sum of c (c - 1) over the number of
times c that each text (or pair of texts) occurs. No approximation is in it.
"""


def expected_accidental_negatives(
    batch: int, rows: int, equal: dict[str, int]
) -> float:
    """The expected number of accidental negatives in a batch.

    Each is one entry of the matrix of scores, batch x batch.

    Args:
      batch: B; of fewer rows, all are in the batch.
      rows: N.
      equal: S, T and P of "source", "target" and "pair".
    """
    if rows < 2:
        return 0.0
    batch = min(batch, rows)
    entries = equal["source"] + equal["target"] - equal["pair"]
    return batch * (batch - 1) * entries / (rows * (rows - 1))
