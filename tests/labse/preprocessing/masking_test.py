import numpy as np
import pytest
import tensorflow as tf

from labse.configs.pretraining import MaskingConfig
from labse.errors import InputError
from labse.preprocessing.masking import mask_tokens
from labse.preprocessing.vocabulary import Vocabulary

# Special pieces stand at the start, in the middle and at the end.
PIECES = ["[PAD]", "[unused1]", *(f"p{n}" for n in range(40)), "[UNK]", "[CLS]"]
PIECES += ["##", *(f"q{n}" for n in range(50)), "[SEP]", "[MASK]", "[unused2]"]
VOCABULARY = Vocabulary(PIECES)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SPECIAL_IDS = [PIECES.index(piece) for piece in SPECIAL]
PAD, UNK, CLS, SEP, MASK = SPECIAL_IDS
WORD_IDS = [n for n, piece in enumerate(PIECES) if piece[0] in "pq"]


def make_rows(counts, length, seed=0):
    """[CLS] pieces [SEP] padding, with an [UNK] after each third piece."""
    random = np.random.default_rng(seed)
    rows = np.full([len(counts), length], PAD, np.int32)
    for row, count in zip(rows, counts, strict=True):
        pieces = random.choice(WORD_IDS, count).tolist()
        words = []
        for start in range(0, count, 3):
            words += [*pieces[start : start + 3], UNK]
        row[: len(words) + 2] = [CLS, *words, SEP]
    return rows


def mask(ids, masking=None, seed=1, step=0, rows=None):
    rows = np.arange(len(ids)) if rows is None else rows
    ids, targets = mask_tokens(
        tf.constant(ids),
        VOCABULARY,
        masking or MaskingConfig(),
        seed,
        tf.constant(step, tf.int64),
        tf.constant(rows),
    )
    return ids.numpy(), *(
        targets[f"masked_lm_{name}"].numpy()
        for name in ("positions", "ids", "weights")
    )


def test_the_number_of_masked_tokens():
    """A fifth, at least one, at most 80; 0.2 * 12 = 2.4, 0.2 * 13 = 2.6."""
    counts = [0, 1, 2, 7, 8, 12, 13, 100, 398, 400, 402, 403, 450]
    expected = [0, 1, 1, 1, 2, 2, 3, 20, 80, 80, 80, 80, 80]
    ids = make_rows(counts, 620)
    _, positions, _, weights = mask(ids)
    assert positions.shape == weights.shape == (13, 80)
    assert weights.sum(axis=1).tolist() == expected
    # A half goes to the even number: of 10 tokens, a twentieth is 0 but at
    # least 1; of 30, 1.5 is 2; of 50, 2.5 is 2.
    weights = mask(make_rows([10, 30, 50], 99), MaskingConfig(share=0.05))[3]
    assert weights.sum(axis=1).tolist() == [1, 2, 2]


def test_the_cap():
    """Of the paper's 512 tokens 102 would be a fifth."""
    ids = make_rows([380], 512)
    assert mask(ids, MaskingConfig(max_masked=7))[3].sum() == 7
    # More than there are positions: all of the row are unused or real.
    _, positions, _, weights = mask(make_rows([3], 6), MaskingConfig(share=1.0))
    assert positions.shape == (1, 80)
    assert weights.sum() == 3 and set(positions[0, :3]) == {1, 2, 3}


def test_what_is_masked():
    ids = make_rows(np.arange(60) * 6, 512)
    masked, positions, originals, weights = mask(ids)
    used = weights > 0
    assert set(np.unique(weights)) == {0.0, 1.0}
    assert not positions[~used].any() and not originals[~used].any()
    for row in range(60):
        own = positions[row][used[row]]
        # Used ones come first, ascending, each once.
        assert used[row, : len(own)].all() and np.all(np.diff(own) > 0)
        assert (originals[row, : len(own)] == ids[row, own]).all()
        others = np.setdiff1d(np.arange(512), own)
        assert (masked[row, others] == ids[row, others]).all()
    assert not np.isin(originals[used], SPECIAL_IDS).any()


