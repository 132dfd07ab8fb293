"""Figures of a vocabulary before and after a change.

The JSON file in the new run, RUN/prune_report.json or RUN/grow_report.json:

    {"pieces": {"before": int, "after": int},
     "parameters": {"before": int, "after": int},
     "megabytes": {"before": float, "after": float},   float32, 1e6 bytes
     "added": int, "known": int, "from_unknown": int,  grow-vocab only
     "files": [path, ...],                             the text below
     "all": {"before": FIGURES, "after": FIGURES},
     "languages": {language: {"before": FIGURES, "after": FIGURES}}}

with FIGURES = {"texts": int, "words": int, "unknown_words": int,
"pieces": int, "characters": int, "unknown_rate": float,
"pieces_per_word": float}; words are the tokenizer's, see
`labse.preprocessing.piece_counts`. Without text the last three keys are
missing.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from labse.preprocessing.piece_counts import Figures, PieceCounter

_HEAD = (
    f"{'':<12}{'':>10}{'':>12}{'[UNK] words':^20}{'pieces per word':>17}\n"
    f"{'language':<12}{'texts':>10}{'words':>12}"
    f"{'before':>10}{'after':>10}{'before':>9}{'after':>9}"
)


def sizes(
    old_weights: Mapping, new_weights: Mapping, pieces: tuple[int, int]
) -> dict:
    """The report's sizes; `pieces` is their number before and after."""
    counts = [
        sum(math.prod(weight.shape) for weight in weights.values())
        for weights in (old_weights, new_weights)
    ]
    return {
        "pieces": _change(*pieces),
        "parameters": _change(*counts),
        "megabytes": _change(*(round(n * 4 / 1e6, 3) for n in counts)),
    }


def text_figures(
    old: PieceCounter, new: PieceCounter, files: Sequence[str]
) -> dict:
    """The report's figures of the texts that both have counted."""
    return {
        "files": list(files),
        "all": _change(_plain(old.total()), _plain(new.total())),
        "languages": {
            name: _change(
                _plain(old.languages[name]), _plain(new.languages[name])
            )
            for name in sorted(old.languages)
        },
    }


def table(report: dict) -> str:
    """The report as a table for reading."""
    lines = [
        f"{name + ':':<12}{row['before']:>15,}  -> {row['after']:>15,}"
        f"  ({row['after'] / row['before'] - 1:+.1%})"
        for name in ("pieces", "parameters", "megabytes")
        for row in [report[name]]
    ]
    if "all" in report:
        rows = [*report["languages"].items()]
        if len(rows) > 1:
            rows.append(("all", report["all"]))
        lines += [_HEAD, *(_line(name, row) for name, row in rows)]
    return "\n".join(lines)


def _line(name: str, row: dict) -> str:
    before, after = row["before"], row["after"]
    return (
        f"{name:<12}{before['texts']:>10,}{before['words']:>12,}"
        f"{before['unknown_rate']:>10.3%}{after['unknown_rate']:>10.3%}"
        f"{before['pieces_per_word']:>9.3f}{after['pieces_per_word']:>9.3f}"
    )


def _plain(row: Figures) -> dict:
    return {
        **dataclasses.asdict(row),
        "unknown_rate": row.unknown_rate,
        "pieces_per_word": row.pieces_per_word,
    }


def _change(before, after) -> dict:
    return {"before": before, "after": after}
