"""The report of an audit: a table, report.json and report.html."""

import json
import math
import pathlib

from data_pipeline.audit import rules
from data_pipeline.audit.counts import RATIO_BIN, Counts, ratio_outliers
from data_pipeline.audit.job import Found
from data_pipeline.audit.reading import IN_EVALUATION
from data_pipeline.audit.rules import RULES, Verdict
from data_pipeline.html_page import write_page
from data_pipeline.jobs.report import table
from labse import charts
from labse.files.atomic_write import write_text

ALL = "all"
# Of the table on the terminal; the files have all.
_MOST_ROWS = 30


def write_reports(folder: pathlib.Path, found: Found, verdict: Verdict) -> None:
    """Writes report.json and report.html."""
    values = to_json(found, verdict)
    text = json.dumps(values, indent=1, ensure_ascii=False)
    write_text(folder / "report.json", text + "\n")
    total = values["languages"][ALL]
    write_page(
        folder / "report.html",
        "audit/report.html.j2",
        values=values,
        total=total,
        rules=rules.rules_in_use(found.settings),
        limits=values["limits"],
        charts=_charts(found),
        examples=_examples(found),
        min_texts=rules.MIN_TEXTS,
    )


def to_json(found: Found, verdict: Verdict) -> dict[str, object]:
    """All figures."""
    languages = {ALL: _sum(found), **found.counts}
    return {
        "verdict": "go" if verdict.is_go else "no-go",
        "reasons": verdict.reasons,
        "files": found.files,
        "settings": found.settings.to_json(),
        "limits": _limits(),
        "batch": {
            "size": found.settings.batch,
            "accidental_negatives": round(verdict.accidental, 4),
            "share_of_negatives": round(verdict.accidental_share, 8),
            "equal_pairs_of_rows": found.equal,
        },
        "evaluation": [
            {"file": path, "texts": texts, "in_the_data": seen}
            for path, texts, seen in found.evaluation
        ],
        "languages": {
            name: _of_language(counts, found)
            for name, counts in languages.items()
        },
    }


def summary(found: Found, verdict: Verdict) -> str:
    """The tables for the terminal, and the verdict."""
    used = rules.rules_in_use(found.settings)
    ordered = sorted(
        found.counts.items(),
        key=lambda each: (-each[1].numbers["rows"], each[0]),
    )
    rows = [(ALL, _sum(found)), *ordered[:_MOST_ROWS]]
    head = ("language", "rows", "pieces/word", *(rule.name for rule in used))
    cells = [
        (
            name,
            counts.numbers["rows"],
            _pieces_per_word(counts),
            *(f"{100 * rule.share(counts):.2f}" for rule in used),
        )
        for name, counts in rows
    ]
    parts = [table(head, cells) + "\nShares in per cent."]
    if len(ordered) > _MOST_ROWS:
        parts[0] += f" {len(ordered) - _MOST_ROWS} more in report.json."
    if not found.settings.is_monolingual:
        parts.append(
            f"Accidental negatives expected in a batch of "
            f"{found.settings.batch:,}: {verdict.accidental:,.1f}, "
            f"{verdict.accidental_share:.4%} of its negatives."
        )
    seen = [each for each in found.evaluation if each[2]]
    if found.evaluation:
        parts.append(
            f"Evaluation sets: {sum(each[2] for each in seen):,} texts of "
            f"{len(seen):,} of {len(found.evaluation):,} files stand in the "
            "data."
        )
    lines = [f"- {reason}" for reason in verdict.reasons]
    parts.append("\n".join(["GO" if verdict.is_go else "NO-GO", *lines]))
    return "\n\n".join(parts)


def _limits() -> list[dict[str, object]]:
    return [
        *(
            {"name": rule.name, "limit": rule.limit, "reason": rule.reason}
            for rule in RULES
        ),
        {
            "name": "accidental negatives",
            "limit": rules.MAX_ACCIDENTAL_SHARE,
            "reason": rules.ACCIDENTAL_REASON,
        },
        {
            "name": "evaluation",
            "limit": rules.MAX_EVALUATION_SHARE,
            "reason": rules.EVALUATION_REASON,
        },
    ]


def _of_language(counts: Counts, found: Found) -> dict[str, object]:
    median, _ = ratio_outliers(counts.ratios, rules.RATIO_FACTOR)
    return {
        **{
            name: counts.numbers.get(name, 0)
            for name in ("rows", "texts", "characters")
        },
        "shares": {
            rule.name: round(rule.share(counts), 6)
            for rule in rules.rules_in_use(found.settings)
        },
        "pieces_per_word": _pieces_per_word(counts),
        "median_length_ratio": round(median, 3),
        "counts": dict(sorted(counts.numbers.items())),
    }


def _pieces_per_word(counts: Counts) -> str:
    words = counts.numbers.get("words", 0)
    return f"{counts.numbers['pieces'] / words:.2f}" if words else "-"


def _sum(found: Found) -> Counts:
    """The sum of all languages; ratios are those to the languages' medians."""
    total = Counts()
    for counts in found.counts.values():
        values = counts.to_json()
        median, _ = ratio_outliers(counts.ratios, rules.RATIO_FACTOR)
        middle = math.floor(math.log2(median) / RATIO_BIN)
        values["ratios"] = [
            (place - middle, number) for place, number in values["ratios"]
        ]
        total.add_json({**values, "examples": {}})
    return total


def _charts(found: Found) -> list:
    total = _sum(found)
    drawn = []
    if total.lengths:
        longest = found.settings.max_length
        most = max(2 * longest, 32)
        drawn.append(
            charts.line_chart(
                "Texts, by pieces with [CLS] and [SEP]",
                [_line("texts", _points(total.lengths, 1, most))],
                x_range=(0, most),
                mark=(f"cut at {longest}", longest),
            )
        )
    if total.ratios:
        drawn.append(
            charts.line_chart(
                "Pairs, by length of target / source over the median (log 2)",
                [_line("pairs", _points(total.ratios, RATIO_BIN, 64))],
                x_range=(-4, 4),
            )
        )
    return drawn


def _line(name: str, points) -> charts.Line:
    return charts.Line(name, points, charts.COLORS[0])


def _points(bins, width: float, most: int) -> list[tuple[float, float]]:
    """Counts by bin, 0 where there are none; those beyond in the last."""
    low = min(0, *bins, -1) if min(bins) < 0 else 0
    low = max(low, -most)
    found = dict.fromkeys(range(low, most + 1), 0)
    for place, number in bins.items():
        found[max(low, min(most, place))] += number
    return [(place * width, number) for place, number in found.items()]


def _examples(found: Found) -> list[tuple[str, str, str, str]]:
    """(rule, language, place, text): what breaks rules, or is a test's."""
    wanted = [
        (rule.name, rule.check, name)
        for rule in rules.rules_in_use(found.settings)
        if rule.check
        for name, _ in rules.broken_by(rule, found)
    ]
    wanted += [("evaluation", IN_EVALUATION, name) for name in found.counts]
    return [
        (rule, name, place, text)
        for rule, check, name in wanted
        for place, text in found.counts[name].examples.get(check, ())
    ]
