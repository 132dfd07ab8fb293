"""What `encode` takes: one vector a sentence, or one clear error."""

import array
import collections
import re
import sqlite3

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.errors import InputError

TWO = ["hello world", "the"]
Row = collections.namedtuple("Row", "text label")


@pytest.fixture(scope="module")
def model(small_run):
    return labse.load(small_run)


@pytest.fixture(scope="module")
def expected(model):
    vectors = model.encode(TWO)
    # Were they alike, an exchange would not be noticed.
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    return vectors


def assert_rows(vectors, expected):
    assert vectors.shape == expected.shape and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "two",
    [
        [{"text": text} for text in TWO],
        [{"text": TWO[0], "label": "x"}, {"label": "y", "text": TWO[1]}],
        [{"text": TWO[0].encode()}, TWO[1]],
        # MTEB's.
        [{"text": TWO}],
        [{"text": TWO[:1]}, {"text": []}, {"text": np.array(TWO[1:])}],
        {"text": TWO},
        {"text": tf.constant(TWO)},
        [text.encode() for text in TWO],
        [np.bytes_(TWO[0]), bytearray(TWO[1], "utf-8")],
        np.array(TWO, "S"),
        np.array(TWO, np.dtypes.StringDType()),
        [np.array(TWO[0]), np.array(TWO[1].encode(), object)],
        tf.constant(TWO),
        tf.Variable(TWO),
        [tf.constant(TWO[0]), tf.constant(TWO[1])],
        tf.data.Dataset.from_tensor_slices(TWO),
        tf.data.Dataset.from_tensor_slices(TWO).repeat().take(2),
        tf.data.Dataset.from_tensor_slices({"text": TWO}),
        tf.data.Dataset.from_tensor_slices({"text": TWO}).batch(2),
    ],
)
def test_two_texts_are_two_vectors(model, expected, two):
    assert_rows(model.encode(two), expected)
    assert_rows(model.encode(two, show_progress_bar=True), expected)


@pytest.mark.parametrize(
    "one",
    [
        TWO[0].encode(),
        np.bytes_(TWO[0]),
        np.str_(TWO[0]),
        memoryview(TWO[0].encode()),
        memoryview(bytearray(TWO[0].encode())),
        memoryview(TWO[0].encode()).cast("c"),
        np.array(TWO[0]),
        np.array(TWO[0], object),
        np.array(TWO[0].encode()),
        tf.constant(TWO[0]),
        {"text": TWO[0]},
        {"text": TWO[0], "label": "the"},
    ],
)
def test_one_text_is_one_vector(model, expected, one):
    assert_rows(model.encode(one), expected[0])
    assert_rows(model.encode([one]), expected[:1])


@pytest.mark.parametrize("kind", ["i", "b", "H", "d"])
def test_a_view_of_numbers_is_no_text(model, kind):
    view = memoryview(array.array(kind, [1, 2, 3]))
    with pytest.raises(InputError, match="at index 0: (int|float)"):
        model.encode(view)
    with pytest.raises(InputError, match="at index 0: memoryview"):
        model.encode([view])


def test_columns_of_tables(model, expected):
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    table = pandas.DataFrame({"text": TWO, "label": ["a", "b"]})
    data = datasets.Dataset.from_dict({"text": TWO, "label": ["a", "b"]})
    for column in (
        table["text"],
        table["text"].astype("category"),
        table["text"].astype("string"),
        table.set_index("label")["text"],
        table.to_dict("records"),
        data,
        data["text"],
        arrow.array(TWO),
        arrow.chunked_array([TWO[:1], TWO[1:]]),
    ):
        assert_rows(model.encode(column), expected)


