"""Reads SentEval's data sets (Conneau and Kiela 2018), in its order of items.

A folder holds some or all of

```
MR/rt-polarity.pos .neg             film reviews, a sentence a line
CR/custrev.pos .neg                 product reviews, likewise
SUBJ/subj.objective .subjective     reviews against plots, likewise
MPQA/mpqa.pos .neg                  opinions, a phrase a line
TREC/train_5500.label TREC_10.label kinds of questions, of six classes:
                                    "LABEL:kind question"
SST2/sentiment-train -dev -test     film reviews (phrases in train):
                                    "sentence TAB 0 or 1"; SST/binary/ will do
MRPC/msr_paraphrase_train.txt and
     msr_paraphrase_test.txt        do two sentences say the same? A header,
                                    then "0 or 1 TAB id TAB id TAB sentence TAB
                                    sentence"
```

Texts are UTF-8. The sets that SentEval reads as latin-1 may instead be in
windows-1252, in which they were published and which includes latin-1's letters.
As in SentEval, words are separated by single spaces, an empty line of the first
four is an item (CR and MPQA hold some; its text is "."), and items are sorted
by their number of words, then by label: the folds depend on the order.
"""

import dataclasses
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.files.lines import decode_line, read_lines

# Of each class: enough for each fold of each training part to have one.
_LEAST_OF_CLASS = 12

# The file of label 0 and that of label 1, in SUBJ too as in SentEval.
TWO_FILES = {
    "MR": ("rt-polarity.neg", "rt-polarity.pos"),
    "CR": ("custrev.neg", "custrev.pos"),
    "SUBJ": ("subj.subjective", "subj.objective"),
    "MPQA": ("mpqa.neg", "mpqa.pos"),
}
_SPLITS = {
    "TREC": {"train": "train_5500.label", "test": "TREC_10.label"},
    "SST2": {
        "train": "sentiment-train",
        "dev": "sentiment-dev",
        "test": "sentiment-test",
    },
    "MRPC": {
        "train": "msr_paraphrase_train.txt",
        "test": "msr_paraphrase_test.txt",
    },
}
NAMES = ("MR", "CR", "SUBJ", "MPQA", "TREC", "SST2", "MRPC")  # as in Table 4
_FOLDERS = {name: (name,) for name in NAMES} | {"SST2": ("SST2", "SST/binary")}
_KINDS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
LABELS = dict.fromkeys(NAMES, ("negative", "positive")) | {
    "SUBJ": ("subjective", "objective"),
    "TREC": _KINDS,
    "MRPC": ("no paraphrase", "paraphrase"),
}
_MAY_BE_WINDOWS_1252 = ("MR", "CR", "SUBJ", "MPQA", "TREC")


@dataclasses.dataclass(frozen=True)
class Examples:
    """Items in SentEval's order.

    Attributes:
      texts: n tuples of one text, or of two in MRPC.
      labels: int64 [n].
    """

    texts: list[tuple[str, ...]]
    labels: np.ndarray


def read_sets(data: str | Path) -> dict[str, dict[str, Examples]]:
    """The "train", "dev" and "test" of each data set in the folder, by name.

    MR, CR, SUBJ and MPQA have "test" only.

    Raises:
      InputError: there is no data set, a file is missing or not as it must be.
    """
    sets = {}
    for name in NAMES:
        folders = [Path(data) / folder for folder in _FOLDERS[name]]
        folder = next((each for each in folders if each.is_dir()), None)
        if folder is not None:
            sets[name] = _read_set(folder, name)
    if not sets:
        what = "a folder without one" if Path(data).is_dir() else "not a folder"
        raise InputError(
            "SentEval's data is a folder with a folder for each data set, "
            f"such as MR: {', '.join(NAMES)}. Received: {data}, {what}. In "
            "SentEval's own copy it is data/downstream."
        )
    return sets


