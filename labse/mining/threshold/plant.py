"""Draws the known translations to plant among the sentences of two corpora.

What they are for is told in `labse.mining.threshold.planted`.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from labse.errors import InputError
from labse.mining.threshold import gold_pairs
from labse.mining.threshold.gold_pairs import Corpus
from labse.mining.threshold.planted import NO_PARTNER, PlantedPairs

MOST_PAIRS = 10_000
# Planted sentences are neighbours too. More than one in twenty would change
# what is mined of the others; fewer than this tell little.
MAX_SHARE = 0.05
ENOUGH_PAIRS = 400
FEWEST_PAIRS = 40
_BLOCK = 16_384


def read(path: str) -> list[tuple[str, str]]:
    """Known translations: a TSV whose header names `source` and `target`.

    Raises:
      InputError: see `gold_pairs.read`, or it does not hold texts.
    """
    gold = gold_pairs.read(path)
    if gold.kind != "text":
        raise InputError(
            f"{path}: pairs to plant are texts: a TSV whose header names "
            f"source and target. Received pairs by {gold.kind}."
        )
    return list(zip(gold.sources, gold.targets, strict=True))


def plant(
    source: Corpus,
    target: Corpus,
    known: Iterable[tuple[str, str]],
    most: int = MOST_PAIRS,
    seed: int = 0,
) -> PlantedPairs:
    """Draws the pairs to plant, and which halves of some are left out.

    A pair is left out if one of its texts is in the corpora already or is in
    another of the pairs (one source may have several right targets), and if it
    is the same text twice, which mining drops. The draw depends on the seed and
    on each pair's texts only. At most one sentence to twenty of the smaller
    corpus is drawn, but 400 of however few.

    Args:
      source, target: the corpora; read through once.
      known: translations, (source, target).
      most: how many pairs to draw at most.
      seed: of the draw.

    Raises:
      InputError: fewer than 40 pairs can be planted.
    """
    pairs = dict.fromkeys(
        (one.strip(), two.strip()) for one, two in known
    )  # each once
    usable, left_out = _usable(list(pairs), source, target)
    usable.sort(key=lambda pair: (_draw(seed, *pair), pair))
    room = int(MAX_SHARE * min(len(source), len(target)))
    most = min(most, max(room, ENOUGH_PAIRS))
    left_out["not drawn"] = max(0, len(usable) - most)
    usable = usable[:most]
    if len(usable) < FEWEST_PAIRS:
        reasons = ", ".join(f"{n:,} {why}" for why, n in left_out.items() if n)
        raise InputError(
            f"At least {FEWEST_PAIRS} known translations must be planted, some "
            f"hundreds are better. Received: {len(pairs):,} distinct pairs, of "
            f"which {len(usable)} can be ({reasons or 'none left out'}). Give "
            "pairs that are not in the two files."
        )
    return _arrange(usable, len(source), len(target), left_out)


def _usable(
    pairs: list[tuple[str, str]], source: Corpus, target: Corpus
) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """The pairs that can be planted, and how many cannot by the reason."""
    known = [_present({pair[0] for pair in pairs}, source)]
    known.append(_present({pair[1] for pair in pairs}, target))
    repeated = [
        _repeated([pair[0] for pair in pairs]),
        _repeated([pair[1] for pair in pairs]),
    ]
    left_out = {
        "blank or of one text twice": 0,
        "with a text that is in the corpora": 0,
        "with a text that is in another pair": 0,
    }
    reasons = list(left_out)
    usable = []
    for pair in pairs:
        if not all(pair) or pair[0] == pair[1]:
            left_out[reasons[0]] += 1
        elif pair[0] in known[0] or pair[1] in known[1]:
            left_out[reasons[1]] += 1
        elif pair[0] in repeated[0] or pair[1] in repeated[1]:
            left_out[reasons[2]] += 1
        else:
            usable.append(pair)
    return usable, left_out


def _present(texts: set[str], corpus: Corpus) -> set[str]:
    found = set()
    for start in range(0, len(corpus), _BLOCK):
        block = corpus.texts(start, min(start + _BLOCK, len(corpus)))
        found.update(texts.intersection(block))
    return found


def _repeated(texts: list[str]) -> set[str]:
    seen: set[str] = set()
    return {text for text in texts if text in seen or seen.add(text)}


def _draw(seed: int, source: str, target: str) -> bytes:
    content = f"{seed}\t{source}\t{target}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


def _arrange(
    pairs: list[tuple[str, str]],
    num_sources: int,
    num_targets: int,
    left_out: dict[str, int],
) -> PlantedPairs:
    """Of four pairs two stay whole, one loses its target, one its source."""
    sources, targets = [], []
    source_partners, target_partners = [], []
    for rank, (source, target) in enumerate(pairs):
        has_source, has_target = rank % 4 != 3, rank % 4 != 1
        # Numbers of both, taken before either list grows.
        source_number = num_sources + len(sources)
        target_number = num_targets + len(targets)
        if has_source:
            sources.append(source)
            source_partners.append(target_number if has_target else NO_PARTNER)
        if has_target:
            targets.append(target)
            target_partners.append(source_number if has_source else NO_PARTNER)
    return PlantedPairs(
        num_sources,
        num_targets,
        sources,
        targets,
        np.array(source_partners, np.int64),
        np.array(target_partners, np.int64),
        left_out,
    )
