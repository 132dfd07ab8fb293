import collections
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from labse.data import lane_order
from labse.data.record_order import example_order
from labse.data.record_reader import MISFIT, RecordReader
from labse.data.records.groups import TEXT
from labse.data.records.manifest import Manifest
from labse.data.records.writer import write_records
from labse.errors import InputError

SIZES = {"a": 50, "b": 12, "c": 3}
FAIL = tf.data.experimental.ExternalStatePolicy.FAIL


def make_folder(folder, sizes=SIZES, corpora=None, shard_records=1):
    """Texts "a 0", "a 1", ... of language a, and so on, as records."""
    source = folder / "texts.tsv"
    corpora = corpora or dict.fromkeys(sizes, "")
    rows = [
        f"{name} {number}\t{name}\t{corpora[name]}"
        for name, size in sizes.items()
        for number in range(size)
    ]
    source.write_text("\n".join(["text\tlanguage\tcorpus", *rows]) + "\n")
    out = folder / "records"
    write_records([source], out, kind=TEXT, seed=1, shard_records=shard_records)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """65 records in 128 shards."""
    return make_folder(tmp_path_factory.mktemp("records"))


@pytest.fixture
def by_shard(monkeypatch):
    """Small folders are read by lanes, as large ones are."""
    monkeypatch.setattr(lane_order, "WHOLE", 0)


def open_reader(folder, batch_size=16, seed=3, **options):
    manifest = Manifest.open(folder, TEXT)
    return RecordReader(folder, manifest, batch_size, seed, **options)


def text_of(record):
    features = tf.train.Example.FromString(record).features.feature
    return features["text"].bytes_list.value[0].decode()


def read(reader, steps, size=None, replicas=range(1)):
    size = size or reader.batch_size
    records = reader.records(steps, size, replicas)
    assert records.element_spec.dtype == tf.string
    found = [list(map(text_of, each)) for each in records.as_numpy_iterator()]
    assert all(len(each) == size for each in found)
    return found


MODES = pytest.mark.parametrize("is_whole", [True, False])


@pytest.fixture
def mode(request, is_whole):
    if not is_whole:
        request.getfixturevalue("by_shard")


@pytest.fixture(scope="module")
def uninterrupted(folder):
    """14 batches that one host reads, by mode and options; read once."""
    found = {}

    def call(is_whole, **options):
        key = (is_whole, *sorted(options.items()))
        if key not in found:
            found[key] = read(open_reader(folder, **options), range(14))
        return found[key]

    return call


@MODES
@pytest.mark.parametrize("options", [{}, {"language_exponent": 0.4}])
def test_a_batch_is_a_function_of_seed_and_step(
    folder, mode, is_whole, options, uninterrupted
):
    """Across several epochs: 65 records are four batches and a row."""
    whole = uninterrupted(is_whole, **options)
    assert len(whole) == 14
    for start in (1, 4, 7, 13):
        later = read(open_reader(folder, **options), range(start, 14))
        assert later == whole[start:]
    # The controls: steps and seeds differ.
    assert len({tuple(batch) for batch in whole}) == 14
    assert read(open_reader(folder, seed=4, **options), range(14)) != whole


@MODES
def test_no_steps_are_no_batches(folder, mode):
    assert read(open_reader(folder), range(5, 5)) == []


# Steps of one number of hosts, and how many replicas each host feeds.
@pytest.mark.parametrize(
    "hosts, replicas, steps",
    [
        (1, 2, range(3)),
        (4, 2, range(3, 6)),
        (2, 1, range(6, 9)),
        (8, 2, range(9, 11)),
        (2, 4, range(11, 14)),
    ],
)
@MODES
def test_the_number_of_hosts_may_change_in_the_middle(
    folder, mode, is_whole, hosts, replicas, steps, uninterrupted
):
    """All numbers of hosts see the same global batches."""
    reader = open_reader(folder, language_exponent=0.4)
    size = 16 // hosts // replicas
    parts = [
        read(
            reader,
            steps,
            size,
            range(replicas * host, replicas * (host + 1)),
        )
        for host in range(hosts)
    ]
    found = [
        [
            text
            for part in parts
            for each in part[replicas * step : replicas * (step + 1)]
            for text in each
        ]
        for step in range(len(steps))
    ]
    whole = uninterrupted(is_whole, language_exponent=0.4)
    assert found == whole[steps.start : steps.stop]


