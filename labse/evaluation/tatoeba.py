"""Tatoeba: find each sentence's English translation among up to 1,000.

The paper's section 4.2 and LASER's test set (Artetxe and Schwenk 2019,
https://github.com/facebookresearch/LASER, data/tatoeba/v1). A folder holds for
each language xxx (ISO 639-3) two files whose lines N translate each other:

```
tatoeba.xxx-eng.xxx
tatoeba.xxx-eng.eng
```

The candidates are the lines of the other file of the same pair. As in LASER's
own scoring a match is right if its line number is; `target_to_source` is
xxx->eng. Where a file holds a sentence twice, no encoder can tell the two lines
apart: `text_aware_...` counts every match that the two files hold as a pair,
and is never lower. In LASER's v1 files no sentence stands twice, so there both
are equal.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from labse.errors import InputError
from labse.evaluation import results, retrieval

TASK = "tatoeba"
_PIVOT = "eng"
_FILE_NAME = re.compile(r"tatoeba\.(?P<language>\w+)-eng\.(?P=language)")


def evaluate(
    encode_fn: retrieval.EncodeFn,
    folder: str | Path,
    languages: Sequence[str] = (),
) -> results.TaskResult:
    """Judges the encoder on every language of the folder.

    Args:
      encode_fn: list of n texts -> float32 [n, dim].
      folder: in LASER's layout, see above.
      languages: judge only these.

    Raises:
      InputError: the folder, a file or an embedding is not as it must be.
    """
    pairs = {
        language: read_pairs(folder, language)
        for language in results.choose_languages(
            languages, find_languages(folder), folder
        )
    }
    embeddings = retrieval.TextEmbeddings(
        encode_fn,
        (text for rows in pairs.values() for row in rows for text in row),
    )
    return results.TaskResult(
        TASK,
        "Each sentence must find its translation among the sentences of the "
        "other file of its language, by the number of its line.",
        [
            _judge(embeddings, language, rows)
            for language, rows in pairs.items()
        ],
        results.find_neighbours(
            embeddings,
            [
                (english, text, language)
                for language, rows in pairs.items()
                for english, text in rows
            ],
        ),
    )


def _judge(
    embeddings: retrieval.TextEmbeddings,
    language: str,
    pairs: list[tuple[str, str]],
) -> results.LanguageResult:
    english = [source for source, _ in pairs]
    texts = [target for _, target in pairs]
    to_english = retrieval.match(
        embeddings, texts, english, retrieval.backwards(pairs)
    )
    from_english = retrieval.match(embeddings, english, texts, pairs)
    return results.LanguageResult(
        language,
        _PIVOT,
        {
            "target_to_source": _line_accuracy(to_english),
            "source_to_target": _line_accuracy(from_english),
            "text_aware_target_to_source": retrieval.precision_at_1(to_english),
            "text_aware_source_to_target": retrieval.precision_at_1(
                from_english
            ),
        },
        to_english,
    )


def _line_accuracy(matches: list[retrieval.Match]) -> float:
    right = sum(match.found_index == line for line, match in enumerate(matches))
    return right / len(matches)


def find_languages(folder: str | Path) -> list[str]:
    """The languages that the folder has files for.

    Raises:
      InputError: it has none.
    """
    folder = Path(folder)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    languages = [
        found["language"]
        for found in map(_FILE_NAME.fullmatch, names)
        if found and found["language"] != _PIVOT
    ]
    if not languages:
        raise InputError(
            "Tatoeba's test set is a folder with two files for each language "
            "xxx, tatoeba.xxx-eng.xxx and tatoeba.xxx-eng.eng, line N of one "
            f"translating line N of the other. Received: {folder}, "
            f"{'with no such file' if folder.is_dir() else 'not a folder'}. "
            "It is data/tatoeba/v1 of github.com/facebookresearch/LASER."
        )
    return sorted(languages)


def read_pairs(folder: str | Path, language: str) -> list[tuple[str, str]]:
    """(English, translation), line by line.

    Raises:
      InputError: a file is missing, is empty, holds an empty line, is not
        UTF-8, or the two differ in their number of lines.
    """
    stem = Path(folder) / f"tatoeba.{language}-{_PIVOT}"
    texts = _read_lines(Path(f"{stem}.{language}"))
    english = _read_lines(Path(f"{stem}.{_PIVOT}"))
    if len(texts) != len(english):
        raise InputError(
            "Line N of one file must translate line N of the other. Received: "
            f"{stem}.{language} has {len(texts)} lines and {stem}.{_PIVOT} has "
            f"{len(english)}. Fetch both again, and split lines only on \\n."
        )
    return list(zip(english, texts, strict=True))


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(
            f"{path} is missing: each language needs two files, "
            "tatoeba.xxx-eng.xxx and tatoeba.xxx-eng.eng."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the text must be UTF-8. {error}.") from error
    # Not splitlines(): some sentences hold other line separators.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty: it must hold a sentence a line.")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise InputError(
                f"{path}, line {number}: a line must hold a sentence. "
                "Received: an empty line. Take it out of both files."
            )
    return lines
