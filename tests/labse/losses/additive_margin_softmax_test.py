import numpy as np
import pytest
import tensorflow as tf

from labse.losses.additive_margin_softmax import (
    Candidates,
    additive_margin_softmax,
    rank_both_directions,
)
from labse.losses.duplicate_texts import text_fingerprints


def unit_rows(random, rows, dim=5):
    vectors = random.normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def numpy_loss(queries, candidates, positives, allowed, scale, margin):
    """Eq. 1 and 2, pair by pair, in float64."""
    losses = []
    for row, query in enumerate(queries.astype(np.float64)):
        positive = positives[row]
        numerator = np.exp(scale * (query @ candidates[positive] - margin))
        total = numerator
        for column, candidate in enumerate(candidates.astype(np.float64)):
            if column != positive and allowed[row, column]:
                total += np.exp(scale * (query @ candidate))
        losses.append(-np.log(numerator / total))
    return np.array(losses)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_hand_arithmetic():
    # cos = [[1, 0], [0.6, 0.8]], scale 10, margin 0.3, source -> target:
    # row 0: 7 against 0; row 1: 5 against 6.
    source = np.array([[1.0, 0.0], [0.6, 0.8]], np.float32)
    target = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    loss = additive_margin_softmax(source, target, bidirectional=False)
    expected = [np.log1p(np.exp(-7.0)), np.log1p(np.exp(1.0))]
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)


def test_both_directions_against_numpy(random):
    source, target = unit_rows(random, 6), unit_rows(random, 6)
    everything = np.ones((6, 6), bool)
    forward = numpy_loss(source, target, range(6), everything, 20, 0.2)
    backward = numpy_loss(target, source, range(6), everything, 20, 0.2)
    loss = additive_margin_softmax(source, target, logit_scale=20, margin=0.2)
    np.testing.assert_allclose(loss, forward + backward, rtol=1e-5, atol=1e-6)


def test_local_rows_against_gathered_columns(random):
    source, target = unit_rows(random, 6), unit_rows(random, 6)
    whole = additive_margin_softmax(source, target)
    part = additive_margin_softmax(
        source[2:4],
        target[2:4],
        candidates=Candidates(source, target),
        first_row=2,
    )
    np.testing.assert_allclose(part, whole[2:4], rtol=1e-6)


def test_logits_are_local_times_global(random):
    """No tensor of the graph is as large as the global batch squared."""
    rows, columns = 4, 4096
    spec = tf.TensorSpec([rows, 8])
    all_spec = tf.TensorSpec([columns, 8])
    graph = (
        tf.function(
            lambda s, t, all_s, all_t: additive_margin_softmax(
                s, t, candidates=Candidates(all_s, all_t), first_row=8
            )
        )
        .get_concrete_function(spec, spec, all_spec, all_spec)
        .graph
    )
    sizes = [
        output.shape.num_elements() or 0
        for operation in graph.get_operations()
        for output in operation.outputs
    ]
    assert max(sizes) == columns * 8  # The candidates themselves.


def test_with_hard_negatives_logits_are_not_larger(random):
    rows, columns, negatives = 4, 4096, 2 * 4096

    def loss(local, source, target, texts, hard_negatives, negative_texts):
        forward, _ = rank_both_directions(
            local,
            local,
            Candidates(
                source, target, texts, texts, hard_negatives, negative_texts
            ),
            first_row=8,
            logit_scale=10.0,
            margin=0.3,
        )
        return forward.loss

    graph = (
        tf.function(loss)
        .get_concrete_function(
            tf.TensorSpec([rows, 8]),
            *[tf.TensorSpec([columns, 8])] * 2,
            tf.TensorSpec([columns, 2], tf.int32),
            tf.TensorSpec([negatives, 8]),
            tf.TensorSpec([negatives, 2], tf.int32),
        )
        .graph
    )
    sizes = [
        output.shape.num_elements() or 0
        for operation in graph.get_operations()
        for output in operation.outputs
    ]
    assert max(sizes) == (columns + negatives) * 8


def test_translations_off_the_diagonal_are_no_negatives(random):
    source, target = unit_rows(random, 4), unit_rows(random, 4)
    # Pairs 0 and 2 have the same source text, 1 and 3 the same target text.
    source_texts = np.array([[1], [2], [1], [3]], np.int32)
    target_texts = np.array([[5], [6], [7], [6]], np.int32)
    allowed = np.ones((4, 4), bool)
    for i, j in ((0, 2), (1, 3)):
        allowed[i, j] = allowed[j, i] = False
    forward, backward = rank_both_directions(
        source,
        target,
        Candidates(source, target, source_texts, target_texts),
        first_row=0,
        logit_scale=10.0,
        margin=0.3,
    )
    expected = numpy_loss(source, target, range(4), allowed, 10, 0.3)
    np.testing.assert_allclose(forward.loss, expected, rtol=1e-5, atol=1e-6)
    expected = numpy_loss(target, source, range(4), allowed, 10, 0.3)
    np.testing.assert_allclose(backward.loss, expected, rtol=1e-5, atol=1e-6)
    # Texts, not columns: for pairs 0 and 2, the 6 of both 1 and 3.
    np.testing.assert_array_equal(forward.num_negatives, [1, 2, 1, 2])
    np.testing.assert_array_equal(backward.num_negatives, [2, 1, 2, 1])


