"""Keeps what a job drops, by step and reason.

    REJECTS/length/fewer_than_10_characters/NAME.jsonl.gz

NAME is of the unit that dropped it, so workers never write the same file. A
line is an object with `text`, `language`, `place`, `step` and `reason`.
"""

import contextlib
import gzip
import json
import os
import pathlib
import re
from collections.abc import Iterator

from data_pipeline.jobs.drops import Dropped
from labse.files.full_disk import full_disk_is_input_error

# Of lines that wait to be compressed, of all reasons.
_BUFFER_BYTES = 2**23
_LEVEL = 3


class Rejects:
    """What one unit drops; `keep` is for `Drops`.

    No file stays open, so that there may be many reasons.
    """

    def __init__(self, folder: str | os.PathLike, name: str):
        """See `open_rejects`."""
        self._folder, self._name = pathlib.Path(folder), f"{name}.jsonl.gz"
        self._buffers: dict[tuple[str, str], list[bytes]] = {}
        self._begun: set[pathlib.Path] = set()
        self._size = 0

    def keep(self, dropped: Dropped) -> None:
        """Keeps one text."""
        line = json.dumps(
            {
                "text": dropped.text,
                "language": dropped.language,
                "place": dropped.place,
                "step": dropped.step,
                "reason": dropped.reason,
            },
            ensure_ascii=False,
        ).encode("utf-8", "backslashreplace")
        key = (dropped.step, dropped.reason)
        self._buffers.setdefault(key, []).append(line + b"\n")
        self._size += len(line)
        if self._size >= _BUFFER_BYTES:
            self._flush()

    def _path(self, step: str, reason: str) -> pathlib.Path:
        return self._folder / _file_name(step) / _file_name(reason) / self._name

    def _flush(self) -> None:
        with full_disk_is_input_error(self._folder):
            self._write()
        self._buffers.clear()
        self._size = 0

    def _write(self) -> None:
        for (step, reason), lines in self._buffers.items():
            path = _temporary(self._path(step, reason))
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = "ab" if path in self._begun else "wb"
            self._begun.add(path)
            with open(path, mode) as file:
                # The same bytes at another time.
                file.write(gzip.compress(b"".join(lines), _LEVEL, mtime=0))

    def _finish(self) -> None:
        self._flush()
        for path in self._begun:
            path.replace(path.with_name(self._name))

    def _clear(self) -> None:
        for path in self._folder.glob(f"*/*/{_escaped(self._name)}"):
            path.unlink()


@contextlib.contextmanager
def open_rejects(folder: str | os.PathLike, name: str) -> Iterator[Rejects]:
    """The rejects of a unit: whole at the end of the block, or not there.

    Do it inside `write` of the unit's own file, so that a unit that is done has
    its rejects, and let its `made_from` say whether rejects are kept.

    Args:
      folder: of the rejects of all units; made if it is not there.
      name: of the unit, without folders.
    """
    rejects = Rejects(folder, name)
    rejects._clear()
    yield rejects
    rejects._finish()


def _temporary(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f".{path.name}.part")


def _file_name(text: str) -> str:
    """A step or reason as the name of a folder."""
    return re.sub(r"\W+", "_", text).strip("_").lower() or "_"


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
