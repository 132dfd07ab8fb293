"""Holds texts out of training, so that none of them leaks into it."""

import collections
import dataclasses
import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterator, Sequence

from labse import features, languages
from labse.errors import InputError
from labse.files.kinds import files_of
from labse.files.pair_writer import open_writer, write_pairs
from labse.files.pairs import Pair, PairFiles
from labse.files.reading import Fields, ReadOptions


@dataclasses.dataclass(frozen=True)
class Split:
    """Number of rows in each file, and of their different source texts.

    Attributes:
      train_rows: written for training.
      heldout_rows: written as held out.
      dropped_rows: in neither, because one of their texts is held out with
        another partner.
      train_sources: different source texts (by `text_key`) to train on.
      heldout_sources: different source texts held out.
    """

    train_rows: int
    heldout_rows: int
    dropped_rows: int
    train_sources: int
    heldout_sources: int

    def summary(self) -> str:
        """The counts as a table."""
        return (
            f"{self.train_rows:>9,}  pairs to train on, "
            f"{self.train_sources:,} different sources\n"
            f"{self.heldout_rows:>9,}  pairs held out, "
            f"{self.heldout_sources:,} different sources\n"
            f"{self.dropped_rows:>9,}  dropped: kept from training because one "
            "of their texts is held out with another partner"
        )


class _OnlyWords(dict):
    """A table for str.translate: letters, marks and digits stay."""

    def __missing__(self, code_point: int) -> int | None:
        kind = unicodedata.category(chr(code_point))[0]
        self[code_point] = code_point if kind in "LMN" else None
        return self[code_point]


_ONLY_WORDS = _OnlyWords()


def text_key(text: str) -> str:
    """A key that similar spellings of a text share.

    It has letters, marks and digits, case-folded, in Unicode's compatibility
    form: `Log in`, `log in...` and `LOGIN` have the same key. The key of a text
    without any of them, such as `->`, is the text itself.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Case-folding can undo the normal form (U+0345, for one).
    folded = unicodedata.normalize("NFKC", folded)
    key = folded.translate(_ONLY_WORDS)
    return key or text.strip()


def is_held_out(key: str, share: float, seed: int) -> bool:
    """Whether a text is held out, which depends on its own hash only.

    So neither the order of the rows nor rows added later change the result.

    Args:
      key: of `text_key`.
      share: share of all texts to hold out, between 0 and 1.
      seed: another seed selects other texts.
    """
    digest = hashlib.blake2b(f"{seed}\t{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


@dataclasses.dataclass(frozen=True)
class _Keys:
    """A row's texts as keys, each with its language (`es` for `es-MX`)."""

    source: tuple[str, str]
    target: tuple[str, str]


def split_pairs(
    inputs: Sequence[str],
    train_path: str,
    heldout_path: str,
    share: float,
    seed: int,
    options: ReadOptions | None = None,
) -> Split:
    """Splits files of pairs in two, row by row in their order.

    A source text is in one file only, in every spelling with the same
    `text_key` and in every language it is translated into.

    A row to train on is dropped if one of its texts is also in a held-out row,
    in the same language: "Store" with "Speichern", while "Save" is held out
    with "Speichern". Training on it would teach the model the vector of
    "Speichern", half of the held-out pair. To hold out everything that is
    connected instead would hold out most of a catalogue, since a few short
    words connect it; and the held-out file is the one to keep complete.

    Args:
      inputs: files of pairs, or globs.
      train_path: file to write.
      heldout_path: file to write.
      share: share of the different source texts to hold out.
      seed: of the hash.
      options: what the files do not say by themselves.

    Raises:
      InputError: an input breaks a rule, two paths are the same, or one side
        would be empty.
    """
    pairs = PairFiles(inputs, options)
    _check_different(pairs.files, train_path, heldout_path)
    columns: dict[str, None] = {}
    sources, texts = set(), set()
    for pair in pairs:
        columns.update(dict.fromkeys(_row(pair, pairs.options)))
        keys = _keys(pair)
        if is_held_out(keys.source[1], share, seed):
            sources.add(keys.source[1])
            texts |= {keys.source, keys.target}
    received = f"Received: {', '.join(inputs)} and a share of {share:g}, which "
    if not sources:
        raise InputError(
            f"At least one source text must be held out. {received}hold out "
            "none. Give more pairs, a greater share or another seed."
        )
    train_sources = set()
    dropped = collections.Counter()

    def train_rows() -> Iterator[Fields]:
        for pair in pairs:
            keys = _keys(pair)
            if keys.source[1] in sources:
                continue
            if keys.source in texts or keys.target in texts:
                dropped["rows"] += 1
                continue
            train_sources.add(keys.source[1])
            yield _row(pair, pairs.options, columns)
        if not train_sources:  # raised in time to leave no file behind
            raise InputError(
                f"At least one pair must be left to train on. {received}leave "
                "none. Give more pairs, a smaller share or another seed."
            )

    heldout_rows = (
        _row(pair, pairs.options, columns)
        for pair in pairs
        if _keys(pair).source[1] in sources
    )
    names = list(columns)
    return Split(  # in this order: the first line fills what others count
        train_rows=write_pairs(train_path, train_rows(), names),
        heldout_rows=write_pairs(heldout_path, heldout_rows, names),
        dropped_rows=dropped["rows"],
        train_sources=len(train_sources),
        heldout_sources=len(sources),
    )


def _row(
    pair: Pair, options: ReadOptions, columns: Collection[str] = ()
) -> Fields:
    """The output row of a pair, with the default column names.

    Args:
      pair: the pair.
      options: how it was read.
      columns: of the output; if it has languages, they are added.
    """
    names = {
        options.source_column: features.SOURCE,
        options.target_column: features.TARGET,
    }
    nested = {name.partition(".")[0] for name in names if "." in name}
    row = {
        names.get(name, name): value
        for name, value in pair.fields.items()
        # A column that has the name of a side, but is not it, is left out.
        if name in names or (name not in names.values() and name not in nested)
    }
    row[features.SOURCE] = pair.source
    row[features.TARGET] = pair.target
    for name in (features.SOURCE_LANGUAGE, features.TARGET_LANGUAGE):
        if getattr(options, name) or name in columns:
            row[name] = getattr(pair, name)
    return row


def _check_different(inputs: Sequence[str], *outputs: str) -> None:
    files = [
        *(each for path in inputs for each in files_of(path)),
        *(each for path in outputs for each in open_writer(path).paths()),
    ]
    if len({os.path.realpath(path) for path in files}) < len(files):
        raise InputError(
            "The inputs and the two outputs must be different files. "
            f"Received: {', '.join([*inputs, *outputs])}."
        )


def _keys(pair: Pair) -> _Keys:
    """The keys of both texts; an unknown language is `und`."""

    def key(text: str, language: str) -> tuple[str, str]:
        return languages.primary_language(language.lower()), text_key(text)

    return _Keys(
        key(pair.source, pair.source_language),
        key(pair.target, pair.target_language),
    )