def test_tables_and_their_rows_are_refused(model):
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    table = pandas.DataFrame({"text": TWO, "label": ["a", "b"]})
    for given, message in [
        (table, r"a table (DataFrame). Pass its column"),
        (table[["text"]], "a table (DataFrame)"),
        (table[:0], "a table (DataFrame)"),
        (arrow.table({"text": TWO}), "a table (Table)"),
        (arrow.record_batch({"text": TWO}), "a table (RecordBatch)"),
        (table.iloc[0], "a row (Series)"),
        ([row for _, row in table.iterrows()], "at index 0: Series"),
        (table.itertuples(), "at index 0: Pandas"),
        (table.values, "at index 0: ndarray of shape (2,)"),
        (
            datasets.Dataset.from_dict({"sentence": TWO}),
            "at index 0: dict with the keys sentence",
        ),
        (pandas.Series(["a", None]), "at index 1: "),
        (arrow.array(["a", None]), "at index 1: StringScalar"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            model.encode(given)


def row_of_sqlite():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    return connection.execute("select 'a' as text, 'b' as label").fetchone()


RECORDS = np.array([("a", "b")], [("text", "U3"), ("label", "U3")])


@pytest.mark.parametrize(
    "given, message",
    [
        ({"hello": "world"}, 'a row (dict), whose fields .*row["text"]'),
        ({}, "a row (dict)"),
        (dict.fromkeys(TWO), "a row (dict)"),
        (collections.Counter(TWO), "a row (Counter)"),
        (
            [{"sentence": "a", "n": 1}],
            "at index 0: dict with the keys sentence, n",
        ),
        ([{}], "dict with the keys (none)"),
        ({"text": None}, "Received: NoneType"),
        ([{"text": [["a"]]}], "at index 0: list"),
        ([{"text": {"a": "b"}}], "a row (dict)"),
        (Row("a", "b"), "a row (Row)"),
        ([Row("a", "b")], "at index 0: Row"),
        (row_of_sqlite(), "a row (Row)"),
        ([row_of_sqlite()], "at index 0: Row"),
        (RECORDS, "at index 0: void"),
        (RECORDS[0], "a row (void)"),
        (np.array(3.0), "Received: ndarray of shape ()"),
        (np.array([1.0]), "at index 0: float64"),
        (np.ma.array(TWO, mask=[0, 1]), "at index 1: MaskedConstant"),
        (tf.constant([["a"]]), "at index 0: ndarray of shape (1,)"),
        (tf.constant(1.0), "a tensor of float32"),
        (tf.constant([1]), "a tensor of int32"),
        (tf.ragged.constant([["a"], []]), "RaggedTensor"),
        (tf.sparse.from_dense([["a"]]), "SparseTensor"),
        ([tf.constant(["a"])], "at index 0: EagerTensor of shape (1,)"),
        (tf.data.Dataset.from_tensors(["a", "b"]), "EagerTensor of shape (2,)"),
        (None, "Received: NoneType"),
        (str, "Received: type"),
        ([("a", "b")], "at index 0: tuple"),
        (["a", b"\xffb"], "0xff at byte 1 .*at index 1"),
        (b"ab\xc3", "0xc3 at byte 3 "),
    ],
)
def test_all_else_is_one_clear_error(model, given, message):
    pattern = ".*".join(map(re.escape, message.split(".*")))
    with pytest.raises(InputError, match=pattern):
        model.encode(given)


def test_a_tensor_of_a_graph_is_refused(model):
    @tf.function(autograph=False)
    def embed(texts):
        return model.encode(texts)

    for texts in (tf.constant("a"), tf.constant(["a"])):
        with pytest.raises(InputError, match="inside a graph"):
            embed(texts)


def test_models_that_take_strings_do_the_same(text_export):
    model = labse.load(text_export)
    vectors = model.encode(["ab", "b"])
    assert_rows(model.encode([{"text": "ab"}, {"text": "b"}]), vectors)
    assert_rows(model.encode(tf.constant([b"ab", b"b"])), vectors)
    with pytest.raises(InputError, match="a row"):
        model.encode({"ab": 1})
