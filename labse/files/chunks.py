"""A stream of any length in parts that fit in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def chunked(
    items: Iterable[Item],
    size_of: Callable[[Item], int],
    max_items: int,
    max_size: int,
) -> Iterator[list[Item]]:
    """Yields the items in order, none of the chunks empty.

    A chunk ends with `max_items`, or the item that reaches `max_size`.
    """
    chunk, size = [], 0
    for item in items:
        chunk.append(item)
        size += size_of(item)
        if len(chunk) == max_items or size >= max_size:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
