"""Reads a file once and counts all that one row tells."""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np

from data_pipeline.audit import language_rules
from data_pipeline.audit.counts import Counts
from data_pipeline.audit.hashes import HashWriter, hash_text
from data_pipeline.audit.settings import Settings, piece_counter
from data_pipeline.holdout import text_key
from data_pipeline.language_id.identifier import LanguageIdentifier
from data_pipeline.language_id.scripts import main_script
from labse.files.chunks import chunked
from labse.files.pairs import PairFile
from labse.files.reading import UNKNOWN_LANGUAGE, Tally
from labse.files.texts import Texts

_CHUNK_ROWS, _CHUNK_CHARACTERS = 4096, 2**22
# What is counted as wrong should be: identification errs most where texts are
# short or it is in doubt. The third library would take ten times as long.
MIN_IDENTIFIED_CHARACTERS = 30
_MIN_CONFIDENCE = 0.8
_LIBRARIES = ("eldc", "cld2")
IN_EVALUATION = "in evaluation sets"


@dataclasses.dataclass(frozen=True)
class Row:
    """A pair, or a text alone.

    Attributes:
      texts: one or two.
      languages: of the texts, as tags.
      place: for messages.
    """

    texts: tuple[str, ...]
    languages: tuple[str, ...]
    place: str

    @functools.cached_property
    def language(self) -> str:
        """`de`, or `de en` of a pair."""
        return " ".join(self.languages)


