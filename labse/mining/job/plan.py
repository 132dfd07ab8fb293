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

Exact search is chosen if it is done in EXACT_HOURS and fits; else the first of
sq8 and pq that fits. NumPy and standard library only.
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
# rotation, each of which multiplies two matrices of d dimensions.
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
    """What the machine does with the job's model and vectors.

    Attributes:
      sentences: encoded in a second.
      products: multiplications of exact search in a second, both directions
        of a search at once.
      row_seconds: of exact search for each query and candidate besides the
        multiplications: reading, and scoring the best exactly.
    """

    sentences: float
    products: float
    row_seconds: float


@dataclasses.dataclass(frozen=True)
class JobSize:
    """What memory, disk and time depend on.

    Attributes:
      num_source: sentences of one side.
      num_target: of the other; the same again for paraphrases.
      dimension: of a vector.
      number_bytes: of one number of a vector: 2 or 4.
      k: neighbours of each sentence.
      writes_all: whether all candidates are written.
    """

    num_source: int
    num_target: int
    dimension: int
    number_bytes: int
    k: int
    writes_all: bool = False

    def __post_init__(self):
        if min(dataclasses.astuple(self)[:5]) < 1:
            raise InputError(
                "Sizes must be 1 or more. Received: "
                f"{self.num_source} x {self.num_target} sentences, "
                f"{self.dimension} dimensions of {self.number_bytes} bytes, "
                f"k={self.k}."
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

    @property
    def neighbour_bytes(self) -> int:
        """Bytes of all neighbours."""
        return sum(self.sides) * self.k * NEIGHBOUR_BYTES


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to mine, and what it takes.

    Attributes:
      kind: one of KINDS.
      size: of the job.
      lists: of the source's and the target's index; zeros for exact search.
      index_bytes: of both indexes.
      ram_bytes: memory that is needed.
      disk_bytes: disk that is needed.
      seconds: of each of STEPS.
    """

    kind: str
    size: JobSize
    lists: tuple[int, int]
    index_bytes: int
    ram_bytes: int
    disk_bytes: int
    seconds: dict[str, float]

    @property
    def hours(self) -> float:
        """Of all steps."""
        return sum(self.seconds.values()) / 3600

    def explain(self) -> str:
        """A few lines for the user."""
        what = "exact: every source is compared with every target"
        if self.kind != EXACT:
            code = approximate_index.code_bytes(self.kind, self.size.dimension)
            source, target = self.lists
            what = (
                f"approximate, {self.kind}: {code} bytes for each vector, in "
                f"{source} and {target} lists. For each sentence "
                f"{approximate_search.DEFAULT_PROBES} lists are searched and "
                f"{num_candidates(self.kind, self.size.k)} candidates ranked "
                "by their vectors"
            )
        steps = [
            f"{step} {format_seconds(self.seconds[step])}" for step in STEPS
        ]
        return (
            f"Search: {what}.\n"
            f"Memory: {format_bytes(self.ram_bytes)}. Disk: "
            f"{format_bytes(self.disk_bytes)} (vectors "
            f"{format_bytes(self.size.vector_bytes)}, index "
            f"{format_bytes(self.index_bytes)}).\n"
            f"Time: {', '.join(steps)}; "
            f"{format_seconds(self.hours * 3600)} in total."
        )


def choose_plan(
    size: JobSize,
    speed: MachineSpeed,
    ram_bytes: float,
    disk_bytes: float,
    kind: str = "auto",
    max_hours: float | None = None,
) -> Plan:
    """Chooses the search; see the module's docstring for the rules.

    Args:
      size: of the job.
      speed: of this machine.
      ram_bytes: memory that may be used.
      disk_bytes: disk that may be used, beyond what is used now.
      kind: one of KINDS, or "auto".
      max_hours: of all steps; None: no limit.

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
        if one == EXACT or min(size.sides) >= fewest_sentences(one)
    ]
    if not possible:
        raise InputError(
            f"An index of kind {kind} needs {fewest_sentences(kind)} sentences "
            f"or more on each side. Received: {size.num_source} and "
            f"{size.num_target}. Use exact search."
        )
    limits = (ram_bytes, disk_bytes, max_hours)
    fitting = [one for one in possible if not _excesses(one, *limits)]
    if not fitting:
        raise InputError(_refusal(possible, limits))
    # If another kind fits too, exact search must be quick to be chosen.
    quick = [
        one
        for one in fitting
        if one.kind != EXACT or one.seconds["search"] <= 3600 * EXACT_HOURS
    ]
    return (quick or fitting)[0]