def test_shares_of_replacements():
    """Of 96,000 tokens; four standard deviations are 0.5 % at most."""
    ids = make_rows([400] * 1200, 600)
    masked, positions, originals, weights = mask(ids)
    assert weights.all()
    found = np.take_along_axis(masked, positions, axis=1)
    # A random piece is the same one once in 90 times.
    same = np.mean(found == originals)
    assert np.mean(found == MASK) == pytest.approx(0.8, abs=0.0055)
    assert same == pytest.approx(0.1 + 0.1 / 90, abs=0.004)
    random = found[(found != MASK) & (found != originals)]
    counts = np.bincount(random, minlength=len(PIECES))
    assert set(np.flatnonzero(counts)) == set(WORD_IDS)
    # About 9,490 of 90 pieces: chi-squared of 89 degrees of freedom has the
    # mean 89 and the standard deviation 13.
    expected = len(random) / 90
    chi = np.sum((counts[WORD_IDS] - expected) ** 2 / expected)
    assert 40 < chi < 145


def test_other_shares():
    ids = make_rows([400] * 100, 600)
    for masks, randoms in ((1.0, 0.0), (0.0, 0.0), (0.0, 1.0)):
        config = MaskingConfig(mask_share=masks, random_share=randoms)
        masked, positions, originals, _ = mask(ids, config)
        found = np.take_along_axis(masked, positions, axis=1)
        assert np.mean(found == MASK) == masks
        same = 1 - masks if not randoms else pytest.approx(1 / 90, abs=0.005)
        assert np.mean(found == originals) == same


def test_every_position_is_as_likely():
    """Of 30 tokens 6 are masked, 2,000 times: 400 times each."""
    row = make_rows([30], 50)
    ids = np.repeat(row, 2000, axis=0)
    _, positions, _, weights = mask(ids)
    counts = np.bincount(positions[weights > 0], minlength=50)
    allowed = np.isin(row[0], WORD_IDS)
    assert allowed.sum() == 30 and not counts[~allowed].any()
    # The variance is 2000 * 0.2 * 0.8 = 320: four standard deviations are 72.
    assert np.abs(counts[allowed] - 400).max() < 72
    # Two neighbours together: 2000 * 6/30 * 5/29 = 69, 4 of 8.
    chosen = np.zeros([2000, 50])
    row, entry = np.nonzero(weights)
    chosen[row, positions[row, entry]] = 1
    together = (chosen.T @ chosen)[np.ix_(allowed, allowed)]
    pairs = together[~np.eye(30, dtype=bool)]
    assert np.mean(pairs) == pytest.approx(69, abs=0.1)
    assert np.abs(pairs - 69).max() < 45


def test_masks_are_a_function_of_seed_step_and_row():
    ids = np.repeat(make_rows([100], 200), 16, axis=0)
    whole = mask(ids, step=2**40)
    for one, other in zip(whole, mask(ids, step=2**40), strict=True):
        np.testing.assert_array_equal(one, other)
    # Rows that other replicas have, or that stand elsewhere.
    for rows in (range(4, 8), range(15, -1, -3)):
        part = mask(ids[list(rows)], step=2**40, rows=list(rows))
        for one, other in zip(whole, part, strict=True):
            np.testing.assert_array_equal(one[list(rows)], other)
    # Other steps, seeds and rows: the positions are others, of a fifth of the
    # tokens the same.
    other_step = mask(ids, step=2**40 + 1)
    other_seed = mask(ids, seed=2, step=2**40)
    other_row = [np.roll(each, 1, axis=0) for each in whole]
    for other in (other_step, other_seed, other_row):
        same = [
            len(set(one) & set(two)) / 20
            for one, two in zip(
                whole[1][:, :20].tolist(), other[1][:, :20].tolist(),
                strict=True,
            )
        ]  # fmt: skip
        assert 0.1 < np.mean(same) < 0.3


def test_in_a_graph_shapes_are_static():
    @tf.function(input_signature=[tf.TensorSpec([4, 30], tf.int32)])
    def function(ids):
        return mask_tokens(
            *(ids, VOCABULARY, MaskingConfig(), 0),
            *(tf.constant(0, tf.int64), tf.range(4)),
        )

    ids, targets = function.get_concrete_function().structured_outputs
    assert ids.shape == [4, 30]
    assert {tuple(each.shape) for each in targets.values()} == {(4, 80)}


def test_a_vocabulary_without_mask_is_refused():
    with pytest.raises(InputError) as error:
        Vocabulary([p for p in PIECES if p != "[MASK]"], "vocab.txt")
    assert str(error.value) == (
        "vocab.txt: a vocabulary has [PAD] [UNK] [CLS] [SEP] [MASK], one a "
        "line. Missing in its 97 lines: [MASK]. Is it a WordPiece vocab.txt of "
        "BERT?"
    )
