"""Where a model is: a path, a hub's cache or a TF Hub handle."""

import os
import pathlib
import re
import tarfile
import urllib.parse
import urllib.request
import zlib

import tensorflow as tf
import tensorflow_hub as hub

from labse.checkpoints.kinds import KINDS
from labse.errors import InputError

_CACHED = re.compile(r"models--.+")
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_HUGGING_FACE = re.compile(
    r"(?:hf://|https?://(?:www\.)?(?:huggingface\.co|hf\.co)/)"
    r"([\w.-]+(?:/[\w.-]+)?)"
)
# A name as Hugging Face's hub has them, and one as TF Hub has them.
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_TF_HUB_NAME = re.compile(r"[\w-]+(/[\w.-]+)+/\d+")


def local_path(path: str) -> str:
    """A path for the file system.

    `file://` is removed, `~` expanded, and a model's folder in Hugging Face's
    cache (models--NAME) becomes its only snapshot.

    Raises:
      InputError: the URL names another machine, or there are several
        snapshots.
    """
    if not path:
        raise InputError(f"Received an empty path. A model is {KINDS}.")
    if path.startswith("file:"):
        path = _path_of_url(path)
    path = os.path.expanduser(path)
    folder = pathlib.Path(path)
    snapshots = folder / "snapshots"
    if _CACHED.fullmatch(folder.absolute().name) and snapshots.is_dir():
        return _only_snapshot(snapshots)
    return path


def _path_of_url(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InputError(
            "A file URL names an absolute path on this machine, as in "
            f"file:///home/me/model. Received: {url}."
        )
    return urllib.request.url2pathname(parts.path)


def _only_snapshot(snapshots: pathlib.Path) -> str:
    found = sorted(entry for entry in snapshots.iterdir() if entry.is_dir())
    if len(found) == 1:
        return str(found[0])
    rule = "A model in Hugging Face's cache must have one snapshot. "
    if not found:
        raise InputError(
            f"{rule}{snapshots} holds none. Download the model again."
        )
    main = snapshots.parent / "refs" / "main"
    current = main.read_text("utf-8").strip() if main.is_file() else ""
    named = snapshots / current
    hint = f" refs/main is {named}." if current and named.is_dir() else ""
    raise InputError(
        f"{rule}{snapshots} holds {len(found)}. Give one of "
        f"{', '.join(map(str, found[:5]))}.{hint}"
    )


def local_folder(path: str) -> str:
    """The local folder of a TF Hub handle, or a path; see `local_path`.

    A remote path, such as gs://bucket/run, stays as it is.

    Raises:
      InputError: the download failed, or the URL is not supported.
    """
    if "://" not in path or path.startswith("file:"):
        return local_path(path)
    named = _HUGGING_FACE.match(path)
    if named:
        raise InputError(
            f"Nothing is downloaded from Hugging Face's hub. Received: {path}. "
            f"{_fetch_from_hugging_face(named[1])}"
        )
    scheme = path.partition("://")[0]
    if scheme not in ("http", "https") and not (
        scheme == "gs" and path.endswith(_ARCHIVES)
    ):
        return path
    try:
        return hub.resolve(path)
    except (
        *(OSError, ValueError, RuntimeError, EOFError, zlib.error),
        *(tarfile.TarError, tf.errors.OpError),
    ) as error:
        raise InputError(
            f"The TF Hub handle {path} could not be fetched: {error}"
        ) from error


def how_to_get(name: str) -> str:
    """What to do if `name` does not exist but looks like a hub's name."""
    if _TF_HUB_NAME.fullmatch(name):
        return (
            f"A model of TF Hub is named by its URL: https://tfhub.dev/{name}."
        )
    if _HUB_NAME.fullmatch(name):
        return (
            "If it is a name on Hugging Face's hub: nothing is downloaded from "
            f"there. {_fetch_from_hugging_face(name)}"
        )
    return ""


def _fetch_from_hugging_face(name: str) -> str:
    folder = name.rpartition("/")[2]
    return (
        f"Download it first, hf download {name} --local-dir={folder} (or git "
        f"lfs install && git clone https://huggingface.co/{name}), and give "
        f"the folder, ./{folder}."
    )
