"""The paper's tables of results, as published, each figure once.

All of Feng et al., "Language-agnostic BERT Sentence Embedding", ACL 2022
(https://aclanthology.org/2022.acl-long.62/), in per cent. A report shows them
beside the evaluated models; nothing is computed from them.
"""

import dataclasses
from collections.abc import Mapping, Sequence

PAPER = "Feng et al. 2022"
_Values = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a published table, and which of our figures belongs in it.

    Attributes:
      title: of the column.
      row: the name of a row, or of a group of rows, of the task's result.
      figure: the name of its figure.
    """

    title: str
    row: str
    figure: str


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """Published rows for a task's report.

    Attributes:
      source: the publication, and the table in it.
      description: what was measured, on what.
      columns: as many as each row has values.
      rows: by the name of the model; None where nothing was published.
    """

    source: str
    description: str
    columns: Sequence[Column]
    rows: Mapping[str, _Values]


def _table(text: str) -> dict[str, _Values]:
    """Lines of `model | value value ...`, - for none; slashes are for eyes."""
    rows = {}
    for line in text.strip().splitlines():
        model, values = line.split("|")
        rows[model.strip()] = tuple(
            None if value == "-" else float(value)
            for value in values.replace("/", " ").split()
        )
    return rows


def _part(rows: Mapping[str, _Values], start: int, end: int, name: str = ""):
    """Some columns of a table, without the rows that are empty there."""
    return {
        model + name: values[start:end]
        for model, values in rows.items()
        if any(value is not None for value in values[start:end])
    }


# UN P@1, en -> es fr ru zh and their mean; Tatoeba P@1, xx -> en, the mean over
# 36 languages and over all 112. AMS: additive margin softmax; PT: pre-training.
TABLE_2 = _table("""
LASER (Artetxe and Schwenk 2019b)   | -    -    -    -    -     84.4 65.5
m-USE (Yang et al. 2019b)           | 86.1 83.3 88.9 78.8 84.3  -    -
Yang et al. 2019a                   | 89.0 86.1 89.2 87.9 88.1  -    -
Base, mBERT vocabulary              | 67.7 57.0 70.2 71.9 66.7  92.8 79.1
Base, mBERT vocabulary, PT          | 68.5 59.8 65.8 71.7 66.5  92.7 78.6
Base, mBERT vocabulary, AMS         | 88.2 84.5 88.6 86.4 86.9  93.7 81.2
Base, mBERT vocabulary, AMS, PT     | 89.3 85.7 89.3 87.2 87.9  93.2 78.4
Base, custom vocabulary, AMS        | 90.6 86.5 89.5 86.8 88.4  94.8 82.6
LaBSE (Base, custom vocabulary, AMS, PT) | 91.1 88.3 90.8 87.7 89.5  95.0 83.7
""")

# BUCC: precision / recall / F1 of fr-en, de-en, ru-en and zh-en.
TABLE_3_FORWARD = _table("""
Artetxe and Schwenk 2019a | 82.1/74.2/78.0 78.9/75.1/77.0 -/-/- -/-/-
Yang et al. 2019a | 86.7/85.6/86.1 90.3/88.0/89.2 84.6/91.1/87.7 86.7/90.9/88.8
LaBSE             | 86.6/90.9/88.7 92.3/92.7/92.5 86.1/91.9/88.9 88.2/89.7/88.9
""")
TABLE_3_BACKWARD = _table("""
Artetxe and Schwenk 2019a | 77.2/72.7/74.7 79.0/73.1/75.9 -/-/- -/-/-
Yang et al. 2019a | 83.8/85.5/84.6 89.3/87.7/88.5 83.6/90.5/86.9 88.7/87.5/88.1
LaBSE             | 87.1/88.4/87.8 91.3/92.7/92.0 86.3/90.7/88.4 87.8/90.3/89.0
""")

# SentEval: accuracy on MR CR SUBJ MPQA TREC SST MRPC.
TABLE_4 = _table("""
InferSent            | 81.1 86.3 92.4 90.2 88.2 84.6 76.2
Skip-Thought LN      | 79.4 83.1 93.7 89.3 -    -    -
Quick-Thought        | 82.4 86.0 94.8 90.2 92.4 87.6 76.9
USE (transformer)    | 82.2 84.2 95.5 88.1 93.2 83.7 -
m-USE (transformer)  | 78.1 87.0 92.1 89.9 96.6 80.9 -
LaBSE                | 79.1 86.7 93.6 89.6 92.6 83.8 74.4
""")

# Tatoeba: the mean over 14, 36, 82 and 112 languages; of LaBSE also the mean
# over the languages without training data, in the text beside Figure 6.
TABLE_5 = _table("""
m-USE | 93.9 -    -    -    -
LASER | 95.3 84.4 75.9 65.5 -
LaBSE | 95.3 95.0 87.3 83.7 60.5
""")

# STS benchmark: Pearson's r of arccos similarity, dev and test.
TABLE_6 = _table("""
SentenceBERT                              | -    79.2
m-USE                                     | 83.7 82.5
USE                                       | 80.2 76.6
ConvEmbed                                 | 81.4 78.2
InferSent (cosine)                        | 80.1 75.6
LaBSE                                     | 74.3 72.8
SentenceBERT-STS (tuned on the benchmark) | -    86.1
ConvEmbed (tuned on the benchmark)        | 83.5 80.8
""")

# Columns of Table 2; LaBSE's own row is there.
TABLE_8 = _table("""
LaBSE Large | 90.9 87.9 89.4 89.5 89.4  - 83.8
""")
TABLE_9 = _table("""
LaBSE, hard negatives for es | 90.4 87.1 89.9 87.2 88.7  - -
""")

_UN_AND_TATOEBA = (
    (TABLE_2, ", Table 2"),
    (TABLE_8, ", Table 8"),
    (TABLE_9, ", Table 9"),
)
UN_LANGUAGES = ("es", "fr", "ru", "zh")
UN_GROUP = f"en to {', '.join(UN_LANGUAGES)}"

UN = PublishedTable(
    f"{PAPER}, Tables 2, 8 and 9",
    "P@1 on the UN corpus, among the 11.3 million sentences of its 86,000 "
    "documents (about 9.5 million without repetitions); a test set of fewer "
    "lines is easier.",
    [
        *(Column(f"en-{x}", f"en-{x}", "accuracy") for x in UN_LANGUAGES),
        Column("mean", UN_GROUP, "accuracy"),
    ],
    {
        model: values
        for table, name in _UN_AND_TATOEBA
        for model, values in _part(table, 0, 5, name).items()
    },
)

TATOEBA = PublishedTable(
    f"{PAPER}, Tables 2, 5 and 8 and Figure 6",
    "P@1 of xx to English, the mean over groups of languages. For the paper's "
    "82 languages, which it does not list, the 83 of LASER's documentation are "
    "used; for Figure 6's 30 and more languages without training data, the 36 "
    "that are not in Table 10.",
    [
        Column(title, group, "target_to_source")
        for title, group in (
            *(("14", "14"), ("36", "36"), ("82", "in LASER"), ("112", "112")),
            ("Figure 6", "not in LaBSE"),
        )
    ],
    {
        **{f"{model}, Table 5": row for model, row in TABLE_5.items()},
        **{
            model: (None, languages_36, None, languages_112, None)
            for table, name in _UN_AND_TATOEBA
            for model, (languages_36, languages_112) in _part(
                table, 5, 7, name
            ).items()
        },
    },
)

SENTEVAL = PublishedTable(
    f"{PAPER}, Table 4",
    "Accuracy.",
    [
        Column("SST" if name == "SST2" else name, name, "accuracy")
        for name in ("MR", "CR", "SUBJ", "MPQA", "TREC", "SST2", "MRPC")
    ],
    TABLE_4,
)

STS = PublishedTable(
    f"{PAPER}, Table 6",
    "Pearson's r of the similarity by arccos with the scores that people gave.",
    [Column(name, name, "pearson_arccos") for name in ("dev", "test")],
    TABLE_6,
)


def bucc(row_names: Mapping[str, str]) -> list[PublishedTable]:
    """Table 3, forward and backward.

    `row_names` has our name for a pair such as "de-en", where it is another.
    """
    return [
        PublishedTable(
            f"{PAPER}, Table 3, {direction}",
            "Precision, recall and F1 on BUCC 2018's training set, at the best "
            f"threshold of the cosine; {english}.",
            [
                Column(
                    f"{pair} {title}",
                    row_names.get(pair, pair),
                    f"{direction}_cosine_{figure}",
                )
                for pair in ("fr-en", "de-en", "ru-en", "zh-en")
                for title, figure in (
                    *(("P", "precision"), ("R", "recall"), ("F1", "f1")),
                )
            ],
            rows,
        )
        for direction, english, rows in (
            ("forward", "English is the target", TABLE_3_FORWARD),
            ("backward", "English is the source", TABLE_3_BACKWARD),
        )
    ]
