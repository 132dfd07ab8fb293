"""The batch of pre-training, and which replicas can share it."""

import pytest

from labse.configs import loading
from labse.configs.pretraining import PretrainingConfig, PretrainingDataConfig
from labse.configs.schema import TrainingConfig
from labse.errors import InputError


def load(*overrides):
    return loading.load("pretrain_tiny", overrides, PretrainingConfig)


def with_batch(size, share=0.5, packed=True):
    return PretrainingConfig(
        training=TrainingConfig(global_batch_size=size),
        data=PretrainingDataConfig(bilingual_share=share, packed=packed),
    )


def test_the_papers_batch_is_shared_by_512_cores():
    """Of 8192 sequences, eight of each kind for each."""
    config = loading.load("pretrain_base", (), PretrainingConfig)
    config.check_replicas(512)
    with pytest.raises(InputError, match="multiples of 8192, or set"):
        config.check_replicas(1024)


def test_units_that_do_not_divide_are_refused():
    with pytest.raises(InputError) as error:
        with_batch(64).check_replicas(8)
    assert str(error.value) == (
        "Each replica has the same number of sequences of each kind, in units "
        "of 8 that are packed together. Received training.global_batch_size="
        "64, with 32 sequences of translation pairs (data.bilingual_share="
        "0.5), and 8 replicas. Make both numbers multiples of 64, or set "
        "data.packed=false."
    )
    with_batch(128).check_replicas(8)
    with_batch(64, share=1).check_replicas(8)
    with_batch(64, packed=False).check_replicas(8)
    with pytest.raises(InputError, match="and 1 replica. Make"):
        with_batch(60).check_replicas(1)


def test_rows_that_do_not_divide_are_refused():
    with pytest.raises(InputError) as error:
        with_batch(48, 0.25, False).check_replicas(8)
    assert str(error.value) == (
        "Each replica has the same number of sequences of each kind. Received "
        "training.global_batch_size=48, with 12 sequences of translation pairs "
        "(data.bilingual_share=0.25), and 8 replicas. Make both numbers "
        "multiples of 8."
    )


@pytest.mark.parametrize(
    ("share", "kind"), [(0.001, "bilingual"), (0.999, "monolingual")]
)
def test_a_share_that_leaves_no_sequence_is_refused(share, kind):
    with pytest.raises(InputError) as error:
        with_batch(64, share).check_replicas(1)
    assert str(error.value) == (
        "A kind of records with a share has at least one sequence of a global "
        f"batch. Received data.bilingual_share={share} and training."
        f"global_batch_size=64, which leave none for {kind} records. Raise "
        "training.global_batch_size, or make the share 0 or 1."
    )


def test_the_smaller_batches_by_hand():
    # Two replicas have units of 8 of each kind: both kinds in sixteens.
    assert with_batch(100).batch_sizes(2, 100) == [32, 64, 96]
    assert with_batch(100, share=0).batch_sizes(2, 50) == [16, 32, 48]


@pytest.mark.parametrize("share", [0, 0.1, 0.25, 0.3, 0.5, 1])
@pytest.mark.parametrize("packed", [True, False])
def test_the_smaller_batches_are_those_that_are_accepted(share, packed):
    accepted = []
    for size in range(1, 500):
        try:
            with_batch(size, share, packed).check_replicas(2)
        except InputError:
            continue
        accepted.append(size)
    assert with_batch(500, share, packed).batch_sizes(2, 500) == accepted


def test_a_length_without_room_for_a_pair_is_refused():
    with pytest.raises(InputError) as error:
        load("tokenizer.max_length=4")
    assert str(error.value) == (
        "A sequence with a translation pair has at least 5 tokens, three of "
        "them [CLS] and [SEP]. Received tokenizer.max_length=4 and data."
        "bilingual_share=0.5. Raise the length, or set data.bilingual_share=0."
    )
    load("tokenizer.max_length=5")
    load("tokenizer.max_length=4", "data.bilingual_share=0")
