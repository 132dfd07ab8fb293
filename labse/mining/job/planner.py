"""What mining will take: which search, how much memory and disk, how long.

Formulas of the sizes and of a few rates measured on the machine
(`labse.mining.job.calibration`). With n sources, m targets, d dimensions of b
bytes, k neighbours, c bytes a code, and for an index of x vectors its lists
l(x) and training points p(x) of `labse.search.approximate_index`:

    vectors     (n + m) d b bytes
    neighbours  (n + m) k 12 bytes; on the disk, exact search has those of the
                targets once for every SHARD_SENTENCES sources
    index       of one side: x (c + 8) + 4 d l(x) bytes; pq also 4 d (d + 256)

    embed       (n + m) / sentences a second
    index       of each side, none for exact search:
                ROUNDS p(x) l(x) d / clustering rate    k-means
                + pq: CODE_ROUNDS p' d 256 / code rate   codes
                + pq: 2 ROTATION_ROUNDS p' d^2 / clustering rate
                + x l(x) d / exact rate + x / coding rate
                + (x d b + 3 index) / disk rate
    search      exact: n m d / exact rate, both directions at once
                + vectors / disk rate, or where they do not fit into memory the
                targets once for every QUERIES_HELD sources
                index: y queries among x vectors, for both sides:
                y l(x) d / exact rate + y probes x / l(x) / scanning rate
                + y candidates / ranking rate; where the vectors do not fit
                into memory, a page is read for each candidate
    select      (n + m) k / selecting rate

    memory      WORKING, and the most of
                - the search: neighbours and the index of the larger side, or
                  for exact search 8 (n + m)
                - the training: 4 d p(x)
                - the selection: (n + m) (SELECT_SENTENCE_BYTES
                  + k SELECT_NEIGHBOUR_BYTES), and n k SELECT_CANDIDATE_BYTES
                  where all candidates are written
    disk        vectors, neighbours, and the index twice: parts, then whole

p' is p(x), but CODE_POINTS at most. Lists are thought of as equally long.

Exact search is chosen if its search is done in EXACT_HOURS and it fits;
else the first of sq8 and pq that fits. The memory that vectors take when they
are mapped is not counted: it is the cache, and only decides how often they are
read. NumPy and standard library only.
"""

import dataclasses
import os
import pathlib
import shutil

from labse.errors import InputError
from labse.search import approximate_index, approximate_search

KINDS = ("exact", *approximate_index.KINDS)
EXACT_HOURS = 4.0
# What the program, its encoder and the blocks at hand take.
WORKING_BYTES = 3 * 10**9
# Of a sentence and of a neighbour, at the peak of `margin.retrieve`: 80 and 20
# were measured, with k of 1 and 4. 40 are for the pairs' cosines and the like.
SELECT_SENTENCE_BYTES, SELECT_NEIGHBOUR_BYTES = 120, 20
# Of a source's neighbour, where all are written; the whole selection took
# 202 and 718 bytes a sentence with k of 4 and 16 and n = m.
SELECT_CANDIDATE_BYTES = 60
# Sentences of a shard, where the number of shards is not given.
SHARD_SENTENCES = 2**18
# Sources that exact search holds while all targets pass by.
QUERIES_HELD = 2**16
# FAISS' rounds of k-means for an index; of the codes, with those of the
# rotation, whose matrix products are two of d dimensions in each round.
ROUNDS = 10
CODE_ROUNDS = 25 + 3 * approximate_index.ROTATION_ROUNDS
NEIGHBOUR_BYTES = 12
STEPS = ("embed", "index", "search", "select")


