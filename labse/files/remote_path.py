"""Paths on TensorFlow's file systems, such as gs://bucket/runs/mine.

`pathlib` makes gs:/bucket of gs://bucket. `as_path` gives a `pathlib.Path` for
a local path and a `RemotePath`, which has its names, for every other one. Which
schemes there are is TensorFlow's affair: gs:// on Google Cloud, ram:// in every
process, others with the package tensorflow-io.
"""

import contextlib
import errno
import os
import pathlib
import re
from collections.abc import Iterator

from labse.errors import InputError

# Not those of hubs' handles, and not file://, which is local.
_SCHEME = re.compile(r"(?!(?:https?|hf|file):)[a-zA-Z][a-zA-Z0-9+.-]*://")


class RemotePath(os.PathLike):
    """A file or folder on one of TensorFlow's file systems.

    It has those methods of `pathlib.Path` that a run folder needs, and they
    raise the same errors. Text is UTF-8, and its line ends stay as they are.
    """

    def __init__(self, uri: str):
        """Takes the whole path with its scheme."""
        scheme = _SCHEME.match(uri)[0]
        self._uri = scheme + uri[len(scheme) :].rstrip("/")

    def __fspath__(self) -> str:
        return self._uri

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"RemotePath({self._uri!r})"

    def __eq__(self, other) -> bool:
        return isinstance(other, RemotePath) and self._uri == other._uri

    def __hash__(self) -> int:
        return hash(self._uri)

    def __truediv__(self, part: str | os.PathLike) -> "RemotePath":
        return RemotePath(f"{self._uri}/{os.fspath(part)}")

    @property
    def name(self) -> str:
        """The last part."""
        return self._uri.rpartition("/")[2]

    @property
    def parent(self) -> "RemotePath":
        """The folder; of a bucket, itself."""
        parent = self._uri.rpartition("/")[0]
        return self if parent.endswith("/") else RemotePath(parent)

    def with_name(self, name: str) -> "RemotePath":
        """A neighbour with this name."""
        return self.parent / name

    def exists(self) -> bool:
        """Whether a file or folder is there."""
        with _errors_of_python(self._uri):
            return _gfile().exists(self._uri)

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        with _errors_of_python(self._uri):
            return _gfile().isdir(self._uri)

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.exists() and not self.is_dir()

    def iterdir(self) -> Iterator["RemotePath"]:
        """What the folder holds."""
        with _errors_of_python(self._uri):
            names = _gfile().listdir(self._uri)
        # Those of folders end with a slash on Google Cloud.
        return (self / name.rstrip("/") for name in names)

    def read_bytes(self) -> bytes:
        """The file's content."""
        with self.open("rb") as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        """The file's content as text."""
        return self.read_bytes().decode(encoding)

    @contextlib.contextmanager
    def open(self, mode: str = "r") -> Iterator:
        """The file, open in the block: "r", "w" or "a", each also with "b"."""
        with (
            _errors_of_python(self._uri),
            _gfile().GFile(self._uri, mode) as file,
        ):
            yield file

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder; those above it are made in any case."""
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, "It exists", self._uri)
        with _errors_of_python(self._uri):
            _gfile().makedirs(self._uri)

    def replace(self, target: "RemotePath") -> None:
        """Renames the file, in place of one that has the name."""
        with _errors_of_python(self._uri):
            _gfile().rename(self._uri, str(target), overwrite=True)

    def copy_to(self, target: str | os.PathLike) -> None:
        """Copies the file to another place, on a disk or remote."""
        with _errors_of_python(self._uri):
            _gfile().copy(self._uri, os.fspath(target), overwrite=True)

    def remove(self) -> None:
        """Removes the file, or the folder and all in it, if it is there."""
        if not self.exists():
            return
        with _errors_of_python(self._uri):
            if _gfile().isdir(self._uri):
                _gfile().rmtree(self._uri)
            else:
                _gfile().remove(self._uri)


AnyPath = pathlib.Path | RemotePath


def is_remote(path: str | os.PathLike) -> bool:
    """Whether it is a path with a scheme, such as gs://."""
    return bool(_SCHEME.match(os.fspath(path)))


def as_path(path: str | os.PathLike) -> AnyPath:
    """A `RemotePath` where the path has a scheme, else a `pathlib.Path`."""
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    return RemotePath(text) if is_remote(text) else pathlib.Path(text)


def _gfile():
    """TensorFlow's file systems, imported where a path is remote."""
    import tensorflow as tf

    return tf.io.gfile


@contextlib.contextmanager
def _errors_of_python(uri: str) -> Iterator[None]:
    """Raises what `pathlib` would, in place of TensorFlow's errors.

    Raises:
      FileNotFoundError, PermissionError: as for a local file.
      InputError: TensorFlow knows no such file system, or the path does not
        fit it.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.NotFoundError as error:
        message = error.message or os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, message, uri) from error
    except (
        tf.errors.PermissionDeniedError,
        tf.errors.UnauthenticatedError,
    ) as error:
        raise PermissionError(errno.EACCES, error.message, uri) from error
    except tf.errors.UnimplementedError as error:
        raise InputError(
            f"{uri} must be a path of a file system that TensorFlow knows, "
            f"such as gs://BUCKET/FOLDER. {error.message}. Use a folder on a "
            "disk, or mount the storage."
        ) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{uri} must name a file or folder of this kind. TensorFlow "
            f"says: {error.message}"
        ) from error
