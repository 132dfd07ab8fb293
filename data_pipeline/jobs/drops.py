"""What a job drops, counted by language, step and reason."""

import collections
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Dropped(NamedTuple):
    """Something that a step dropped."""

    step: str  # "length"
    reason: str  # "fewer than 10 characters"
    language: str  # "und" where it is not known yet
    text: str  # empty for a record without text
    place: str  # path:number of the record


class Drops:
    """Counts what is dropped.

    Attributes:
      counts: (language, step, reason) -> [texts, characters].
    """

    def __init__(self, keep: Callable[[Dropped], None] | None = None):
        """With `keep`, what is dropped is also passed on to it."""
        self.counts: dict[tuple[str, str, str], list[int]] = (
            collections.defaultdict(lambda: [0, 0])
        )
        self._keep = keep

    def add(self, dropped: Dropped) -> None:
        """Counts one text."""
        count = self.counts[dropped.language, dropped.step, dropped.reason]
        count[0] += 1
        count[1] += len(dropped.text)
        if self._keep:
            self._keep(dropped)

    def to_json(self) -> list[list]:
        """Rows of language, step, reason, texts and characters, sorted."""
        return [[*key, *self.counts[key]] for key in sorted(self.counts)]

    def add_json(self, rows: list[list]) -> None:
        """Adds what another worker's `to_json` gave."""
        for language, step, reason, texts, characters in rows:
            count = self.counts[language, step, reason]
            count[0] += texts
            count[1] += characters

    def by_step(self) -> Mapping[str, int]:
        """Texts that each step dropped, of all languages."""
        found = collections.Counter()
        for (_, step, _), (texts, _) in self.counts.items():
            found[step] += texts
        return found