@dataclasses.dataclass(frozen=True)
class MachineConstants:
    """What one machine does in a second, at one dimension.

    A product is one multiplication and one addition.

    Attributes:
      dimension: of the vectors that were measured with.
      exact_products: of exact search, both directions at once.
      clustering_products: of FAISS' k-means.
      code_products: of training pq's codes, which are short vectors.
      codes_written: vectors coded, by kind.
      codes_scanned: codes compared with a query, by kind.
      ranked: candidates ranked by their vectors, in memory.
      selected: neighbours scored and selected.
      disk_bytes: read one after the other.
      disk_pages: read here and there, 4 KiB each.
      encoded: sentences; None if it was not measured.
    """

    dimension: int
    exact_products: float
    clustering_products: float
    code_products: float
    codes_written: dict[str, float]
    codes_scanned: dict[str, float]
    ranked: float
    selected: float
    disk_bytes: float
    disk_pages: float
    encoded: float | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to mine, and what it takes.

    Attributes:
      kind: one of KINDS.
      lists: of the source's and the target's index; zeros for exact search.
      num_probes: lists that a query looks into; 0 for exact search.
      num_candidates: ranked for each query; 0 for exact search.
      code_bytes: of a vector in the index; 0 for exact search.
      vector_bytes: of all vectors.
      index_bytes: of both indexes.
      ram_bytes: memory that is needed.
      disk_bytes: disk that is needed.
      seconds: of each of STEPS; of embed, 0 if its rate is not known.
      knows_embed: whether it is.
    """

    kind: str
    lists: tuple[int, int]
    num_probes: int
    num_candidates: int
    code_bytes: int
    vector_bytes: int
    index_bytes: int
    ram_bytes: int
    disk_bytes: int
    seconds: dict[str, float]
    knows_embed: bool

    @property
    def hours(self) -> float:
        """Of all steps."""
        return sum(self.seconds.values()) / 3600

    def explain(self) -> str:
        """A few lines, told before the work starts."""
        what = "exact: every source is compared with every target"
        if self.kind != "exact":
            source, target = self.lists
            what = (
                f"approximate, {self.kind}: {self.code_bytes} bytes a vector "
                f"in {source} and {target} lists, {self.num_probes} of them "
                f"looked into, {self.num_candidates} candidates ranked by "
                "their vectors"
            )
        steps = [
            f"{step} {told_seconds(self.seconds[step])}"
            for step in STEPS
            if step != "embed" or self.knows_embed
        ]
        beyond = "" if self.knows_embed else ", and the embedding"
        return "\n".join(
            [
                f"Search: {what}.",
                f"Memory: {told_bytes(self.ram_bytes)}. Disk: "
                f"{told_bytes(self.disk_bytes)} (vectors "
                f"{told_bytes(self.vector_bytes)}, index "
                f"{told_bytes(self.index_bytes)}).",
                f"Time: {', '.join(steps)}; in all "
                f"{told_seconds(self.hours * 3600)}{beyond}.",
            ]
        )


def plan(
    num_source: int,
    num_target: int,
    dimension: int,
    vector_bytes: int,
    k: int,
    constants: MachineConstants,
    ram_bytes: int,
    disk_bytes: int,
    kind: str = "auto",
    max_hours: float | None = None,
    keeps_all: bool = False,
) -> Plan:
    """Chooses the search; see the module's docstring for the rules.

    Args:
      num_source: sentences of one side.
      num_target: of the other.
      dimension: of a vector.
      vector_bytes: of one number: 2 or 4.
      k: neighbours of each sentence.
      constants: of this machine and dimension.
      ram_bytes: memory that may be used.
      disk_bytes: disk that may be used, beyond what is there.
      kind: one of KINDS, or "auto".
      max_hours: of all steps; None: no limit.
      keeps_all: whether all candidates are written.

    Raises:
      InputError: nothing fits; it says what is needed and what to do.
    """
    if kind not in ("auto", *KINDS):
        raise InputError(
            f"kind must be one of auto, {', '.join(KINDS)}. Received: {kind!r}."
        )
    sizes = (num_source, num_target, dimension, vector_bytes, k, constants)
    kinds = KINDS if kind == "auto" else (kind,)
    possible = [
        estimate(one, *sizes, ram_bytes, keeps_all)
        for one in kinds
        if one == "exact" or min(num_source, num_target) >= _least(one)
    ]
    if not possible:
        raise InputError(
            f"An index of kind {kind} needs {_least(kind)} sentences or more "
            f"on each side. Received: {num_source} and {num_target}. Use exact "
            "search."
        )
    limits = (ram_bytes, disk_bytes, max_hours)
    fitting = [one for one in possible if not _lacks(one, *limits)]
    # Where there is a choice, exact search must be quick to be taken.
    quick = [
        one
        for one in fitting
        if one.kind != "exact" or _search_hours(one) <= EXACT_HOURS
    ]
    if fitting:
        return (quick or fitting)[0]
    raise InputError(_refusal(possible, sizes, limits))


def estimate(
    kind: str,
    num_source: int,
    num_target: int,
    dimension: int,
    vector_bytes: int,
    k: int,
    constants: MachineConstants,
    ram_bytes: float = float("inf"),
    keeps_all: bool = False,
) -> Plan:
    """What one kind takes, whether it fits or not; arguments as `plan`.

    `ram_bytes` only says whether the vectors stay in the cache.

    Raises:
      InputError: a size is not positive, or the constants are of another
        dimension.
    """
    if min(num_source, num_target, dimension, vector_bytes, k) < 1:
        raise InputError(
            "Sizes must be 1 or more. Received: "
            f"{num_source} x {num_target} sentences, {dimension} dimensions of "
            f"{vector_bytes} bytes, k={k}."
        )
    if constants.dimension != dimension:
        raise InputError(
            f"The machine was measured with {constants.dimension} dimensions. "
            f"Received: vectors of {dimension}. Measure it with these."
        )
    job = _Job(
        num_source,
        num_target,
        dimension,
        vector_bytes,
        k,
        constants,
        ram_bytes,
        keeps_all,
    )
    if kind == "exact":
        return _exact(job)
    return _indexed(job, kind)


def told_bytes(number: float) -> str:
    """As `1.5 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1e6:.0f} MB"


def told_seconds(seconds: float) -> str:
    """As `1.5 h`."""
    for unit, size in (("days", 86400 * 2), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else size):.1f} {unit}"
    return f"{seconds:.0f} s"


def available_memory(root: str | os.PathLike = "/") -> int:
    """Bytes that a new process may take: free, and within cgroup's limit.

    Linux; elsewhere what the machine has.

    Args:
      root: of the file system.
    """
    root = pathlib.Path(root)
    try:
        text = (root / "proc/meminfo").read_text("utf-8")
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        group = root / "sys/fs/cgroup"
        try:
            most = (group / limit).read_text("ascii").strip()
            now = int((group / used).read_text("ascii"))
        except OSError:
            continue
        if most != "max":
            available = min(available, max(int(most) - now, 0))
    return available


def free_disk(folder: str | os.PathLike) -> int:
    """Free bytes on the disk of a folder, which need not be there yet."""
    path = pathlib.Path(folder).absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


@dataclasses.dataclass(frozen=True)
class _Job:
    """Arguments of `estimate`, and what both estimates have in common."""

    num_source: int
    num_target: int
    dimension: int
    number_bytes: int
    k: int
    constants: MachineConstants
    ram_bytes: float
    keeps_all: bool

    @property
    def row_bytes(self) -> int:
        return self.dimension * self.number_bytes

    @property
    def sentences(self) -> int:
        return self.num_source + self.num_target

    @property
    def vector_bytes(self) -> int:
        return self.sentences * self.row_bytes

    @property
    def neighbour_bytes(self) -> int:
        return self.sentences * self.k * NEIGHBOUR_BYTES

    def finish(self, index_seconds, search_seconds, peak, **fields) -> Plan:
        """The plan, with the steps and memory that every search has."""
        constants = self.constants
        encoded = constants.encoded
        seconds = {
            "embed": self.sentences / encoded if encoded else 0.0,
            "index": index_seconds,
            "search": search_seconds,
            "select": self.sentences * self.k / constants.selected,
        }
        selection = self.sentences * (
            SELECT_SENTENCE_BYTES + self.k * SELECT_NEIGHBOUR_BYTES
        )
        if self.keeps_all:
            selection += self.num_source * self.k * SELECT_CANDIDATE_BYTES
        return Plan(
            vector_bytes=self.vector_bytes,
            ram_bytes=WORKING_BYTES + max(peak, selection),
            seconds=seconds,
            knows_embed=bool(encoded),
            **fields,
        )


def _exact(job: _Job) -> Plan:
    constants = job.constants
    products = job.num_source * job.num_target * job.dimension
    read = job.vector_bytes
    peak = job.neighbour_bytes + 8 * job.sentences
    # Each shard of sources has neighbours for every target.
    shards = -(-job.num_source // SHARD_SENTENCES)
    if WORKING_BYTES + peak + read > job.ram_bytes:
        passes = -(-job.num_source // QUERIES_HELD)
        read = (job.num_source + passes * job.num_target) * job.row_bytes
    return job.finish(
        0.0,
        products / constants.exact_products + read / constants.disk_bytes,
        peak,
        kind="exact",
        lists=(0, 0),
        num_probes=0,
        num_candidates=0,
        code_bytes=0,
        index_bytes=0,
        disk_bytes=(
            job.vector_bytes
            + job.num_source * job.k * NEIGHBOUR_BYTES
            + shards * job.num_target * job.k * NEIGHBOUR_BYTES
        ),
    )


def _indexed(job: _Job, kind: str) -> Plan:
    sides = (job.num_source, job.num_target)
    lists = tuple(approximate_index.num_lists(size) for size in sides)
    index_bytes = [
        _index_bytes(kind, size, some, job.dimension)
        for size, some in zip(sides, lists, strict=True)
    ]
    probes = approximate_search.DEFAULT_PROBES
    candidates = max(approximate_search.DEFAULT_CANDIDATES[kind], 2 * job.k)
    points = max(map(approximate_index.num_training_points, sides, lists))
    searching = job.neighbour_bytes + max(index_bytes)
    peak = max(4 * job.dimension * points, searching)
    is_cached = WORKING_BYTES + peak + job.vector_bytes <= job.ram_bytes
    return job.finish(
        sum(
            _index_seconds(job, kind, *one)
            for one in zip(sides, lists, index_bytes, strict=True)
        ),
        sum(
            _search_seconds(job, kind, queries, size, some, is_cached)
            for queries, size, some in zip(
                sides[::-1], sides, lists, strict=True
            )
        ),
        peak,
        kind=kind,
        lists=lists,
        num_probes=probes,
        num_candidates=candidates,
        code_bytes=approximate_index.code_bytes(kind, job.dimension),
        index_bytes=sum(index_bytes),
        disk_bytes=(
            job.vector_bytes + job.neighbour_bytes + 2 * sum(index_bytes)
        ),
    )


def _index_bytes(kind: str, size: int, lists: int, dimension: int) -> int:
    code = approximate_index.code_bytes(kind, dimension)
    own = 4 * dimension * lists
    if kind == "pq":
        own += 4 * dimension * (dimension + approximate_index.CENTRES_PER_BYTE)
    return size * (code + 8) + own


def _index_seconds(job, kind, size, lists, index_bytes) -> float:
    constants, dimension = job.constants, job.dimension
    points = approximate_index.num_training_points(size, lists)
    clustering = ROUNDS * points * lists * dimension
    seconds = clustering / constants.clustering_products
    if kind == "pq":
        points = min(size, approximate_index.CODE_POINTS)
        codes = (
            points
            * dimension
            * approximate_index.CENTRES_PER_BYTE
            * CODE_ROUNDS
        )
        turns = 2 * points * dimension**2 * approximate_index.ROTATION_ROUNDS
        seconds += codes / constants.code_products
        seconds += turns / constants.clustering_products
    seconds += size * lists * dimension / constants.exact_products
    seconds += size / constants.codes_written[kind]
    moved = size * job.row_bytes + 3 * index_bytes
    return seconds + moved / constants.disk_bytes


def _search_seconds(job, kind, queries, size, lists, is_cached) -> float:
    """Of some queries among the vectors of one side's index."""
    constants = job.constants
    probes = min(approximate_search.DEFAULT_PROBES, lists)
    candidates = max(approximate_search.DEFAULT_CANDIDATES[kind], 2 * job.k)
    ranked = constants.ranked
    if not is_cached:
        ranked = min(ranked, constants.disk_pages)
    return queries * (
        lists * job.dimension / constants.exact_products
        + probes * size / lists / constants.codes_scanned[kind]
        + candidates / ranked
    )


def _least(kind: str) -> int:
    """Sentences of a side that an index needs."""
    if kind == "pq":
        return (
            approximate_index.LEAST_POINTS * approximate_index.CENTRES_PER_BYTE
        )
    return approximate_index.LEAST_POINTS


def _search_hours(one: Plan) -> float:
    return one.seconds["search"] / 3600


def _lacks(one: Plan, ram_bytes, disk_bytes, max_hours) -> list[str]:
    """What the plan needs and there is not."""
    lacks = []
    for name, needed, given in (
        ("memory", one.ram_bytes, ram_bytes),
        ("disk", one.disk_bytes, disk_bytes),
    ):
        if needed > given:
            lacks.append(
                f"{told_bytes(needed)} of {name}, where there is "
                f"{told_bytes(given)}"
            )
    if max_hours is not None and one.hours > max_hours:
        lacks.append(f"{one.hours:.1f} hours, where {max_hours:g} are allowed")
    return lacks


def _refusal(possible: list[Plan], sizes: tuple, limits: tuple) -> str:
    needs = "; ".join(
        f"{one.kind}: {' and '.join(_lacks(one, *limits))}" for one in possible
    )
    num_source, num_target, dimension, number_bytes, *_ = sizes
    advice = [
        "make room or use another disk",
        "split the larger side into files that are mined one by one",
        "share the work between machines (docs/mining_at_scale.md)",
    ]
    if number_bytes > 2:
        advice.insert(0, "store the vectors as float16")
    return (
        f"Mining {num_source} x {num_target} sentences with {dimension} "
        f"dimensions of {number_bytes} bytes must fit into memory, disk and "
        f"time. Received a machine for which it needs, {needs}. What helps: "
        f"{', or '.join(advice)}."
    )