def _read_set(folder: Path, name: str) -> dict[str, Examples]:
    if name in TWO_FILES:
        items = [
            ((text,), label)
            for label, file in enumerate(TWO_FILES[name])
            for text in _read_sentences(folder / file, name)
        ]
        parts = {"test": items}
    else:
        read_line = {
            "TREC": _read_question,
            "SST2": _read_phrase,
            "MRPC": _read_paraphrase,
        }[name]
        parts = {
            part: [
                read_line(folder / file, number, line)
                for number, line in _read_lines(folder / file, name)
            ]
            for part, file in _SPLITS[name].items()
        }
    training = parts.get("train", parts["test"])
    _check_classes(folder, name, [label for _, label in training])
    return {part: _sort(items) for part, items in parts.items()}


def _sort(items: list[tuple[tuple[str, ...], int]]) -> Examples:
    """In SentEval's order, on which the folds depend."""
    items = sorted(
        items,
        key=lambda item: ([len(text.split()) for text in item[0]], item[1]),
    )
    # An empty line is an item of CR and MPQA; SentEval's encoders get a full
    # stop for it.
    return Examples(
        [tuple(text or "." for text in texts) for texts, _ in items],
        np.array([label for _, label in items], np.int64),
    )


def _check_classes(folder: Path, name: str, labels: list[int]) -> None:
    counts = np.bincount(labels, minlength=len(LABELS[name]))
    if counts.min() < _LEAST_OF_CLASS:
        received = ", ".join(
            f"{label} {count}"
            for label, count in zip(LABELS[name], counts, strict=True)
        )
        raise InputError(
            f"{folder}: for training, each class must have at least "
            f"{_LEAST_OF_CLASS} sentences. Received: {received}."
        )


def _read_sentences(path: Path, name: str) -> list[str]:
    return [" ".join(line.split()) for _, line in _read_lines(path, name)]


def _read_question(path: Path, number: int, line: str):
    label, colon, rest = line.partition(":")
    kind_and_text = rest.split(maxsplit=1)
    if not colon or label not in _KINDS or len(kind_and_text) < 2:
        raise InputError(
            f'{path}:{number}: a line must be "LABEL:kind question", the '
            f"label one of {', '.join(_KINDS)}. Received: {line[:80]!r}."
        )
    return (" ".join(kind_and_text[1].split()),), _KINDS.index(label)


def _read_phrase(path: Path, number: int, line: str):
    text, _, label = line.strip().partition("\t")
    if not text.strip() or label not in ("0", "1"):
        raise InputError(
            f'{path}:{number}: a line must be "sentence TAB label", the '
            f"label 0 or 1. Received: {line[-80:]!r}."
        )
    return (" ".join(text.split()),), int(label)


def _read_paraphrase(path: Path, number: int, line: str):
    fields = line.strip().split("\t")
    texts = tuple(" ".join(field.split()) for field in fields[3:5])
    if len(fields) < 5 or fields[0] not in ("0", "1") or not all(texts):
        raise InputError(
            f'{path}:{number}: a line must be "label TAB id TAB id TAB '
            'sentence TAB sentence", the label 0 or 1. Received: '
            f"{line[:80]!r}."
        )
    return texts, int(fields[0])


def _read_lines(path: Path, name: str) -> list[tuple[int, str]]:
    """The lines with their numbers; without MRPC's header."""
    if not path.is_file():
        raise InputError(
            f"{path} is missing: {name} needs all of its files. Remove the "
            f"folder {path.parent} to leave {name} out."
        )
    lines = [(number, line) for number, _, line in read_lines(path)]
    if name == "MRPC":
        lines = lines[1:]
    if not lines:
        raise InputError(f"{path} is empty: it must hold a sentence a line.")
    if name in _MAY_BE_WINDOWS_1252 and not _is_utf_8(lines):
        return [
            (number, _decode_windows(line, f"{path}:{number}"))
            for number, line in lines
        ]
    return [
        (number, decode_line(line, f"{path}:{number}"))
        for number, line in lines
    ]


def _is_utf_8(lines: list[tuple[int, bytes]]) -> bool:
    try:
        for _, line in lines:
            line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_windows(line: bytes, where: str) -> str:
    try:
        return line.decode("windows-1252")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: the text must be UTF-8 or windows-1252. {error}."
        ) from error
