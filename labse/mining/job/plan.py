"""Which search a mining job uses, and the memory, disk and time that it takes.

Formulas of the job's size and of three rates of the machine, which are measured
with the job's first block (`labse.mining.job.first_block`). All other work is
converted to multiplications of exact search (COST_OF_...), so that it scales
with the machine; the disk is assumed to be an SSD. With n sources, m targets, d
dimensions of b bytes, and k neighbours:

    vectors     (n + m) d b bytes
    neighbours  (n + m) k 12 bytes; for exact search, those of the targets are
                on the disk once for every SHARD_SENTENCES sources
    index       of x vectors in l lists with codes of c bytes: x (c + 8) + 4 d l
                bytes; pq also 4 d (d + 256)
    memory      WORKING_BYTES and the largest of: the neighbours and the larger
                index (exact search: 8 bytes a sentence); the training points;
                the selection
    disk        vectors, neighbours, and the index twice: its parts, and merged

Lists are assumed to be equally long. The page cache that mapped vectors fill is
not counted as memory: it only decides how often they are read.

Exact search is chosen if it takes at most EXACT_HOURS and fits; else the first
of sq8 and pq that fits.
"""

import dataclasses
from typing import NamedTuple

from labse.errors import InputError
from labse.mining.job.settings import EXACT
from labse.search import approximate_index, approximate_search

KINDS = (EXACT, *approximate_index.KINDS)
STEPS = ("embed", "index", "search", "select")
EXACT_HOURS = 4.0
# Sentences of a shard, if the number of shards is not given.
SHARD_SENTENCES = 2**18
# Sources that exact search holds while it passes over all targets.
QUERIES_HELD = 2**16

# The program, its encoder and the blocks in memory.
WORKING_BYTES = 3 * 10**9
NEIGHBOUR_BYTES = 12  # int64 index, float32 cosine
# For each sentence and neighbour, at the peak of `margin.retrieve`: 80 and 20
# were measured, with k of 1 and 4. Another 40 are for the pairs' cosines.
SELECT_SENTENCE_BYTES, SELECT_NEIGHBOUR_BYTES = 120, 20
# For each neighbour of a source, if all are written; the whole selection took
# 202 and 718 bytes a sentence with k of 4 and 16 and n = m.
SELECT_CANDIDATE_BYTES = 60

# FAISS' rounds of k-means for the lists; of the codes, with those of the
# rotation, each of which multiplies two d x d matrices.
ROUNDS = 10
CODE_ROUNDS = 25 + 3 * approximate_index.ROTATION_ROUNDS
# Multiplications of exact search, a bfloat16 matmul, that take as long as: one
# multiplication of FAISS', a sentence whose vector is checked and written, a
# neighbour that is scored, a pair that is looked up, compared and written.
# Measured on two cores of an AMD EPYC.
COST_OF_KMEANS = 2.6  # each of points x centres x d
COST_OF_CODE_TRAINING = 4.7  # likewise
COST_OF_CODING = {"sq8": 1400, "pq": 34 * approximate_index.CENTRES_PER_BYTE}
COST_OF_SCANNING = {"sq8": 15, "pq": 97}  # each byte of a code
COST_OF_RANKING = 625  # each dimension of a candidate, gathered at random
COST_OF_SENTENCE, COST_OF_NEIGHBOUR, COST_OF_PAIR = 1e6, 2e4, 6e6
# Bytes a second in order, and pages of 4 KiB a second in any order.
DISK_BYTES, DISK_PAGES = 1e9, 1e4


@dataclasses.dataclass(frozen=True)
class MachineSpeed:
    """What the machine does with the job's model and vectors."""

    sentences: float  # encoded in a second
    products: float  # multiplications of exact search in a second
    # Of exact search for each query and candidate besides the multiplications:
    # reading, and scoring the best exactly.
    row_seconds: float