def test_each_epoch_has_every_record_once(tmp_path):
    """Of a small folder: 60 records in batches of 12."""
    reader = open_reader(make_folder(tmp_path, {"a": 40, "b": 20}), 12)
    batches = read(reader, range(15))
    orders = set()
    for epoch in range(3):
        texts = sum(batches[5 * epoch : 5 * epoch + 5], [])
        assert len(set(texts)) == 60
        orders.add(tuple(texts))
    assert len(orders) == 3


def test_each_epoch_of_a_lane_has_each_of_its_records_once(folder, by_shard):
    """One row of each batch comes from each of the 64 lanes."""
    counts = Manifest.open(folder, TEXT).counts
    batches = read(open_reader(folder, 64), range(24))
    seen = set()
    for lane in range(64):
        size = int(counts[lane::64].sum())
        rows = [batch[lane] for batch in batches]
        for start in range(0, 24 // size * size, size):
            assert len(set(rows[start : start + size])) == size
        seen |= set(rows)
    assert len(seen) == 65


def languages(batches):
    return collections.Counter(text[0] for batch in batches for text in batch)


def test_shares_of_a_small_folder_are_exact(tmp_path):
    """Roots of 64, 16 and 4 records: 8, 4 and 2 of 14 parts of 84."""
    folder = make_folder(tmp_path, {"a": 64, "b": 16, "c": 4})
    reader = open_reader(folder, 12, language_exponent=0.5)
    # 84 records are 7 batches.
    for epoch in range(3):
        batches = read(reader, range(7 * epoch, 7 * epoch + 7))
        assert languages(batches) == {"a": 48, "b": 24, "c": 12}
        # In each of them as in all, give or take one or two.
        for batch in batches:
            found = languages([batch])
            assert abs(found["a"] - 48 / 7) <= 2
            assert abs(found["b"] - 24 / 7) <= 2
            assert abs(found["c"] - 12 / 7) <= 2


def test_shares_by_corpus_weights(tmp_path):
    """Of 40 and 20 that count four times: 40 and 80 of each 120."""
    folder = make_folder(tmp_path, {"a": 40, "b": 20}, {"a": "x", "b": "y"})
    reader = open_reader(folder, 12, corpus_weights={"y": 4})
    batches = read(reader, range(50))
    assert languages(batches) == {"a": 200, "b": 400}
    # Each record of b 20 times, and each of a 5 times.
    counts = collections.Counter(sum(batches, []))
    assert {counts[f"a {number}"] for number in range(40)} == {5}
    assert {counts[f"b {number}"] for number in range(20)} == {20}


def test_shares_of_lanes(tmp_path, by_shard):
    """Roots of 6400, 1600 and 400 records."""
    folder = make_folder(
        tmp_path, {"a": 6400, "b": 1600, "c": 400}, shard_records=50
    )
    reader = open_reader(folder, 84, language_exponent=0.5)
    # A language is short of its share in an epoch by less than one example of
    # each of the 192 shards: spread by the phases, by far less.
    found = languages(read(reader, range(100)))
    assert found["a"] == pytest.approx(4800, rel=0.01)
    assert found["b"] == pytest.approx(2400, rel=0.01)
    assert found["c"] == pytest.approx(1200, rel=0.02)


@MODES
def test_a_group_goes_through_all_before_it_repeats_one(
    tmp_path, mode, is_whole
):
    """Of a small folder; or of each shard."""
    folder = make_folder(tmp_path, {"a": 640, "b": 128}, shard_records=6)
    reader = open_reader(folder, 64, language_exponent=0.3)
    batches = read(reader, range(60))
    if is_whole:
        for name in "ab":
            texts = [t for batch in batches for t in batch if t[0] == name]
            assert_rounds(texts)
    else:
        for texts in in_shards(folder, batches):
            assert_rounds(texts)


def assert_rounds(texts):
    """No text comes a second time before all others have come once."""
    counts = dict.fromkeys(texts, 0)
    for text in texts:
        assert counts[text] == min(counts.values())
        counts[text] += 1


def shard_of_texts(folder):
    found = {}
    for path in folder.glob("*.tfrecord"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            found[text_of(record)] = str(path)
    return found


def in_shards(folder, batches):
    """The texts that come from each shard and language, in their order."""
    shard_of = shard_of_texts(folder)
    found = collections.defaultdict(list)
    for text in sum(batches, []):
        found[shard_of[text], text[0]].append(text)
    return found.values()


@MODES
def test_the_shards_in_use_are_those_that_the_rows_come_from(
    folder, mode, is_whole
):
    shard_of = shard_of_texts(folder)
    reader = open_reader(folder)
    for step, batch in enumerate(read(reader, range(5, 9)), start=5):
        in_use = reader.parts_in_use(step)
        assert {shard_of[text] for text in batch} <= set(in_use)
        # Of a lane: the one in use, and two that are read ahead.
        assert len(in_use) == (128 if is_whole else 16 * 3)


def test_copies_stand_apart_in_a_small_folder(tmp_path):
    """200 records in batches of 150; 30 of 200 in batches with 20 of them."""
    folder = make_folder(tmp_path, {"a": 200})
    for batch in read(open_reader(folder, 150), range(40)):
        assert len(set(batch)) == 150
    (tmp_path / "two").mkdir()
    folder = make_folder(tmp_path / "two", {"a": 170, "b": 30})
    reader = open_reader(folder, 40, language_exponent=0.0)
    for batch in read(reader, range(40)):
        rows = languages([batch])
        assert abs(rows["b"] - 20) <= 2
        assert len(set(batch)) == 40


def numpy_order(groups, part, epoch, seed, rates, blocks):
    """The records of a part in an epoch's order, one group after another."""

    def mix(*values):
        state = 0
        for value in values:
            state = (state + value + 0x9E3779B97F4A7C15) % 2**64
            state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
            state ^= state >> 31
        return state

    placed = []
    for group, rate in enumerate(rates):
        members = np.flatnonzero(np.array(groups) == group).tolist()
        if not members:
            continue
        size = len(members)
        phase = part * 0x9E3779B97F4A7C15 + group * 0x6A09E667F3BCC909
        phase = phase % 2**64 >> 44
        start, stop = (
            (e * rate * size + phase) >> 20 for e in (epoch, epoch + 1)
        )
        for number in range(start, stop):
            round_, place = divmod(number, size)
            shuffled = sorted(
                members,
                key=lambda record, round_=round_: (
                    members.index(record) * blocks // size,
                    mix(seed, part, round_, record) >> 32,
                ),
            )
            number -= start
            chance = mix(seed + 1, part, epoch, group, number) >> 44
            key = (number * 2**20 + chance) / (stop - start)
            placed.append((key, len(placed), shuffled[place]))
    return [record for _, _, record in sorted(placed)]


@pytest.mark.parametrize("blocks", [1, 8])
def test_the_order_of_a_part_equals_its_slow_form(blocks):
    random = np.random.default_rng(2)
    groups = random.choice(4, 60, p=[0.6, 0.3, 0.1, 0])
    rates = np.array([2**20, 3 * 2**18, 2**23 + 7, 2**20])
    order = lane_order.LaneOrder(
        np.ones([64, 4], np.int32), rates, 8, seed=2**40 + 1
    )
    order.blocks = blocks
    for part, epoch in ((0, 0), (5, 1), (71, 1000)):
        found = example_order(
            tf.constant(groups, tf.int64),
            *(tf.constant(part, tf.int64), tf.constant(epoch, tf.int64)),
            order,
        )
        expected = numpy_order(
            groups, part, epoch, 2**40 + 1, rates.tolist(), blocks
        )
        assert found.numpy().tolist() == expected


@MODES
def test_the_graph_has_no_state(folder, mode):
    dataset = open_reader(folder).records(range(3, 9), 8, range(2))
    graph = dataset._as_serialized_graph(external_state_policy=FAIL)
    assert b"PyFunc" not in graph.numpy()
    # The control: a random op is state.
    random = tf.data.Dataset.range(3).map(lambda _: tf.random.uniform([]))
    with pytest.raises(tf.errors.FailedPreconditionError, match="stateful"):
        random._as_serialized_graph(external_state_policy=FAIL)


def test_no_file_of_the_folder_reads_by_python():
    root = pathlib.Path(lane_order.__file__).parent
    for path in root.glob("*.py"):
        calls = r"numpy_function|py_function|from_generator"
        assert not re.search(calls, path.read_text(encoding="utf-8")), path


CLIENT = """
import sys
import tensorflow as tf
from labse.data import lane_order
from labse.data.records.manifest import Manifest
from labse.data.record_reader import RecordReader
address, folder = sys.argv[1:]
tf.config.experimental_connect_to_host(address)
count = 0
for whole in (lane_order.WHOLE, 0):
    lane_order.WHOLE = whole
    reader = RecordReader(folder, Manifest.open(folder, "text"), 16, 3)
    local = list(reader.records(range(2, 9), 16).as_numpy_iterator())
    with tf.device("/job:worker/replica:0/task:0/device:CPU:0"):
        batches = iter(reader.records(range(2, 9), 16))
        assert "/job:worker" in batches._iterator_resource.device
        for expected in local:
            batch = next(batches)
            assert "/job:worker" in batch.device
            with tf.device("/job:localhost/device:CPU:0"):
                assert (tf.identity(batch).numpy() == expected).all()
            count += 1
print("equal:", count)
"""


def test_another_process_gives_the_same_batches(folder, run_client):
    assert run_client(CLIENT, folder) == "equal: 14"


def test_fewer_records_than_a_batch_are_refused(folder):
    with pytest.raises(InputError) as error:
        open_reader(folder, 256)
    assert str(error.value) == (
        "A global batch has at most as many rows as there are records. "
        "Received training.global_batch_size=256 and 65 records in "
        f"{folder}. Lower it, or give more records."
    )


def test_hosts_that_do_not_have_whole_lanes_are_refused(folder):
    reader = open_reader(folder, 48)
    for size, replicas, rows in (
        (8, range(0, 4), "0 to 31"),
        (8, range(4, 6), "32 to 47"),
        (4, range(2, 3), "8 to 11"),
    ):
        with pytest.raises(InputError) as error:
            reader.records(range(2), size, replicas)
        assert str(error.value) == (
            "Each host reads whole lanes of the global batch. Received a "
            "global batch of 48 records, which has 16 lanes of 3, and a host "
            f"with the records {rows}. Make training.global_batch_size a "
            "multiple of 64, and the number of hosts a power of two."
        )
    reader.records(range(2), 6, range(3, 5))


def test_a_shard_that_does_not_fit_the_counts_fails(folder, by_shard, tmp_path):
    copy = tmp_path / "records"
    shutil.copytree(folder, copy)
    manifest = Manifest.open(copy, TEXT)
    # Two shards with other counts change names.
    counts = manifest.counts.tolist()
    one = 0
    other = next(n for n in range(128) if counts[n] != counts[0])
    paths = [pathlib.Path(each) for each in manifest.paths(copy)]
    content = [paths[n].read_bytes() for n in (one, other)]
    paths[one].write_bytes(content[1])
    paths[other].write_bytes(content[0])
    reader = RecordReader(copy, manifest, 16, 3)
    message = f"{re.escape(str(paths[one]))}|{re.escape(str(paths[other]))}"
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"({message}): {MISFIT}"
    ):
        read(reader, range(8))


def test_a_small_folder_that_does_not_fit_the_counts_is_named(tmp_path):
    """It is read whole, so no shard is known."""
    folder = make_folder(tmp_path)
    reader = open_reader(folder)
    shards = reader.manifest.shards
    name = next(shard.name for shard in shards if shard.records == 1)
    (folder / name).write_bytes(b"")
    message = f"{re.escape(str(folder))}: {MISFIT}"
    with pytest.raises(tf.errors.OpError, match=message):
        read(reader, range(1))


@MODES
def test_a_folder_with_an_empty_shard(tmp_path, mode):
    """70 records in 128 shards, most of them with none or one."""
    folder = make_folder(tmp_path, {"a": 70}, shard_records=1)
    assert len(Manifest.open(folder, TEXT).counts) == 128
    batches = read(open_reader(folder, 14), range(10))
    assert len(set(sum(batches, []))) == 70


def test_the_order_of_this_version(tmp_path, monkeypatch):
    """A run that began with it has to be resumed by later versions."""
    small = make_folder(tmp_path, {"a": 6, "b": 3, "c": 2})
    reader = open_reader(small, 4, seed=7, language_exponent=0.5)
    assert read(reader, range(5)) == [
        ["b 0", "c 1", "a 5", "a 0"],
        ["b 2", "a 3", "c 0", "c 1"],
        ["a 2", "b 1", "a 4", "b 0"],
        ["c 0", "a 1", "b 2", "c 1"],
        ["a 5", "b 1", "a 0", "c 0"],
    ]
    monkeypatch.setattr(lane_order, "WHOLE", 0)
    (tmp_path / "lanes").mkdir()
    by_lanes = make_folder(
        tmp_path / "lanes", {"a": 100, "b": 28}, shard_records=2
    )
    reader = open_reader(by_lanes, 4, seed=7, language_exponent=0.5)
    assert read(reader, range(5, 8)) == [
        ["b 14", "a 14", "b 16", "a 5"],
        ["b 14", "a 97", "a 61", "b 1"],
        ["a 55", "a 12", "b 0", "b 1"],
    ]