class FileAudit:
    """The counts of a file.

    Attributes:
      counts: by language.
      tally: what the reading found.
      found: numbers of the evaluation texts that occur.
    """

    def __init__(
        self, settings: Settings, hashes: HashWriter, evaluation: np.ndarray
    ):
        """Takes the keys of the evaluation sets, sorted, each once."""
        self.counts: dict[str, Counts] = {}
        self.tally = Tally()
        self.found: set[int] = set()
        self._settings, self._hashes = settings, hashes
        self._evaluation = evaluation
        self._numbers: dict[str, int] = {}
        self._identifier = LanguageIdentifier(_MIN_CONFIDENCE, _LIBRARIES)

    def read(self, path: str) -> None:
        """Counts all rows of a file."""
        rows = _rows(path, self._settings, self.tally)
        for chunk in chunked(
            rows,
            lambda row: sum(map(len, row.texts)),
            _CHUNK_ROWS,
            _CHUNK_CHARACTERS,
        ):
            self._add(chunk)
        self._hashes.flush()

    def to_json(self) -> dict[str, object]:
        """The counts in the order of the languages' numbers."""
        return {
            "languages": list(self._numbers),
            "counts": [self.counts[name].to_json() for name in self._numbers],
            "tally": self.tally.to_json(),
        }

    def _of(self, row: Row) -> Counts:
        counts = self.counts.get(row.language)
        if counts is None:
            counts = self.counts[row.language] = Counts()
            self._numbers[row.language] = len(self._numbers)
        return counts

    def _add(self, rows: list[Row]) -> None:
        keys = [self._check(row, self._of(row)) for row in rows]
        if len(self._evaluation):
            self._find(rows, keys)
        if self._settings.vocab:
            self._count_pieces(rows)
        self._add_hashes(rows)

    def _check(self, row: Row, counts: Counts) -> list[str]:
        """Counts what a row tells alone; returns the keys of its texts."""
        counts.numbers["rows"] += 1
        for text, language in zip(row.texts, row.languages, strict=True):
            counts.numbers["texts"] += 1
            counts.numbers["characters"] += len(text)
            self._check_language(text, language, row.place, counts)
        keys = [text_key(text) for text in row.texts]
        if len(keys) == 2:
            if keys[0] == keys[1]:
                counts.found("copies", row.place, row.texts[0])
            counts.add_ratio(*row.texts)
        return keys

    def _check_language(
        self, text: str, language: str, place: str, counts: Counts
    ) -> None:
        scripts = language_rules.expected_scripts(language)
        script = main_script(text)[0] if scripts else ""
        if script:
            counts.numbers["texts with a script"] += 1
            if script not in scripts:
                counts.found("wrong script", place, text)
        if (
            not self._settings.is_identifying
            or len(text) < MIN_IDENTIFIED_CHARACTERS
            or not language_rules.is_listed(language)
        ):
            return
        found = self._identifier.identify(text)
        if found.language == UNKNOWN_LANGUAGE:
            return
        counts.numbers["texts identified"] += 1
        if not language_rules.is_same_language(language, found.language):
            counts.found("wrong language", f"{place} ({found.language})", text)

    def _find(self, rows: list[Row], keys: list[list[str]]) -> None:
        """Looks for texts of evaluation sets."""
        hashed = [hash_text(key) for of_row in keys for key in of_row]
        places = np.searchsorted(self._evaluation, np.array(hashed, "u8"))
        places = np.minimum(places, len(self._evaluation) - 1)
        is_found = self._evaluation[places] == np.array(hashed, "u8")
        self.found.update(places[is_found].tolist())
        sides = len(rows[0].texts)
        for place in np.flatnonzero(is_found).tolist():
            row = rows[place // sides]
            text = row.texts[place % sides]
            self._of(row).found(IN_EVALUATION, row.place, text)

    def _count_pieces(self, rows: list[Row]) -> None:
        count = piece_counter(self._settings.vocab, self._settings.tokenizer)
        texts = [text for row in rows for text in row.texts]
        owners = [row for row in rows for _ in row.texts]
        numbers = np.array([self._numbers[row.language] for row in owners])
        words, unknown, pieces = count(texts)
        lengths = pieces + 2  # [CLS] and [SEP]
        names = list(self._numbers)
        for number in np.unique(numbers).tolist():
            counts, is_its = self.counts[names[number]], numbers == number
            counts.numbers["words"] += int(words[is_its].sum())
            counts.numbers["unknown words"] += int(unknown[is_its].sum())
            counts.numbers["pieces"] += int(pieces[is_its].sum())
            found = np.unique(lengths[is_its], return_counts=True)
            for length, times in zip(*map(list, found), strict=True):
                counts.lengths[int(length)] += int(times)
        for place in np.flatnonzero(lengths > self._settings.max_length):
            row = owners[place]
            self._of(row).found("cut", row.place, texts[place])

    def _add_hashes(self, rows: list[Row]) -> None:
        languages = np.array(
            [self._numbers[row.language] for row in rows], np.uint32
        )
        sides = [
            [hash_text(text) for text in side]
            for side in zip(*(row.texts for row in rows), strict=True)
        ]
        self._hashes.add("source", sides[0], languages)
        if len(sides) == 2:
            self._hashes.add("target", sides[1], languages)
            pairs = [
                hash_text(f"{source} {target}")
                for source, target in zip(*sides, strict=True)
            ]
            self._hashes.add("pair", pairs, languages)


def _rows(path: str, settings: Settings, tally: Tally) -> Iterator[Row]:
    tags: dict[str, str] = {}

    def tag(code: str) -> str:
        found = tags.get(code)
        if found is None:
            found = tags[code] = language_rules.tag_of(code)
        return found

    if settings.is_monolingual:
        texts = Texts([path], settings.options)
        texts.tally = tally
        for number, (language, text, _) in enumerate(texts.open(path), 1):
            yield Row((text,), (tag(language),), f"{path}, text {number}")
        return
    for pair in PairFile(path, settings.options, tally):
        if pair is not None:
            yield Row(
                (pair.source, pair.target),
                (tag(pair.source_language), tag(pair.target_language)),
                f"{pair.path}:{pair.number}",
            )


@dataclasses.dataclass(frozen=True)
class ReadFile:
    """The unit of work that reads one file.

    Attributes:
      name: of the folder that it makes: counts.json, found.npy and hashes.
      path: of the file.
      size: in bytes.
      changed: when it was changed, in nanoseconds.
    """

    name: str
    path: str
    size: int
    changed: int

    def run(self, job) -> None:
        """Reads the file, unless that is done."""
        made_from = {
            "path": os.path.abspath(self.path),
            "size": self.size,
            "changed": self.changed,
            "partitions": job.partitions,
            **job.made_from,
        }
        job.work.make(self.name, made_from, lambda to: self._write(job, to))

    def _write(self, job, folder: pathlib.Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        audit = FileAudit(
            job.settings, HashWriter(folder, job.partitions), job.evaluation()
        )
        audit.read(self.path)
        np.save(folder / "found.npy", np.array(sorted(audit.found), np.int64))
        text = json.dumps(audit.to_json(), ensure_ascii=True)
        (folder / "counts.json").write_text(text, encoding="utf-8")
