"""The report of a job: what was kept and dropped, by language and reason.

    OUT/report.json     all counts
    OUT/report.txt      the same as tables

Each unit writes its counts (`Counts.to_json`); the report adds them. Sums and
sorted rows do not depend on the workers.
"""

import json
import os
import pathlib
from collections.abc import Mapping

from data_pipeline.jobs.drops import Drops
from labse.files.atomic_write import write_text

_FIELDS = ("language", "step", "reason", "texts", "characters")
# Languages in the short form, the largest.
_SHORT_ROWS = 20


class Counts:
    """What one unit, or a job, read, kept and dropped.

    Attributes:
      kept: language -> [texts, characters].
      drops: what was dropped.
      totals: other numbers, such as "pages read".
    """

    def __init__(self, drops: Drops | None = None):
        """Nothing is counted yet."""
        self.kept: dict[str, list[int]] = {}
        self.drops = drops or Drops()
        self.totals: dict[str, int] = {}

    def keep(self, language: str, text: str) -> None:
        """Counts a text that is kept."""
        count = self.kept.setdefault(language, [0, 0])
        count[0] += 1
        count[1] += len(text)

    def add_total(self, name: str, number: int = 1) -> None:
        """Adds to one of the other numbers."""
        self.totals[name] = self.totals.get(name, 0) + number

    def to_json(self) -> dict[str, object]:
        """Values for JSON; equal counts give equal values."""
        return {
            "totals": dict(sorted(self.totals.items())),
            "kept": [[key, *self.kept[key]] for key in sorted(self.kept)],
            "dropped": self.drops.to_json(),
        }

    def add_json(self, values: Mapping) -> None:
        """Adds what another one's `to_json` gave."""
        for name, number in values["totals"].items():
            self.add_total(name, number)
        for language, texts, characters in values["kept"]:
            count = self.kept.setdefault(language, [0, 0])
            count[0] += texts
            count[1] += characters
        self.drops.add_json(values["dropped"])


def write_report(
    folder: str | os.PathLike,
    title: str,
    counts: Counts,
    settings: Mapping[str, object] | None = None,
) -> str:
    """Writes report.json and report.txt.

    Args:
      folder: where; made if it is not there.
      title: of the report, such as "labse clean-monolingual".
      counts: of all units.
      settings: what was done, as JSON values.

    Returns:
      the short form of the tables, for the terminal.
    """
    folder = pathlib.Path(folder)
    values = {
        "title": title,
        "settings": dict(settings or {}),
        "totals": dict(sorted(counts.totals.items())),
        "kept": [
            {"language": key, "texts": texts, "characters": characters}
            for key, (texts, characters) in sorted(counts.kept.items())
        ],
        "dropped": [
            dict(zip(_FIELDS, row, strict=True))
            for row in counts.drops.to_json()
        ],
    }
    text = json.dumps(values, indent=1, ensure_ascii=False)
    write_text(folder / "report.json", f"{text}\n")
    tables = [_by_language(counts), _by_reason(counts), _of_each(counts)]
    write_text(folder / "report.txt", _join(title, counts, tables))
    return _join(
        title, counts, [_by_language(counts, _SHORT_ROWS), _by_reason(counts)]
    )


def _join(title: str, counts: Counts, tables: list[str]) -> str:
    totals = [
        f"{name}: {number:,}" for name, number in sorted(counts.totals.items())
    ]
    parts = [title, "\n".join(totals), *tables]
    return "\n\n".join(filter(None, parts)) + "\n"


def _by_language(counts: Counts, most: int | None = None) -> str:
    dropped: dict[str, int] = {}
    for (language, _, _), (texts, _) in counts.drops.counts.items():
        dropped[language] = dropped.get(language, 0) + texts
    kept = {language: found[0] for language, found in counts.kept.items()}
    languages = sorted(
        {*kept, *dropped},
        key=lambda each: (-kept.get(each, 0) - dropped.get(each, 0), each),
    )
    rows = [
        (
            each,
            kept.get(each, 0),
            counts.kept.get(each, [0, 0])[1],
            dropped.get(each, 0),
        )
        for each in languages
    ]
    shown = rows[:most]
    if rest := rows[len(shown) :]:
        shown.append((f"{len(rest)} others", *_sums(rest)))
    if len(rows) > 1:
        shown.append(("all", *_sums(rows)))
    return table(
        ("language", "kept", "characters", "dropped", "kept, %"),
        [(*row, _percent(row[1], row[1] + row[3])) for row in shown],
    )


def _sums(rows: list[tuple]) -> list[int]:
    """Of each column but the first."""
    return [sum(column) for column in [*zip(*rows, strict=True)][1:]]


def _by_reason(counts: Counts) -> str:
    found: dict[tuple[str, str], list[int]] = {}
    for (_, step, reason), numbers in counts.drops.counts.items():
        sums = found.setdefault((step, reason), [0, 0])
        for place, number in enumerate(numbers):
            sums[place] += number
    total = sum(texts for texts, _ in found.values())
    rows = [
        (step, reason, texts, characters, _percent(texts, total))
        for (step, reason), (texts, characters) in sorted(
            found.items(), key=lambda each: (-each[1][0], each[0])
        )
    ]
    head = ("step", "reason", "dropped", "characters", "of dropped, %")
    return table(head, rows) if rows else "Nothing was dropped."


def _of_each(counts: Counts) -> str:
    rows = counts.drops.to_json()
    head = ("language", "step", "reason", "dropped", "characters")
    return table(head, rows) if rows else ""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def table(head: tuple[str, ...], rows: list) -> str:
    """A table of text: words to the left, numbers to the right."""
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else cell for cell in row]
        for row in rows
    ]
    is_number = [
        all(_is_numeric(row[place]) for row in cells) and bool(cells)
        for place in range(len(head))
    ]
    widths = [
        max(len(row[place]) for row in [head, *cells])
        for place in range(len(head))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in [head, *cells]
    )


def _is_numeric(cell: str) -> bool:
    return cell == "-" or cell.replace(",", "").replace(".", "").isdigit()