def test_hard_negatives_compete_from_source_to_target_only(random):
    source, target = unit_rows(random, 3), unit_rows(random, 3)
    negatives = unit_rows(random, 4)
    texts = np.array([[1], [2], [3]], np.int32)
    # The first hard negative is the text of pair 1's target.
    negative_texts = np.array([[2], [7], [8], [9]], np.int32)
    forward, backward = rank_both_directions(
        source,
        target,
        Candidates(source, target, texts, texts, negatives, negative_texts),
        first_row=0,
        logit_scale=10.0,
        margin=0.3,
    )
    allowed = np.ones((3, 7), bool)
    allowed[1, 3] = False
    columns = np.concatenate([target, negatives])
    expected = numpy_loss(source, columns, range(3), allowed, 10, 0.3)
    np.testing.assert_allclose(forward.loss, expected, rtol=1e-5, atol=1e-6)
    expected = numpy_loss(target, source, range(3), allowed, 10, 0.3)
    np.testing.assert_allclose(backward.loss, expected, rtol=1e-5, atol=1e-6)
    # Two other targets and 7, 8, 9: the first hard negative adds no text.
    np.testing.assert_array_equal(forward.num_negatives, [5, 5, 5])


def naive_no_negatives(source_texts, target_texts, negative_texts, present):
    """By the definition: [rows, negatives], 1 where one does not count."""
    result = np.zeros([len(source_texts), len(negative_texts)], int)
    for row, (source, target) in enumerate(
        zip(source_texts, target_texts, strict=True)
    ):
        translations = {
            other_target
            for other_source, other_target in zip(
                source_texts, target_texts, strict=True
            )
            if other_source == source or other_target == target
        }
        for column, text in enumerate(negative_texts):
            result[row, column] = text in translations or not present[column]
    return result


def competing_texts(rows, columns):
    """By the definition: for each row, the set of its negatives' texts."""
    pairs = list(zip(rows, columns, strict=True))
    return [
        {other for row, other in pairs if row != own and other != positive}
        for own, positive in pairs
    ]


def test_copies_of_a_text_are_one_negative(random):
    """A a, A a, B b, B c, D c and E c, the pairs of a batch.

    For A a: b, c. For B b: a and, because of D and E, c. For B c: only a,
    because b is another translation of B. For D c: a, b.
    """
    source_texts = np.array([[1], [1], [2], [2], [4], [5]], np.int32)
    target_texts = np.array([[6], [6], [7], [8], [8], [8]], np.int32)
    unit = unit_rows(random, 6)
    candidates = Candidates(unit, unit, source_texts, target_texts)
    forward, backward = rank_both_directions(
        unit, unit, candidates, first_row=0, logit_scale=10.0, margin=0.3
    )
    np.testing.assert_array_equal(forward.num_negatives, [2, 2, 2, 1, 2, 2])
    # Sources against a: B, D, E; b: A, D, E; c of B: A; c of D and of E: A, B.
    np.testing.assert_array_equal(backward.num_negatives, [3, 3, 3, 1, 2, 2])
    # Nothing tells copies apart without the texts.
    plain, _ = rank_both_directions(
        unit,
        unit,
        Candidates(unit, unit),
        first_row=0,
        logit_scale=10.0,
        margin=0.3,
    )
    np.testing.assert_array_equal(plain.num_negatives, [5] * 6)


def test_hard_negatives_that_translate_in_the_batch_do_not_count(random):
    """Pairs with a text in common lend each other their translations."""
    for _ in range(20):
        # Few numbers, and both ends of int32, so that equal ones abound.
        numbers = random.choice([-(2**31), -7, 0, 3, 2**31 - 1], [3, 9, 2])
        texts = [[tuple(text) for text in side] for side in numbers.tolist()]
        present = random.integers(0, 2, 9)
        unit = unit_rows(random, 9)
        forward, backward = rank_both_directions(
            unit,
            unit,
            Candidates(
                unit,
                unit,
                *numbers[:2].astype(np.int32),
                unit,
                numbers[2].astype(np.int32),
                present.astype(np.int32),
            ),
            first_row=0,
            logit_scale=10.0,
            margin=0.3,
        )
        left_out = naive_no_negatives(*texts, present)
        sources, targets, hard = texts
        competing = [
            other_targets | {hard[j] for j in np.flatnonzero(1 - out)}
            for other_targets, out in zip(
                competing_texts(sources, targets), left_out, strict=True
            )
        ]
        np.testing.assert_array_equal(
            forward.num_negatives, list(map(len, competing))
        )
        competing = competing_texts(targets, sources)
        np.testing.assert_array_equal(
            backward.num_negatives, list(map(len, competing))
        )


