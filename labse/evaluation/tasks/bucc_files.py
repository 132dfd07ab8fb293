"""Reads the files of the BUCC shared task.

A folder, or folders right in it as the task's archives make them, holds for
each pair of languages and each split (sample, training, ...) three files:

```
de-en.training.de     id TAB sentence
de-en.training.en     id TAB sentence
de-en.training.gold   id TAB id: the first language's, then the second's
```

Texts count, not ids: lines of one text are one candidate, since no encoder can
distinguish them, and gold pairs of the same texts are one pair.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from labse.errors import InputError
from labse.files.lines import read_text_lines

_FILE_NAME = re.compile(
    r"(?P<set>(?P<pair>(?P<source>\w+)-(?P<target>\w+))\.(?P<split>[^.]+))\."
    r"(?P<end>gold|(?P=source)|(?P=target))"
)


@dataclasses.dataclass(frozen=True)
class MiningSet:
    """Two sets of distinct texts and the pairs to find in them.

    Attributes:
      pair: such as "de-en".
      split: such as "training".
      sources, targets: texts.
      gold: int64 [g, 2], numbers of a source and a target; each pair once.
    """

    pair: str
    split: str
    sources: list[str]
    targets: list[str]
    gold: np.ndarray

    def keys(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """int64 [p]: a number for each pair of the numbers of two texts."""
        return sources * len(self.targets) + targets


def find_sets(folder: str | Path) -> tuple[list[Path], list[str]]:
    """The gold files of the folder, and the sets that lack one.

    Returns:
      the paths of the gold files, sorted by name, and the names of sets such
      as "de-en.test" that have text but no gold, like the task's test set.

    Raises:
      InputError: there is no gold file, or two of one name.
    """
    folder = Path(folder)
    paths = sorted(
        (path for depth in ("*", "*/*") for path in folder.glob(depth)),
        key=lambda path: (path.name, path),
    )
    found = [(path, _FILE_NAME.fullmatch(path.name)) for path in paths]
    gold = {}
    for path, name in found:
        if name and name["end"] == "gold":
            if name["set"] in gold:
                raise InputError(
                    "A set of BUCC's files must be in one folder. Received: "
                    f"{gold[name['set']]} and {path}. Remove one."
                )
            gold[name["set"]] = path
    if not gold:
        raise InputError(
            "BUCC's data is a folder with three files for each pair of "
            "languages, such as de-en.training.de, de-en.training.en (id TAB "
            "sentence) and de-en.training.gold (id TAB id). Received: "
            f"{folder}, "
            f"{'with no .gold file' if folder.is_dir() else 'not a folder'}. "
            "It is available from https://comparable.limsi.fr/bucc2018/."
        )
    names = {name["set"] for _, name in found if name}
    return list(gold.values()), sorted(names - set(gold))


def source_language(gold_path: Path) -> str:
    """Such as "de" of de-en.training.gold."""
    return _FILE_NAME.fullmatch(gold_path.name)["source"]


def read_set(gold_path: Path) -> MiningSet:
    """Reads a gold file and the two files of text beside it.

    Raises:
      InputError: a file is missing, empty or not UTF-8, a line does not have
        two fields, an id is repeated, or gold names an unknown id.
    """
    name = _FILE_NAME.fullmatch(gold_path.name)
    source_path = gold_path.with_suffix(f".{name['source']}")
    target_path = gold_path.with_suffix(f".{name['target']}")
    source_rows, sources = _read_texts(source_path)
    target_rows, targets = _read_texts(target_path)
    gold = {}
    for number, (source, target) in enumerate(_read_fields(gold_path), start=1):
        for each, rows, path in (
            (source, source_rows, source_path),
            (target, target_rows, target_path),
        ):
            if each not in rows:
                raise InputError(
                    f"{gold_path}:{number}: a line must be an id of "
                    f"{source_path.name}, a tab and an id of "
                    f"{target_path.name}. Received: {each!r}, which "
                    f"{path.name} does not have. Fetch the files again: all "
                    "three must be of one release."
                )
        gold[source_rows[source], target_rows[target]] = None
    return MiningSet(
        name["pair"],
        name["split"],
        sources,
        targets,
        np.array(list(gold), np.int64),
    )


def _read_texts(path: Path) -> tuple[dict[str, int], list[str]]:
    """The number of each id's text, and the distinct texts."""
    rows: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for line, (name, text) in enumerate(_read_fields(path), start=1):
        if name in rows:
            raise InputError(
                f"{path}:{line}: an id must occur once in a file. "
                f"Received: {name!r}, which line {list(rows).index(name) + 1} "
                "has too. Remove one of the two."
            )
        rows[name] = numbers.setdefault(text, len(numbers))
    return rows, list(numbers)


def _read_fields(path: Path) -> Iterator[tuple[str, str]]:
    """The two fields of each line; further tabs belong to the second."""
    if not path.is_file():
        raise InputError(
            f"{path} is missing: a gold file needs the two files of text "
            "beside it, such as de-en.training.de and de-en.training.en beside "
            "de-en.training.gold."
        )
    number = 0
    for number, line in read_text_lines(path):
        name, _, rest = line.partition("\t")
        if not name.strip() or not rest.strip():
            raise InputError(
                f"{path}:{number}: a line must be an id, a tab and "
                f"{'an id' if path.suffix == '.gold' else 'a sentence'}. "
                f"Received: {line[:80]!r}. Correct or remove the line."
            )
        yield name, rest
    if not number:
        raise InputError(
            f"{path} is empty: it must hold an id, a tab and "
            f"{'an id' if path.suffix == '.gold' else 'a sentence'} a line."
        )
