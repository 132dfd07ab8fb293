import dataclasses
import functools
import re

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.pretraining import PretrainingConfig, PretrainingDataConfig
from labse.configs.schema import TokenizerConfig, TrainingConfig
from labse.data import lane_order
from labse.data.pretraining_reader import PretrainingReader, unpacked_batch
from labse.data.records.groups import PAIRS, TEXT
from labse.data.records.manifest import Manifest
from labse.data.records.tokens import TokenIds
from labse.data.records.writer import write_records
from labse.errors import InputError
from labse.features import MODEL_INPUTS
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary

FAIL = tf.data.experimental.ExternalStatePolicy.FAIL
LENGTH = 32
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]


def texts(count, seed, longest=9):
    """Words of one letter each."""
    random = np.random.default_rng(seed)
    return [
        " ".join(random.choice(list(LETTERS), random.integers(2, longest)))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(Vocabulary(PIECES))


@pytest.fixture(scope="module")
def records(tmp_path_factory, tokenizer):
    """From a kind, and whether as ids, to a folder and its manifest."""
    folder = tmp_path_factory.mktemp("records")
    lines = [f"{text}\ten" for text in texts(900, seed=0)]
    (folder / "text.tsv").write_text("\n".join(["text\tlanguage", *lines]))
    lines = map("\t".join, zip(texts(500, 1), texts(500, 2), strict=True))
    lines = ["source\ttarget", *lines]
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    found = {}
    for kind in (TEXT, PAIRS):
        for ids in (None, TokenIds(tokenizer, LENGTH)):
            out = folder / f"{kind}-{ids is not None}"
            write_records(
                [folder / f"{kind}.tsv"],
                out,
                kind=kind,
                shard_records=8,
                token_ids=ids,
            )
            manifest = Manifest.open(out, kind, tokenizer, LENGTH)
            found[kind, ids is not None] = out, manifest
    return found


def experiment(batch=64, share=0.5, packed=True, seed=3, **data):
    return PretrainingConfig(
        tokenizer=TokenizerConfig(max_length=LENGTH),
        training=TrainingConfig(global_batch_size=batch, seed=seed),
        data=PretrainingDataConfig(
            bilingual_share=share, packed=packed, **data
        ),
    )


@pytest.fixture(scope="module")
def make(records, tokenizer):
    @functools.cache
    def make_reader(config, ids, whole):
        del whole  # Another reader where it is another.
        return PretrainingReader(
            records[TEXT, ids], records[PAIRS, ids], tokenizer, config
        )

    return lambda config=None, ids=False: make_reader(
        config or experiment(), ids, lane_order.WHOLE
    )


def as_list(dataset):
    return list(dataset.as_numpy_iterator())


def assert_same(ones, others):
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def rows_of(batches):
    """The rows of some batches, in an order that does not depend on theirs."""
    found = []
    for batch in batches:
        names = sorted(batch)
        for row in range(len(batch["bilingual"])):
            found.append(tuple(batch[name][row].tobytes() for name in names))
    return sorted(found)


@pytest.fixture
def mode(monkeypatch, is_whole):
    """A small folder; or it is read as a large one is."""
    if not is_whole:
        monkeypatch.setattr(lane_order, "WHOLE", 0)


CASES = pytest.mark.parametrize(
    ("is_whole", "packed"), [(True, False), (False, True)]
)


@pytest.mark.parametrize("packed", [True, False])
def test_shapes_and_types(make, packed):
    config = experiment(packed=packed)
    spec = make(config).batches(range(2), 32, range(2)).element_spec
    names = {*MODEL_INPUTS}
    if packed:
        names |= {"sentence_numbers", "input_positions"}
    expected = {name: tf.TensorSpec([32, LENGTH], tf.int32) for name in names}
    for name in ("masked_lm_positions", "masked_lm_ids"):
        expected[name] = tf.TensorSpec([32, 80], tf.int32)
    expected["masked_lm_weights"] = tf.TensorSpec([32, 80], tf.float32)
    expected["bilingual"] = tf.TensorSpec([32], tf.int32)
    assert spec == expected


def unmasked(batch):
    """The ids before masking."""
    ids = batch["input_word_ids"].copy()
    row, entry = np.nonzero(batch["masked_lm_weights"])
    ids[row, batch["masked_lm_positions"][row, entry]] = batch["masked_lm_ids"][
        row, entry
    ]
    return ids


def sentences_of(batch):
    """Text, or source and target, of each sentence of a packed batch."""
    found = []
    for ids, numbers, types in zip(
        unmasked(batch),
        batch["sentence_numbers"],
        batch["input_type_ids"],
        strict=True,
    ):
        for number in range(1, numbers.max() + 1):
            own = ids[numbers == number].tolist()
            assert own[0] == 2 and own[-1] == 3
            kinds = types[numbers == number].tolist()
            words = " ".join(PIECES[each] for each in own[1:-1])
            sides = words.split(" [SEP] ")
            found.append(sides)
            first = 2 + len(sides[0].split())
            assert kinds == [0] * first + [1] * (len(own) - first)
    return found


def test_the_sentences_are_those_of_the_records(make):
    known = {(text,) for text in texts(900, 0)}
    known |= set(zip(texts(500, 1), texts(500, 2), strict=True))
    for batch in as_list(make().batches(range(4), 32, range(2))):
        assert batch["bilingual"].tolist() == [0] * 16 + [1] * 16
        found = list(map(tuple, sentences_of(batch)))
        assert set(found) <= known
        assert {len(each) for each in found} == {1, 2}
        # More than one a row, and full rows.
        assert len(found) > 2 * 32
        assert batch["input_mask"].mean() > 0.8
        np.testing.assert_array_equal(
            batch["input_mask"], batch["sentence_numbers"] > 0
        )
        total = batch["masked_lm_weights"].sum(axis=1)
        special = np.isin(unmasked(batch), [0, 2, 3]).sum(axis=1)
        np.testing.assert_array_equal(total, np.round(0.2 * (LENGTH - special)))


def test_nearly_every_record_comes_in_an_epoch(make):
    """900 texts in sequences of four records or so."""
    found = set()
    reader = make(experiment(share=0.0))
    steps = -(-900 // reader.readers[0].batch_size)
    for batch in as_list(reader.batches(range(steps + 1), 64)):
        found |= {tuple(each) for each in sentences_of(batch)}
    assert len(found) > 0.95 * len(set(texts(900, 0)))


@CASES
def test_a_later_start_gives_the_tail(make, mode, packed):
    config = experiment(batch=16, packed=packed)
    whole = as_list(make(config).batches(range(7), 16))
    later = as_list(make(config).batches(range(4, 7), 16))
    assert_same(later, whole[4:])
    assert as_list(make(config).batches(range(7, 7), 16)) == []
    # The control: other steps give other batches.
    assert rows_of(whole[:1]) != rows_of(whole[1:2])


def test_another_seed_gives_other_batches(make):
    one, other = (
        as_list(make(experiment(seed=seed)).batches(range(1), 64))
        for seed in (3, 4)
    )
    for kind in (0, 1):
        # Of both kinds, and not by masks alone.
        ids = [unmasked(each[0])[each[0]["bilingual"] == kind] for each in
               (one, other)]  # fmt: skip
        assert sorted(ids[0].tolist()) != sorted(ids[1].tolist())


@pytest.mark.parametrize("seed", [3, 2**7 + 3])
def test_the_kinds_have_orders_of_shards_of_their_own(make, seed):
    """Their own seeds, in 1,024 shards: of a lane, 16."""
    counts = np.full([1024, 1], 1000, np.int32)
    rates = np.array([2**20])
    orders = [
        lane_order.LaneOrder(counts, rates, 64, reader._order.seed)
        for reader in make(experiment(seed=seed)).readers
    ]
    for epoch in range(2):
        one, other = (each.part_order(0, epoch) for each in orders)
        assert sorted(one) == sorted(other) == list(range(16))
        assert one.tolist() != other.tolist()


@CASES
def test_all_numbers_of_hosts_see_the_same_sequences(make, mode, packed):
    """Up to eight, each with one unit of each kind; without packing, a row."""
    size = 128 if packed else 16
    reader = make(experiment(batch=size, packed=packed))
    whole = as_list(reader.batches(range(3, 5), size))
    for replicas in (2, 4, 8):
        rows = size // replicas
        found = as_list(reader.batches(range(3, 5), rows, range(replicas)))
        for step in range(2):
            batches = found[step * replicas : (step + 1) * replicas]
            for batch in batches:
                half = rows // 2
                assert batch["bilingual"].tolist() == [0] * half + [1] * half
            assert rows_of(batches) == rows_of(whole[step : step + 1])
    # One host fed all eight; now the last two have a host of their own.
    own = as_list(reader.batches(range(3, 5), rows, range(6, 8)))
    assert_same(own, [*found[6:8], *found[14:16]])


def test_ids_give_the_batches_of_texts(make):
    one, other = (
        as_list(make(ids=ids).batches(range(4), 64)) for ids in (False, True)
    )
    assert_same(one, other)


def test_masks_are_drawn_anew_in_each_epoch(make):
    """Of each text, the masks of several epochs."""
    reader = make(experiment(share=0.0, packed=False))
    masks = {}
    for batch in as_list(reader.batches(range(60), 64)):
        for ids, weights, positions in zip(
            unmasked(batch),
            batch["masked_lm_weights"],
            batch["masked_lm_positions"],
            strict=True,
        ):
            chosen = positions[weights > 0].tolist()
            masks.setdefault(ids.tobytes(), set()).add(tuple(chosen))
    # 60 * 64 / 900 = 4.3 epochs.
    assert np.mean([len(each) > 1 for each in masks.values()]) > 0.8


@pytest.mark.parametrize(("is_whole", "ids"), [(True, False), (False, True)])
def test_the_graph_has_no_state(make, mode, ids):
    dataset = make(experiment(batch=16), ids).batches(range(3, 9), 16)
    graph = dataset._as_serialized_graph(external_state_policy=FAIL)
    assert b"PyFunc" not in graph.numpy()


CLIENT = """
import sys
import tensorflow as tf
from labse.configs.pretraining import PretrainingConfig, PretrainingDataConfig
from labse.configs.schema import TokenizerConfig, TrainingConfig
from labse.data.pretraining_reader import PretrainingReader
from labse.data.records.manifest import Manifest
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
address, vocab, text, pairs = sys.argv[1:]
tf.config.experimental_connect_to_host(address)
config = PretrainingConfig(
    tokenizer=TokenizerConfig(max_length=32),
    training=TrainingConfig(global_batch_size=16, seed=3),
    data=PretrainingDataConfig(),
)
tokenizer = WordPieceTokenizer(Vocabulary.read(vocab))
reader = PretrainingReader(
    (text, Manifest.open(text, "text", tokenizer, 32)),
    (pairs, Manifest.open(pairs, "pairs", tokenizer, 32)),
    tokenizer,
    config,
)
local = list(reader.batches(range(2, 5), 16).as_numpy_iterator())
with tf.device("/job:worker/replica:0/task:0/device:CPU:0"):
    batches = iter(reader.batches(range(2, 5), 16))
    assert "/job:worker" in batches._iterator_resource.device
    for expected in local:
        batch = next(batches)
        with tf.device("/job:localhost/device:CPU:0"):
            for name, values in batch.items():
                assert (tf.identity(values).numpy() == expected[name]).all()
print("equal:", len(local))
"""


@pytest.mark.slow
def test_another_process_gives_the_same_batches(records, tmp_path, run_client):
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("".join(f"{piece}\n" for piece in PIECES))
    folders = [records[kind, True][0] for kind in (TEXT, PAIRS)]
    assert run_client(CLIENT, vocab, *folders) == "equal: 3"


def test_only_what_is_used_is_needed(records, tokenizer):
    for share, kinds in ((0.0, {0}), (1.0, {1})):
        reader = PretrainingReader(
            None if share else records[TEXT, False],
            records[PAIRS, False] if share else None,
            tokenizer,
            experiment(share=share),
        )
        assert len(reader.readers) == 1
        for batch in as_list(reader.batches(range(2), 64)):
            assert set(batch["bilingual"]) == kinds


def test_a_missing_kind_is_refused(records, tokenizer):
    with pytest.raises(InputError) as error:
        PretrainingReader(
            records[TEXT, False], None, tokenizer, experiment(share=0.25)
        )
    assert str(error.value) == (
        "data.bilingual_share=0.25 needs bilingual records. Received none. "
        "Give some, or set data.bilingual_share=0."
    )
    with pytest.raises(InputError, match="share=1"):
        PretrainingReader(None, records[PAIRS, False], tokenizer, experiment())


def test_a_batch_that_cannot_be_shared_is_refused(make):
    """See also `PretrainingConfig.check_replicas`."""
    with pytest.raises(InputError, match="Each replica .* and 1 replica. "):
        make(experiment(batch=60))
    with pytest.raises(InputError, match="leave none for bilingual records"):
        make(experiment(share=0.001))
    with pytest.raises(InputError, match="Each replica .* and 8 replicas. "):
        make().batches(range(1), 8, range(8))
    with pytest.raises(InputError) as error:
        make().batches(range(1), 30, range(2))
    assert str(error.value) == (
        "replica_batch_size must divide training.global_batch_size. Received: "
        "30 and 64."
    )


def test_fewer_records_than_a_batch_are_refused(make, records):
    folder = records[TEXT, False][0]
    with pytest.raises(InputError) as error:
        make(experiment(batch=2048))
    assert re.fullmatch(
        r"A global batch of 1024 sequences takes \d+ records here. Received "
        f"900 records in {folder}. Lower training.global_batch_size, or give "
        "more records.",
        str(error.value),
    )


def write(folder, rows):
    (folder / "t.tsv").write_text("\n".join(["text\tlanguage", *rows]))
    write_records([folder / "t.tsv"], folder / "records", kind=TEXT)
    return folder / "records", Manifest.open(folder / "records", TEXT)


def test_texts_too_short_to_mask_are_refused(tmp_path, tokenizer):
    records = write(tmp_path, ["a\ten"] * 95 + ["a b\ten"] * 5)
    with pytest.raises(InputError) as error:
        PretrainingReader(records, None, tokenizer, experiment(8, 0.0))
    assert str(error.value) == (
        "A text has at least two pieces that the vocabulary knows, so that one "
        f"can be predicted from the other. Received {records[0]}, where 5.0 % "
        "of the texts have them, of a sample of 100. Give sentences in place "
        "of words, or a vocabulary with the language's letters."
    )


def test_a_language_without_known_pieces_is_named(tmp_path, tokenizer):
    rows = ["a b c d e f\ten"] * 80 + ["яд ад еж еш ея\tru"] * 20
    with pytest.raises(InputError, match="0.0 % of the texts in ru have them"):
        PretrainingReader(
            write(tmp_path, rows), None, tokenizer, experiment(8, 0.0)
        )


def test_short_texts_are_warned_of(tmp_path, tokenizer, caplog):
    rows = ["a b c d\ten"] * 60 + ["a b c d e\ten"] * 40
    PretrainingReader(
        write(tmp_path, rows), None, tokenizer, experiment(8, 0.0)
    )
    assert "60 % of the texts have fewer than 5 pieces" in caplog.text


def test_a_language_without_records_is_refused(records, tokenizer):
    folder, manifest = records[TEXT, False]
    empty = manifest.groups[0]._replace(languages=("xx",), records=0)
    manifest = dataclasses.replace(manifest, groups=(*manifest.groups, empty))
    with pytest.raises(InputError, match="Received none in: xx"):
        PretrainingReader(
            (folder, manifest), None, tokenizer, experiment(8, 0.0)
        )


def test_unpacked_batch_by_hand(tokenizer):
    config = experiment()

    def make_batch(texts, numbers):
        found = unpacked_batch(
            texts, tokenizer, 8, config.masking, seed=5, numbers=numbers
        )
        return tf.nest.map_structure(lambda each: each.numpy(), found)

    batch = make_batch(tf.constant(["a b", "c d e f g h i"]), [0, 1])
    assert unmasked(batch).tolist() == [
        [2, 5, 6, 3, 0, 0, 0, 0],
        [2, 7, 8, 9, 10, 11, 12, 3],
    ]
    assert batch["input_mask"].tolist() == [[1] * 4 + [0] * 4, [1] * 8]
    assert batch["masked_lm_weights"].sum(axis=1).tolist() == [1, 1]
    assert batch["bilingual"].tolist() == [0, 0]
    assert "sentence_numbers" not in batch
    # A text with the same number has the same masks, wherever it stands.
    other = make_batch(tf.constant(["c d e f g h i", "a b"]), [1, 0])
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name][::-1])
    pair = make_batch((tf.constant(["a b c d"]), tf.constant(["e f"])), [0])
    assert unmasked(pair).tolist() == [[2, 5, 6, 7, 3, 9, 10, 3]]
    assert pair["input_type_ids"].tolist() == [[0] * 5 + [1] * 3]
    assert pair["bilingual"].tolist() == [1]