def test_rows_of_a_replica_know_the_whole_batch(random):
    """Also compiled by XLA."""
    numbers = random.integers(0, 4, [3, 8, 2]).astype(np.int32)
    unit = unit_rows(random, 8)
    candidates = Candidates(unit, unit, *numbers[:2], unit, numbers[2])

    def loss(first_row, rows):
        forward, _ = rank_both_directions(
            unit[first_row : first_row + rows],
            unit[first_row : first_row + rows],
            candidates,
            first_row=first_row,
            logit_scale=10.0,
            margin=0.3,
        )
        return forward.loss

    whole = loss(0, 8)
    compiled = tf.function(lambda: loss(4, 2), jit_compile=True)
    np.testing.assert_allclose(loss(4, 2), whole[4:6], rtol=1e-6)
    np.testing.assert_allclose(compiled(), whole[4:6], rtol=1e-5)


def test_a_hard_negative_that_is_not_there_changes_nothing(random):
    source, target = unit_rows(random, 3), unit_rows(random, 3)
    negatives = unit_rows(random, 4)

    def loss(kept, mask):
        forward, _ = rank_both_directions(
            source,
            target,
            Candidates(
                source,
                target,
                hard_negatives=negatives[kept],
                hard_negative_mask=np.array(mask, np.int32),
            ),
            first_row=0,
            logit_scale=10.0,
            margin=0.3,
        )
        return forward.loss

    masked = loss([0, 1, 2, 3], [1, 0, 1, 0])
    np.testing.assert_allclose(masked, loss([0, 2], [1, 1]), rtol=1e-6)
    # The control.
    assert np.abs(masked - loss([0, 1, 2, 3], [1, 1, 1, 1])).max() > 0.01


def test_accuracy_is_that_of_the_cosines():
    # Row 1 is closer to target 0 by cosine; row 0 wins only without a margin,
    # which accuracy does not have: 0.9 against 0.8, with margin 0.6.
    source = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    target = np.array([[0.9, 0.4359], [0.8, 0.6]], np.float32)
    forward, _ = rank_both_directions(
        source,
        target,
        Candidates(source, target),
        first_row=0,
        logit_scale=10.0,
        margin=0.3,
    )
    np.testing.assert_array_equal(forward.correct, [True, False])


def test_gradient_against_finite_differences(random):
    source, target = unit_rows(random, 4), unit_rows(random, 4)
    variable = tf.Variable(source)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(additive_margin_softmax(variable, target))
    gradient = tape.gradient(loss, variable).numpy()
    everything = np.ones((4, 4), bool)

    def total(rows):
        return (
            numpy_loss(rows, target, range(4), everything, 10, 0.3).sum()
            + numpy_loss(target, rows, range(4), everything, 10, 0.3).sum()
        )

    for index in ((0, 0), (1, 3), (3, 4)):
        step = np.zeros(source.shape)
        step[index] = 1e-5
        slope = (total(source + step) - total(source - step)) / 2e-5
        np.testing.assert_allclose(gradient[index], slope, rtol=2e-3, atol=1e-4)


def test_bfloat16_embeddings_give_a_float32_loss(random):
    source, target = unit_rows(random, 8), unit_rows(random, 8)
    exact = additive_margin_softmax(source, target)
    loss = additive_margin_softmax(
        tf.cast(source, tf.bfloat16), tf.cast(target, tf.bfloat16)
    )
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, exact, rtol=0.02, atol=0.02)


def test_fingerprints_do_not_see_padding_and_see_order():
    short = tf.constant([[7, 8, 9]]), tf.constant([[1, 1, 1]])
    padded = tf.constant([[7, 8, 9, 0, 0]]), tf.constant([[1, 1, 1, 0, 0]])
    swapped = tf.constant([[8, 7, 9]]), tf.constant([[1, 1, 1]])
    np.testing.assert_array_equal(
        text_fingerprints(*short), text_fingerprints(*padded)
    )
    assert np.any(text_fingerprints(*short) != text_fingerprints(*swapped))


def test_fingerprints_of_different_texts_differ(random):
    ids = random.integers(0, 500_000, size=(100_000, 6)).astype(np.int32)
    prints = text_fingerprints(ids, np.ones_like(ids)).numpy()
    assert len(np.unique(prints, axis=0)) == len(np.unique(ids, axis=0))
