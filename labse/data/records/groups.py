"""What a folder of records is made of: groups and shards, and from what."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from labse.data.records.tokens import Tokens
from labse.features import LANGUAGE, SOURCE_LANGUAGE, TARGET_LANGUAGE

# A global batch is read by this many lanes or by a power of two below, so the
# number of shards is a multiple of it.
LANES = 64
PAIRS, TEXT = "pairs", "text"
# The languages of a record, by the kind of records.
LANGUAGES = {
    PAIRS: (SOURCE_LANGUAGE, TARGET_LANGUAGE),
    TEXT: (LANGUAGE,),
}


class Group(NamedTuple):
    """The records of the same languages and corpus."""

    languages: tuple[str, ...]  # source and target, or that of a text
    corpus: str  # "" without a corpus
    records: int

    @property
    def name(self) -> str:
        """Its languages, "en-de" or "en"."""
        return "-".join(self.languages)


class Shard(NamedTuple):
    """One file of records."""

    name: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class MadeFrom:
    """What the records depend on: the same gives the same bytes.

    Attributes:
      kind: "pairs" or "text".
      seed: of their order.
      shard_records: at most this many in a shard.
      files: name, size in bytes and time of change (ns) of what was read.
      options: the `ReadOptions`.
      tokens: of pre-tokenized records; None where they hold texts.
    """

    kind: str
    seed: int
    shard_records: int
    files: Sequence[Sequence[str | int]]
    options: Mapping[str, object]
    tokens: Tokens | None

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> "MadeFrom":
        """From JSON's values; others than the fields are ignored."""
        fields = dataclasses.fields(cls)
        found = cls(**{field.name: values[field.name] for field in fields})
        if found.tokens is None:
            return found
        return dataclasses.replace(found, tokens=Tokens(**found.tokens))

    def values(self) -> dict[str, object]:
        """For JSON."""
        return dataclasses.asdict(self)

    def has_moved_files(self, found: Mapping[str, object]) -> bool:
        """Whether `values` differ from others in files' folders or times only.

        So the files have the same names and sizes, in the same order.
        """

        def without_places(values: Mapping) -> dict[str, object]:
            files = [
                (os.path.basename(name), size)
                for name, size, _ in values["files"]
            ]
            return {**values, "files": files}

        own = self.values()
        found = {name: found[name] for name in own}
        return without_places(found) == without_places(own)
