"""The files of a long job: each is made once, and it is noted from what.

    WORK/NAME             a file or a folder
    WORK/notes/NAME.json  what it was made from, its SHA-256 and its size

A file is written beside its place and renamed when it is whole; what was killed
is made again, or goes on where its writer can. Several processes may work in
one folder: a file that another is writing is waited for. What was made from
something else is never used in silence.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping

from labse.errors import InputError
from labse.files.atomic_write import write_text

_BLOCK = 2**22
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class Note:
    """What is known of a file.

    Attributes:
      made_from: names and values of all that its contents follow from.
      sha256: hexadecimal, of the file; of a folder, of its files in order.
      size: bytes.
    """

    made_from: Mapping[str, object]
    sha256: str
    size: int


class WorkFolder:
    """A folder of files that were made from one another."""

    def __init__(self, folder: str | os.PathLike, restart: bool = False):
        """Opens the folder; makes it if it is not there.

        Args:
          folder: the folder.
          restart: files that were made from something else are made again
            instead of being an error.
        """
        # Processes elsewhere may work in another current folder.
        self.folder = pathlib.Path(folder).absolute()
        self.restart = restart
        for part in ("notes", "locks"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> pathlib.Path:
        """Where the file is."""
        return self.folder / name

    def note(self, name: str) -> Note | None:
        """The file's note; None where it was not made.

        Raises:
          InputError: the file is not as long as it was when it was made.
        """
        try:
            found = json.loads(self._note_path(name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        note = Note(**found)
        path = self.path(name)
        if not path.exists() or _size(path) != note.size:
            raise InputError(
                f"{path} was made with {note.size} bytes and is not so any "
                f"more. Remove {self._note_path(name)}, and it is made again."
            )
        return note

    def needed(self, name: str, step: str) -> Note:
        """The note of a file that an earlier step must have made.

        Raises:
          InputError: it was not made.
        """
        note = self.note(name)
        if note is None:
            raise InputError(
                f"{self.path(name)} is not there. Run the step {step!r} first."
            )
        return note

    def make(
        self,
        name: str,
        made_from: Mapping[str, object],
        write: Callable[[pathlib.Path], None],
        always_anew: bool = False,
    ) -> Note:
        """Makes a file, unless it is there.

        Args:
          name: of the file; may stand in folders.
          made_from: all that its contents follow from, as JSON has it.
          write: writes the file, or the folder, to the path given. There it
            may find what it wrote when it was killed, if that was made from
            the same.
          always_anew: a file that was made from something else is made again
            without asking.

        Raises:
          InputError: the file was made from something else, or the disk is
            full.
        """
        made_from = json.loads(json.dumps(made_from))
        with self._lock(name) as lock:
            note = self.note(name)
            if note is not None and note.made_from == made_from:
                return note
            if note is not None and not (self.restart or always_anew):
                raise InputError(self._changed(name, note, made_from))
            temporary = self._temporary(name, made_from, lock)
            with _told_of_full_disk(self.folder):
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
        """Keeps other processes from the file; ends with the process."""
        path = self.folder / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _temporary(self, name: str, made_from, lock) -> pathlib.Path:
        """Where to write; holds what was begun from the very same only."""
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
            f"{'; '.join(changes)}. Give another --work, or --restart to make "
            "again what has changed."
        )


def _shown(value) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


@contextlib.contextmanager
def _told_of_full_disk(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        free = shutil.disk_usage(folder).free
        raise InputError(
            f"The disk of {folder} is full ({free / 1e9:.2f} GB free). What "
            "was finished is kept: make room and start again with the same "
            "command."
        ) from error


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
