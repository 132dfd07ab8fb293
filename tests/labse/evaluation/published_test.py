"""Some figures as read from the paper, and sums that the tables must fulfil."""

import pytest

from labse.evaluation import published

_TABLES = [
    *(published.UN, published.TATOEBA, published.SENTEVAL, published.STS),
    *published.bucc({}),
]


def _value(table, model, title):
    titles = [column.title for column in table.columns]
    return table.rows[model][titles.index(title)]


@pytest.mark.parametrize(
    ("table", "model", "title", "value"),
    [
        (published.UN, "Yang et al. 2019a, Table 2", "en-fr", 86.1),
        (
            published.UN,
            "LaBSE (Base, custom vocabulary, AMS, PT), Table 2",
            "mean",
            89.5,
        ),
        (published.UN, "LaBSE Large, Table 8", "en-zh", 89.5),
        (published.UN, "LaBSE, hard negatives for es, Table 9", "en-es", 90.4),
        (published.TATOEBA, "m-USE, Table 5", "14", 93.9),
        (published.TATOEBA, "LASER, Table 5", "82", 75.9),
        (published.TATOEBA, "LaBSE, Table 5", "36", 95.0),
        (published.TATOEBA, "LaBSE, Table 5", "112", 83.7),
        (published.TATOEBA, "LaBSE, Table 5", "Figure 6", 60.5),
        (published.TATOEBA, "Base, mBERT vocabulary, PT, Table 2", "36", 92.7),
        (published.TATOEBA, "LaBSE Large, Table 8", "112", 83.8),
        (published.TATOEBA, "LaBSE Large, Table 8", "36", None),
        (published.SENTEVAL, "LaBSE", "SST", 83.8),
        (published.SENTEVAL, "LaBSE", "MRPC", 74.4),
        (published.SENTEVAL, "Skip-Thought LN", "TREC", None),
        (published.STS, "LaBSE", "test", 72.8),
        (published.STS, "m-USE", "dev", 83.7),
        (published.STS, "SentenceBERT", "dev", None),
        (published.bucc({})[0], "LaBSE", "de-en F1", 92.5),
        (published.bucc({})[0], "Yang et al. 2019a", "zh-en R", 90.9),
        (published.bucc({})[1], "Artetxe and Schwenk 2019a", "fr-en P", 77.2),
        (published.bucc({})[1], "Artetxe and Schwenk 2019a", "zh-en P", None),
    ],
)
def test_values_of_the_paper(table, model, title, value):
    assert _value(table, model, title) == value


@pytest.mark.parametrize("table", _TABLES, ids=lambda table: table.source)
def test_rows_fit_their_columns(table):
    assert table.source.startswith("Feng et al. 2022, Table")
    for values in table.rows.values():
        assert len(values) == len(table.columns)
        assert any(value is not None for value in values)


def test_means_of_the_un_languages():
    for values in published.UN.rows.values():
        # Each of four figures is rounded by up to 0.05, and so is their mean.
        assert values[4] == pytest.approx(sum(values[:4]) / 4, abs=0.1)


def test_f1_of_bucc():
    # Within rounding, but for 77.2 / 72.7 / 74.7, which the paper has so.
    for table in published.bucc({}):
        for values in table.rows.values():
            for at in range(0, 12, 3):
                precision, recall, f1 = values[at : at + 3]
                if f1 is not None:
                    assert f1 == pytest.approx(
                        2 * precision * recall / (precision + recall), abs=0.2
                    )


def test_names_of_rows():
    [forward, backward] = published.bucc({"de-en": "de-en training"})
    assert [column.row for column in forward.columns[::3]] == [
        *("fr-en", "de-en training", "ru-en", "zh-en"),
    ]
    assert forward.columns[4].figure == "forward_cosine_recall"
    assert backward.columns[2].figure == "backward_cosine_f1"