def estimate(
    kind: str,
    size: JobSize,
    speed: MachineSpeed,
    ram_bytes: float = float("inf"),
) -> Plan:
    """What one kind of search takes, whether it fits or not.

    `ram_bytes` only decides whether the vectors stay in the page cache.
    """
    parts = (_exact if kind == EXACT else _approximate)(
        kind, size, speed, ram_bytes
    )
    sentences = sum(size.sides)
    selection = sentences * (
        SELECT_SENTENCE_BYTES + size.k * SELECT_NEIGHBOUR_BYTES
    )
    pairs = min(size.sides)
    if size.writes_all:
        pairs = size.num_source * size.k
        selection += pairs * SELECT_CANDIDATE_BYTES
    return Plan(
        kind=kind,
        size=size,
        lists=parts.lists,
        index_bytes=parts.index_bytes,
        ram_bytes=WORKING_BYTES + max(parts.peak_bytes, selection),
        disk_bytes=size.vector_bytes + parts.disk_bytes,
        seconds={
            "embed": sentences / speed.sentences
            + sentences * COST_OF_SENTENCE / speed.products,
            "index": parts.index_seconds,
            "search": parts.search_seconds,
            "select": (
                sentences * size.k * COST_OF_NEIGHBOUR + pairs * COST_OF_PAIR
            )
            / speed.products,
        },
    )


class _Parts(NamedTuple):
    """What depends on the kind of search."""

    lists: tuple[int, int]
    index_bytes: int
    peak_bytes: int  # memory of index and search
    disk_bytes: int  # of neighbours and index
    index_seconds: float
    search_seconds: float


