"""Counts words per language over files of text.

Words are those of the tokenizer: the same normaliser, the same separators.
"""

import collections
import glob
import gzip
import zlib
from collections.abc import Iterable, Iterator

from labse import features
from labse.errors import InputError
from labse.preprocessing.vocabulary import BERT_MAX_CHARACTERS_PER_WORD

# Stands for a word that the tokenizer can only read as [UNK].
_UNKNOWN_WORD = "\ue000"

_BATCH = 8192

# Over this many different words in a language (about 1 GB), the rarest are
# forgotten: a word that matters has been seen often by then.
MAX_DIFFERENT_WORDS = 10_000_000

_COLUMN_PAIRS = (
    (features.SOURCE, features.SOURCE_LANGUAGE),
    (features.TARGET, features.TARGET_LANGUAGE),
    (features.TEXT, features.LANGUAGE),
)


def find_files(patterns: Iterable[str]) -> list[str]:
    """The files that match the globs, sorted, each once.

    Raises:
      InputError: a glob matches nothing.
    """
    files = set()
    for pattern in patterns:
        matches = glob.glob(pattern, recursive=True)
        if not matches:
            raise InputError(
                "Every input is a file or a glob that matches one. No file "
                f"matches {pattern!r}."
            )
        files.update(matches)
    return sorted(files)


def read_texts(path: str, language: str | None) -> Iterator[tuple[str, bytes]]:
    """Yields (language, text) for each text of a file.

    Args:
      path: `.tsv` with a header (source, target, source_language and
        target_language, or text and language) or `.txt` with a text a line;
        `.gz` may follow.
      language: the language of `.txt` files.

    Raises:
      InputError: the name, the header or a line breaks a rule.
    """
    name = path.removesuffix(".gz")
    if name.endswith(".tsv"):
        return _read_tsv(path)
    if not name.endswith(".txt"):
        raise InputError(
            f"{path}: an input ends in .tsv, .tsv.gz, .txt or .txt.gz. "
            "Rename the file."
        )
    if not language:
        raise InputError(
            f"{path}: the language of a .txt file is given by --language. "
            "Received none."
        )
    return ((language, line) for _, line in _lines(path))


def count_words(
    texts: Iterable[tuple[str, bytes]],
) -> dict[str, collections.Counter[str]]:
    """Counts the words of each language.

    Words of more than 100 characters are left out: they are [UNK] to the
    tokenizer whatever the vocabulary is.

    Args:
      texts: (language, UTF-8 text); broken bytes are ignored.

    Returns:
      language -> word -> count.
    """
    # Only here: `labse build-vocab --help` shall not wait for TensorFlow.
    import tensorflow as tf

    from labse.preprocessing import normalizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def split(batch):
        normalized = normalizer.normalize(
            batch, _UNKNOWN_WORD, BERT_MAX_CHARACTERS_PER_WORD
        )
        return normalizer.split_words(normalized).values

    counts = collections.defaultdict(collections.Counter)
    waiting = collections.defaultdict(list)

    def add(language):
        words = split(tf.constant(waiting.pop(language))).numpy().tolist()
        counts[language].update(words)
        if len(counts[language]) > MAX_DIFFERENT_WORDS:
            _forget_rare_words(counts[language])

    for language, text in texts:
        waiting[language].append(text)
        if len(waiting[language]) >= _BATCH:
            add(language)
    for language in list(waiting):
        add(language)
    return {language: _decode(counts[language]) for language in sorted(counts)}


def _decode(counts: collections.Counter[bytes]) -> collections.Counter[str]:
    decoded = collections.Counter(
        {word.decode(): count for word, count in counts.items()}
    )
    for word in [word for word in decoded if _UNKNOWN_WORD in word]:
        del decoded[word]
    return decoded


def _forget_rare_words(counts: collections.Counter) -> None:
    """Forgets the rarest words until half the room is free."""
    limit = 1
    while len(counts) > MAX_DIFFERENT_WORDS // 2:
        for word in [word for word, count in counts.items() if count <= limit]:
            del counts[word]
        limit *= 2


def _read_tsv(path: str) -> Iterator[tuple[str, bytes]]:
    lines = _lines(path)
    header = next(lines, (1, b""))[1].decode("utf-8-sig", "replace").split("\t")
    columns = [
        (header.index(text), header.index(language))
        for text, language in _COLUMN_PAIRS
        if text in header and language in header
    ]
    if not columns:
        raise InputError(
            f"{path}:1: a TSV begins with a header that names "
            f"{', '.join(features.PAIR_COLUMNS)} (pairs) or "
            f"{', '.join(features.MONOLINGUAL_COLUMNS)}. Received "
            f"{' | '.join(header)!r}."
        )
    names = {}
    for number, line in lines:
        cells = line.split(b"\t")
        if len(cells) != len(header):
            raise InputError(
                f"{path}:{number}: a line has as many columns as the header, "
                f"{len(header)}. Received {len(cells)}. Remove tabs inside "
                "texts."
            )
        for text, language in columns:
            code = cells[language]
            if code not in names:
                names[code] = _language(code, path, number)
            yield names[code], cells[text]


def _language(code: bytes, path: str, number: int) -> str:
    try:
        name = code.decode()
    except UnicodeDecodeError:
        name = ""
    if not name.strip():
        raise InputError(
            f"{path}:{number}: every text has a language code. Received "
            f"{code!r}."
        )
    return name


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    r"""Yields (number, line). Only \n, or \r\n, ends a line."""
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}: a .gz file is a whole gzip file. It cannot be read: "
            f"{error}. Make or fetch it again."
        ) from error
