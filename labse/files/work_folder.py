"""The files of a long job: each is made once, with a note of its inputs.

    WORK/NAME             a file or a folder
    WORK/notes/NAME.json  what it was made from, its SHA-256 and its size

A file is written under a temporary name and renamed when it is complete. After
a kill it is written again, or resumed if its writer can resume. Several
processes may share one folder: a process waits for a file that another one is
writing. A file made from other inputs is never used silently.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping

from labse.errors import InputError
from labse.files.atomic_write import write_text
from labse.files.full_disk import full_disk_is_input_error

_BLOCK = 2**22


@dataclasses.dataclass(frozen=True)
class Note:
    """What is known about a file."""

    made_from: Mapping[str, object]  # everything its contents depend on
    sha256: str  # of the file; of a folder, of its files in order
    size: int


class WorkFolder:
    """A folder of files and notes of what they were made from."""

    def __init__(self, folder: str | os.PathLike, restart: bool = False):
        """Opens the folder; it is created with its first file.

        With `restart`, files that were made from something else are made again
        instead of raising.
        """
        # Worker processes may have another working directory.
        self.folder = pathlib.Path(folder).absolute()
        self.restart = restart

    def path(self, name: str) -> pathlib.Path:
        """The path of a file."""
        return self.folder / name

    def note(self, name: str) -> Note | None:
        """The file's note; None if it was not made.

        Raises:
          InputError: the file's size has changed since it was made.
        """
        try:
            found = json.loads(self._note_path(name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        note = Note(**found)
        path = self.path(name)
        if not path.exists() or _size(path) != note.size:
            raise InputError(
                f"{path} was made with {note.size} bytes and has changed "
                f"since. Remove {self._note_path(name)} to make it again."
            )
        return note

    def is_made(self, name: str) -> bool:
        """Whether the file was made, from whatever it was."""
        return self._note_path(name).exists()

    def require(self, name: str, step: str) -> Note:
        """The note of a file that an earlier step must have made.

        Raises:
          InputError: the step has not made it.
        """
        note = self.note(name)
        if note is None:
            raise InputError(
                f"{self.path(name)} does not exist. Run the step "
                f"{step!r} first."
            )
        return note

    def make(
        self,
        name: str,
        made_from: Mapping[str, object],
        write: Callable[[pathlib.Path], None],
        replace: bool = False,
    ) -> Note:
        """Makes a file, unless it exists.

        Args:
          name: of the file; may contain folders.
          made_from: everything its contents depend on, as JSON values.
          write: writes the file or folder to the given path. The path may
            hold what a killed process wrote from the same inputs.
          replace: replace a file that was made from something else, instead
            of raising.

        Raises:
          InputError: the file was made from something else, or the disk is
            full.
        """
        made_from = json.loads(json.dumps(made_from))
        with self._lock(name) as lock:
            note = self.note(name)
            if note is not None and note.made_from == made_from:
                return note
            if note is not None and not (self.restart or replace):
                raise InputError(self._changed(name, note, made_from))
            temporary = self._temporary(name, made_from, lock)
            with full_disk_is_input_error(self.folder):
                write(temporary)
                note = Note(made_from, _sha256(temporary), _size(temporary))
                self._note_path(name).unlink(missing_ok=True)
                _remove(self.path(name))
                temporary.replace(self.path(name))
                self._write_note(name, note)
        return note

    def _note_path(self, name: str) -> pathlib.Path:
        return self.folder / "notes" / f"{name}.json"

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[object]:
        """Locks the file for this process; released even if it is killed."""
        path = self.folder / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _temporary(self, name: str, made_from, lock) -> pathlib.Path:
        """Where to write; keeps what a killed process wrote from this input."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        begun = json.dumps(made_from, sort_keys=True)
        lock.seek(0)
        if lock.read() != begun:
            _remove(temporary)
            lock.truncate(0)
            lock.write(begun)
            lock.flush()
        return temporary

    def _write_note(self, name: str, note: Note) -> None:
        text = json.dumps(dataclasses.asdict(note), indent=1, sort_keys=True)
        write_text(self._note_path(name), text)

    def _changed(self, name: str, note: Note, made_from: dict) -> str:
        keys = sorted({*note.made_from, *made_from})
        changes = [
            f"{key} was {_shown(note.made_from.get(key))} and is "
            f"{_shown(made_from.get(key))}"
            for key in keys
            if note.made_from.get(key) != made_from.get(key)
        ]
        return (
            f"{self.path(name)} was made from something else: "
            f"{'; '.join(changes)}. Use another work folder, or set restart "
            "to make what has changed again."
        )


def _shown(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    return [path]


def _size(path: pathlib.Path) -> int:
    return sum(one.stat().st_size for one in _files(path))


def _sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for one in _files(path):
        with open(one, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