def _exact(
    _: str, size: JobSize, speed: MachineSpeed, ram_bytes: float
) -> _Parts:
    peak = size.neighbour_bytes + 8 * sum(size.sides)
    read = size.vector_bytes
    if WORKING_BYTES + peak + read > ram_bytes:
        passes = -(-size.num_source // QUERIES_HELD)
        read = (size.num_source + passes * size.num_target) * size.row_bytes
    # Each shard of sources is searched among, and has neighbours of, all
    # targets.
    shards = -(-size.num_source // SHARD_SENTENCES)
    rows = size.num_source + shards * size.num_target
    seconds = size.products / speed.products + rows * speed.row_seconds
    return _Parts(
        lists=(0, 0),
        index_bytes=0,
        peak_bytes=peak,
        disk_bytes=rows * size.k * NEIGHBOUR_BYTES,
        index_seconds=0.0,
        search_seconds=seconds + read / DISK_BYTES,
    )


def _approximate(
    kind: str, size: JobSize, speed: MachineSpeed, ram_bytes: float
) -> _Parts:
    lists = tuple(map(approximate_index.num_lists, size.sides))
    points = max(map(approximate_index.num_training_points, size.sides, lists))
    sides = list(zip(size.sides, lists, strict=True))
    index_bytes = [_index_bytes(kind, *one, size.dimension) for one in sides]
    searching = size.neighbour_bytes + max(index_bytes)
    peak = max(4 * size.dimension * points, searching)
    is_cached = WORKING_BYTES + peak + size.vector_bytes <= ram_bytes
    return _Parts(
        lists=lists,
        index_bytes=sum(index_bytes),
        peak_bytes=peak,
        disk_bytes=size.neighbour_bytes + 2 * sum(index_bytes),
        index_seconds=sum(
            _index_seconds(kind, size, speed, *one) for one in sides
        ),
        # The targets in the sources' index, and the other way round.
        search_seconds=sum(
            queries * _query_seconds(kind, size, speed, *one, is_cached)
            for queries, one in zip(size.sides[::-1], sides, strict=True)
        ),
    )


def _index_bytes(kind: str, vectors: int, lists: int, dimension: int) -> int:
    code = approximate_index.code_bytes(kind, dimension)
    own = 4 * dimension * lists
    if kind == "pq":
        own += 4 * dimension * (dimension + approximate_index.CENTRES_PER_BYTE)
    return vectors * (code + 8) + own


def _index_seconds(
    kind: str, size: JobSize, speed: MachineSpeed, vectors: int, lists: int
) -> float:
    """Of training, filling and merging one side's index."""
    dimension = size.dimension
    points = approximate_index.num_training_points(vectors, lists)
    cost = ROUNDS * points * lists * dimension * COST_OF_KMEANS
    if kind == "pq":
        points = min(vectors, approximate_index.CODE_POINTS)
        codes = points * dimension * approximate_index.CENTRES_PER_BYTE
        turns = 2 * points * dimension**2 * approximate_index.ROTATION_ROUNDS
        cost += CODE_ROUNDS * codes * COST_OF_CODE_TRAINING
        cost += turns * COST_OF_KMEANS
    # Each vector's list, by exact search among the centres, and its code.
    cost += vectors * dimension * (lists + COST_OF_CODING[kind])
    index = _index_bytes(kind, vectors, lists, dimension)
    moved = vectors * size.row_bytes + 3 * index
    seconds = cost / speed.products + vectors * speed.row_seconds
    return seconds + moved / DISK_BYTES


def _query_seconds(
    kind: str,
    size: JobSize,
    speed: MachineSpeed,
    vectors: int,
    lists: int,
    is_cached: bool,
) -> float:
    """Of one query among the vectors of one side's index."""
    dimension = size.dimension
    scanned = min(approximate_search.DEFAULT_PROBES, lists) * vectors / lists
    code = approximate_index.code_bytes(kind, dimension)
    ranked = num_candidates(kind, size.k)
    cost = lists * dimension + scanned * code * COST_OF_SCANNING[kind]
    ranking = ranked * dimension * COST_OF_RANKING / speed.products
    if not is_cached:  # Each candidate is a page of its own.
        ranking = max(ranking, ranked / DISK_PAGES)
    return cost / speed.products + speed.row_seconds + ranking


def num_candidates(kind: str, k: int) -> int:
    """Candidates of an index that are ranked by their vectors."""
    return max(approximate_search.DEFAULT_CANDIDATES[kind], 2 * k)


def fewest_sentences(kind: str) -> int:
    """Sentences of a side that an index needs."""
    least = approximate_index.LEAST_POINTS
    return least * (approximate_index.CENTRES_PER_BYTE if kind == "pq" else 1)


def _excesses(one: Plan, ram_bytes, disk_bytes, max_hours) -> list[str]:
    """What the plan needs beyond the limits."""
    found = [
        f"{format_bytes(needed)} of {name} ({format_bytes(limit)} available)"
        for name, needed, limit in (
            ("memory", one.ram_bytes, ram_bytes),
            ("disk", one.disk_bytes, disk_bytes),
        )
        if needed > limit
    ]
    if max_hours is not None and one.hours > max_hours:
        found.append(f"{one.hours:.1f} hours ({max_hours:g} allowed)")
    return found


def _refusal(possible: list[Plan], limits: tuple) -> str:
    needs = "; ".join(
        f"{one.kind}: {' and '.join(_excesses(one, *limits))}"
        for one in possible
    )
    size = possible[0].size
    advice = [
        "free some space or use another disk",
        "split the larger side into files that are mined one by one",
        "share the work between machines (docs/mining_at_scale.md)",
    ]
    if size.number_bytes > 2:
        advice.insert(0, "store the vectors as float16")
    return (
        f"Mining {size.num_source} x {size.num_target} sentences with "
        f"{size.dimension} dimensions of {size.number_bytes} bytes must fit "
        f"into memory, disk and time. It needs, {needs}. What helps: "
        f"{', or '.join(advice)}."
    )


def format_bytes(number: float) -> str:
    """As `1.5 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e6:.0f} MB"


def format_seconds(seconds: float) -> str:
    """As `1.5 h`."""
    for unit, size in (("days", 86400 * 2), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else size):.1f} {unit}"
    return f"{seconds:.0f} s"
