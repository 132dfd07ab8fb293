"""What a mining job is given besides the model: texts and settings."""

import dataclasses

from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.mining import sentence_vectors
from labse.mining.margin import RETRIEVALS, SCORINGS

SOURCE, TARGET = "source", "target"
EXACT = "exact"
# The steps that run on units of work; the selection of pairs comes after them.
STEPS = ("read", "embed", "index", "search", "score")


@dataclasses.dataclass(frozen=True)
class TextSource:
    """The files of one side, and what they do not say by themselves."""

    # Files or globs; read in this order, sorted within a glob.
    patterns: tuple[str, ...]
    options: ReadOptions = ReadOptions()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the candidates depend on besides the texts and the model."""

    k: int = 4  # neighbours of each sentence
    scoring: str = "ratio"
    retrieval: str = "max"
    vector_type: str = "float32"  # on the disk
    # Of each side; None: one for `plan.SHARD_SENTENCES` sentences.
    num_shards: int | None = None
    index: str = EXACT  # or one of `approximate_index.KINDS`
    chunk: int = sentence_vectors.CHUNK  # sentences that are encoded together

    def __post_init__(self):
        for name, choices in (
            ("scoring", SCORINGS),
            ("retrieval", RETRIEVALS),
            ("vector_type", sentence_vectors.VECTOR_TYPES),
        ):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} must be one of {', '.join(choices)}. Received: "
                    f"{getattr(self, name)!r}."
                )
        for name in ("k", "num_shards", "chunk"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise InputError(
                    f"{name} must be 1 or more, a whole number. Received: "
                    f"{value!r}."
                )
