"""Whether a run is resumed with the records that it was begun with.

RUN/pairs.sha256         `Manifest.identity` of the pairs of a dual encoder
RUN/monolingual.sha256, RUN/bilingual.sha256     those of pre-training
"""

import pathlib
from typing import NamedTuple

import tensorflow as tf

from labse.checkpoints import run_folder
from labse.data.records.groups import PAIRS, TEXT
from labse.data.records.manifest import Manifest, is_records_folder
from labse.errors import InputError
from labse.files.atomic_write import write_bytes
from labse.files.remote_path import AnyPath


class RecordSet(NamedTuple):
    """Records that a run reads.

    Attributes:
      argument: that names the files.
      kind: "pairs" or "text".
      words: what the records are, for messages.
      place: the folder in the run folder that files are written into.
      identity: the file in the run folder with the records' identity.
    """

    argument: str
    kind: str
    words: str
    place: pathlib.PurePath
    identity: str


TRAINING_PAIRS = RecordSet(
    "train",
    PAIRS,
    "training pairs",
    pathlib.PurePath(run_folder.RECORDS),
    run_folder.PAIRS_HASH,
)
MONOLINGUAL = RecordSet(
    "monolingual",
    TEXT,
    "monolingual texts",
    pathlib.PurePath(run_folder.RECORDS, "monolingual"),
    run_folder.MONOLINGUAL_HASH,
)
BILINGUAL = RecordSet(
    "bilingual",
    PAIRS,
    "translation pairs",
    pathlib.PurePath(run_folder.RECORDS, "bilingual"),
    run_folder.BILINGUAL_HASH,
)


def check_same(folder: AnyPath, records: RecordSet, identity: str) -> None:
    """Raises `InputError` if a run would be resumed with other records.

    Args:
      folder: the run folder.
      records: what they are.
      identity: of the records, `Manifest.identity`.
    """
    path = folder / records.identity
    started = tf.train.latest_checkpoint(str(folder / run_folder.LAST))
    if started and not path.exists():
        raise InputError(
            f"{folder} holds a run of an earlier version, which took the "
            f"{records.words} in another order. Finish it with that version, "
            f"or start a new run from its encoder: init={folder} and another "
            "run folder."
        )
    if started and path.read_text() != identity:
        raise other_records(folder, records)
    write_bytes(path, identity.encode())


def is_begun_with(folder: AnyPath, records: RecordSet) -> bool:
    """Whether a run has a checkpoint, and was begun with what it holds."""
    path, written = folder / records.identity, folder / records.place
    started = tf.train.latest_checkpoint(str(folder / run_folder.LAST))
    if not (started and path.exists() and is_records_folder(written)):
        return False
    return Manifest.read(written).identity() == path.read_text()


def other_records(
    folder: AnyPath, records: RecordSet, what: str = ""
) -> InputError:
    """The refusal of a run that would be resumed with other records.

    Args:
      folder: the run folder.
      records: what they are.
      what: how they differ, where that is known.
    """
    what = f" ({what})" if what else ""
    return InputError(
        f"The {records.words} are not those that {folder} started with{what}, "
        "so the order of the data would change. Give the same files, or start "
        f"a new run from its encoder: init={folder} and another run folder."
    )