@dataclasses.dataclass(frozen=True)
class JobSize:
    """What memory, disk and time depend on; equal sides for paraphrases."""

    num_source: int
    num_target: int
    dimension: int
    number_bytes: int  # of one number of a vector: 2 or 4
    k: int
    writes_all: bool = False  # all candidates, not the best of each sentence

    def __post_init__(self):
        if min(dataclasses.astuple(self)[:5]) < 1:
            raise InputError(f"Sizes must be 1 or more. Received: {self}.")

    def __str__(self) -> str:
        return (
            f"{self.num_source} x {self.num_target} sentences with "
            f"{self.dimension} dimensions of {self.number_bytes} bytes"
        )

    @property
    def sides(self) -> tuple[int, int]:
        """Sentences of each side."""
        return self.num_source, self.num_target

    @property
    def products(self) -> int:
        """Multiplications of exact search."""
        return self.num_source * self.num_target * self.dimension

    @property
    def row_bytes(self) -> int:
        """Bytes of a vector."""
        return self.dimension * self.number_bytes

    @property
    def vector_bytes(self) -> int:
        """Bytes of all vectors."""
        return sum(self.sides) * self.row_bytes


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to mine, and what it takes."""

    kind: str  # one of KINDS
    size: JobSize
    lists: tuple[int, int]  # of each side's index; zeros for exact search
    index_bytes: int  # of both indexes
    ram_bytes: int
    disk_bytes: int
    seconds: dict[str, float]  # of each of STEPS

    @property
    def hours(self) -> float:
        """Of all steps."""
        return sum(self.seconds.values()) / 3600

    def explain(self) -> str:
        """A few lines for the user."""
        what = "exact: every source is compared with every target"
        if self.kind != EXACT:
            code = approximate_index.code_bytes(self.kind, self.size.dimension)
            what = (
                f"approximate, {self.kind}: {code} bytes for each vector, in "
                f"{self.lists[0]} and {self.lists[1]} lists. For each sentence "
                f"{approximate_search.DEFAULT_PROBES} lists are searched and "
                f"{_num_candidates(self.kind, self.size.k)} candidates ranked "
                "by their vectors"
            )
        steps = [f"{s} {format_seconds(self.seconds[s])}" for s in STEPS]
        return (
            f"Search: {what}.\n"
            f"Memory: {format_bytes(self.ram_bytes)}. Disk: "
            f"{format_bytes(self.disk_bytes)} (vectors "
            f"{format_bytes(self.size.vector_bytes)}, index "
            f"{format_bytes(self.index_bytes)}).\n"
            f"Time: {', '.join(steps)}; "
            f"{format_seconds(self.hours * 3600)} in total."
        )

    def excesses(self, ram_bytes, disk_bytes, max_hours) -> list[str]:
        """What the plan needs beyond the limits."""
        found = []
        for name, needed, limit in (
            ("memory", self.ram_bytes, ram_bytes),
            ("disk", self.disk_bytes, disk_bytes),
        ):
            if needed > limit:
                limit = f"({format_bytes(limit)} available)"
                found.append(f"{format_bytes(needed)} of {name} {limit}")
        if max_hours is not None and self.hours > max_hours:
            found.append(f"{self.hours:.1f} hours ({max_hours:g} allowed)")
        return found


def choose_plan(
    size: JobSize,
    speed: MachineSpeed,
    ram_bytes: float,
    disk_bytes: float,
    kind: str = "auto",
    max_hours: float | None = None,
) -> Plan:
    """Chooses the search by the rules of the module's docstring.

    The limits are what may be used beyond what is used now; `kind` is one of
    KINDS, or "auto".

    Raises:
      InputError: nothing fits; it names what is needed and what to do.
    """
    if kind not in ("auto", *KINDS):
        raise InputError(
            f"kind must be one of auto, {', '.join(KINDS)}. Received: {kind!r}."
        )
    possible = [
        estimate(one, size, speed, ram_bytes)
        for one in (KINDS if kind == "auto" else (kind,))
        if one == EXACT or min(size.sides) >= _fewest_sentences(one)
    ]
    if not possible:
        raise InputError(
            f"An index of kind {kind} needs {_fewest_sentences(kind)} sentences"
            f" or more on each side. Received: {size.num_source} and "
            f"{size.num_target}. Use exact search."
        )
    excesses = [p.excesses(ram_bytes, disk_bytes, max_hours) for p in possible]
    fitting = [
        p for p, over in zip(possible, excesses, strict=True) if not over
    ]
    if not fitting:
        needs = "; ".join(
            f"{p.kind}: {' and '.join(over)}"
            for p, over in zip(possible, excesses, strict=True)
        )
        raise InputError(
            f"Mining {size} must fit into memory, disk and time. It needs, "
            f"{needs}. What helps: "
            f"{'store the vectors as float16, or ' * (size.number_bytes > 2)}"
            "free some space or use another disk, or split the larger side "
            "into files that are mined one by one, or share the work between "
            "machines (docs/mining_at_scale.md)."
        )
    # If another kind fits too, exact search must be quick to be chosen.
    is_slow = fitting[0].seconds["search"] > 3600 * EXACT_HOURS
    return fitting[len(fitting) > 1 and fitting[0].kind == EXACT and is_slow]


def estimate(
    kind: str,
    size: JobSize,
    speed: MachineSpeed,
    ram_bytes: float = float("inf"),
) -> Plan:
    """What one kind of search takes, whether it fits or not.

    `ram_bytes` only decides whether the vectors stay in the page cache.
    """
    search = (_exact if kind == EXACT else _approximate)(
        kind, size, speed, ram_bytes
    )
    sentences, pairs = sum(size.sides), min(size.sides)
    selection = SELECT_SENTENCE_BYTES + size.k * SELECT_NEIGHBOUR_BYTES
    selection *= sentences
    if size.writes_all:
        pairs = size.num_source * size.k
        selection += pairs * SELECT_CANDIDATE_BYTES
    scored = sentences * size.k * COST_OF_NEIGHBOUR + pairs * COST_OF_PAIR
    checked = sentences * COST_OF_SENTENCE / speed.products
    return Plan(
        kind=kind,
        size=size,
        lists=search.lists,
        index_bytes=search.index_bytes,
        ram_bytes=WORKING_BYTES + max(search.peak_bytes, selection),
        disk_bytes=size.vector_bytes + search.disk_bytes,
        seconds={
            "embed": sentences / speed.sentences + checked,
            "index": search.index_seconds,
            "search": search.seconds,
            "select": scored / speed.products,
        },
    )


class _Search(NamedTuple):
    """What depends on the kind of search."""

    peak_bytes: int  # memory of index and search
    disk_bytes: int  # of neighbours and index
    seconds: float
    lists: tuple[int, int] = (0, 0)
    index_bytes: int = 0
    index_seconds: float = 0.0


def _exact(_: str, size: JobSize, speed: MachineSpeed, ram_bytes) -> _Search:
    neighbours = size.k * NEIGHBOUR_BYTES
    peak = sum(size.sides) * (neighbours + 8)
    read = size.vector_bytes
    if WORKING_BYTES + peak + read > ram_bytes:
        passes = -(-size.num_source // QUERIES_HELD)
        read = (size.num_source + passes * size.num_target) * size.row_bytes
    # Each shard of sources is searched among, and has neighbours of, all
    # targets.
    shards = -(-size.num_source // SHARD_SENTENCES)
    rows = size.num_source + shards * size.num_target
    seconds = size.products / speed.products + rows * speed.row_seconds
    return _Search(peak, rows * neighbours, seconds + read / DISK_BYTES)


def _approximate(
    kind: str, size: JobSize, speed: MachineSpeed, ram_bytes
) -> _Search:
    source, target = (_Index(kind, size, number) for number in size.sides)
    num_bytes = source.num_bytes + target.num_bytes
    neighbours = sum(size.sides) * size.k * NEIGHBOUR_BYTES
    peak = max(
        4 * size.dimension * max(source.num_points, target.num_points),
        neighbours + max(source.num_bytes, target.num_bytes),
    )
    is_cached = WORKING_BYTES + peak + size.vector_bytes <= ram_bytes
    return _Search(
        lists=(source.lists, target.lists),
        index_bytes=num_bytes,
        peak_bytes=peak,
        disk_bytes=neighbours + 2 * num_bytes,
        index_seconds=source.seconds(speed) + target.seconds(speed),
        seconds=size.num_target * source.query_seconds(speed, is_cached)
        + size.num_source * target.query_seconds(speed, is_cached),
    )


class _Index:
    """The approximate index of a side."""

    def __init__(self, kind: str, size: JobSize, vectors: int):
        self.kind, self.size, self.vectors = kind, size, vectors
        self.lists = approximate_index.num_lists(vectors)
        self.num_points = approximate_index.num_training_points(
            vectors, self.lists
        )
        self.code = approximate_index.code_bytes(kind, size.dimension)
        rows = self.lists
        if kind == "pq":
            rows += size.dimension + approximate_index.CENTRES_PER_BYTE
        self.num_bytes = vectors * (self.code + 8) + 4 * size.dimension * rows

    def seconds(self, speed: MachineSpeed) -> float:
        """Of training, filling and merging."""
        d = self.size.dimension
        cost = ROUNDS * self.num_points * self.lists * d * COST_OF_KMEANS
        if self.kind == "pq":
            points = min(self.vectors, approximate_index.CODE_POINTS)
            codes = points * d * approximate_index.CENTRES_PER_BYTE
            turns = 2 * points * d**2 * approximate_index.ROTATION_ROUNDS
            cost += CODE_ROUNDS * codes * COST_OF_CODE_TRAINING
            cost += turns * COST_OF_KMEANS
        # Each vector's list, by exact search among the centres, and its code.
        cost += self.vectors * d * (self.lists + COST_OF_CODING[self.kind])
        moved = self.vectors * self.size.row_bytes + 3 * self.num_bytes
        seconds = cost / speed.products + self.vectors * speed.row_seconds
        return seconds + moved / DISK_BYTES

    def query_seconds(self, speed: MachineSpeed, is_cached: bool) -> float:
        """Of one query."""
        d = self.size.dimension
        probes = min(approximate_search.DEFAULT_PROBES, self.lists)
        scanned = probes * self.vectors / self.lists * self.code
        cost = self.lists * d + scanned * COST_OF_SCANNING[self.kind]
        ranked = _num_candidates(self.kind, self.size.k)
        ranking = ranked * d * COST_OF_RANKING / speed.products
        if not is_cached:  # Each candidate is a page of its own.
            ranking = max(ranking, ranked / DISK_PAGES)
        return cost / speed.products + speed.row_seconds + ranking


def _num_candidates(kind: str, k: int) -> int:
    """Candidates of an index that are ranked by their vectors."""
    return max(approximate_search.DEFAULT_CANDIDATES[kind], 2 * k)


def _fewest_sentences(kind: str) -> int:
    """Sentences of a side that an index needs."""
    least = approximate_index.LEAST_POINTS
    return least * (approximate_index.CENTRES_PER_BYTE if kind == "pq" else 1)


def format_bytes(number: float) -> str:
    """As `1.5 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e6:.0f} MB"


def format_seconds(seconds: float) -> str:
    """As `1.5 h`."""
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.1f} days"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
