"""What is compiled, and for which TPUs."""

import dataclasses

REPLICAS = 32  # Cores in section 3.2's run.
# 32 cores each. JAX names them; v5p's two cores of a chip are one device.
TOPOLOGIES = {
    "v3": "v3:4x4",
    "v4": "v4:2x2x4",
    "v5e": "v5e:4x8",
    "v5p": "v5p:2x4x4",
    "v6e": "v6e:4x8",
}


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A training step: a preset, and what differs from it."""

    title: str
    preset: str
    rows: int  # Pairs or sequences, on each core.
    overrides: tuple[str, ...] = ()
    hard_negatives: int = 0


_REMATERIALIZE = "training.rematerialize=true"
_BUCKETS = "data.length_buckets=[32, 64, 128]"
CONFIGURATIONS = {
    "tiny": Configuration("`labse_tiny`", "labse_tiny", 16),
    "base": Configuration("`labse_base`", "labse_base", 128),
    "base_rematerialized": Configuration(
        "... rematerialised", "labse_base", 128, (_REMATERIALIZE,)
    ),
    "base_256": Configuration("... 256 pairs", "labse_base", 256),
    "base_256_rematerialized": Configuration(
        "... 256 pairs, rematerialised", "labse_base", 256, (_REMATERIALIZE,)
    ),
    "base_gradient_cache": Configuration(
        "... 1,024 pairs, gradient cache of 128",
        "labse_base",
        1024,
        ("training.gradient_cache_chunk=128",),
    ),
    "base_buckets": Configuration(
        "... buckets of 32, 64, 128 tokens", "labse_base", 128, (_BUCKETS,)
    ),
    "base_32_tokens": Configuration(
        "... 32 tokens", "labse_base", 128, ("data.max_length=32",)
    ),
    "hard_negatives": Configuration(
        "... 3 hard negatives a pair", "labse_base", 128, (), 3
    ),
    "hard_negatives_rematerialized": Configuration(
        "... 3 hard negatives a pair, rematerialised",
        "labse_base",
        128,
        (_REMATERIALIZE,),
        3,
    ),
    "large": Configuration("`labse_large`", "labse_large", 128),
    "large_rematerialized": Configuration(
        "... rematerialised", "labse_large", 128, (_REMATERIALIZE,)
    ),
    "dan": Configuration(
        "`labse_dan`, 1,024 pairs, no buckets",
        "labse_dan",
        1024,
        ("data.length_buckets=[]",),
    ),
    "pretrain": Configuration(
        "`pretrain_base`, 16 sequences of 512", "pretrain_base", 16
    ),
    "pretrain_rematerialized": Configuration(
        "... 64 sequences, rematerialised",
        "pretrain_base",
        64,
        (_REMATERIALIZE,),
    ),
    "pretrain_large": Configuration(
        "`pretrain_large`, 16 sequences, rematerialised",
        "pretrain_large",
        16,
        (_REMATERIALIZE,),
    ),
}
# The rows of the table that say most come first.
ORDER = [
    ("tiny", "v3"),
    ("base", "v3"),
    ("base_256_rematerialized", "v3"),
    ("base", "v5e"),
    ("dan", "v3"),
    ("base_rematerialized", "v3"),
    ("hard_negatives_rematerialized", "v3"),
    ("large_rematerialized", "v3"),
    ("pretrain", "v3"),
    ("base_buckets", "v3"),
    ("base_gradient_cache", "v3"),
    ("base", "v4"),
    ("base", "v5p"),
    ("base", "v6e"),
    ("large", "v5p"),
    ("large", "v4"),
    ("hard_negatives", "v5p"),
]
ORDER += [
    (name, topology)
    for topology in TOPOLOGIES
    for name in CONFIGURATIONS
    if (name, topology) not in ORDER
]
