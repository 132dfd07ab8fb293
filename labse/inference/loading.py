"""Loads a model to ask: `labse.load(path).encode(sentences)`."""

import os
import pathlib

from labse.checkpoints import run_folder
from labse.errors import InputError
from labse.inference import fingerprint
from labse.inference.encoder_model import EncoderModel
from labse.inference.sentence_model import SentenceModel
from labse.inference.text_saved_model import TextSavedModel
from labse.preprocessing.tokenizer import WordPieceTokenizer

# The model's name for each precision that `load` takes.
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

_TAKEN = (
    "labse.load takes a run folder (config.yaml inside), an export folder "
    "(text/saved_model.pb inside), a SavedModel folder (saved_model.pb "
    "inside) that turns strings into vectors, or a TF Hub handle (URL) of one"
)


def _load_run(path: str, precision: str) -> EncoderModel:
    encoder, config, vocabulary = run_folder.load_encoder(
        path, PRECISIONS[precision]
    )
    return EncoderModel(
        encoder,
        WordPieceTokenizer(vocabulary, config.tokenizer.max_bytes_per_word),
        config.tokenizer.max_length,
        fingerprint.of_run(path, precision),
    )


def load(path: str | os.PathLike, precision: str = "float32") -> SentenceModel:
    """Loads a model that turns sentences into vectors.

    Args:
      path: a run folder; an export folder, or the SavedModel folder inside
        that takes strings; a TF Hub handle of a model that takes strings.
      precision: of the matmuls, "float32" or "bfloat16". Vectors are float32
        either way. In bfloat16 an untrained BERT Base was 0.0043 away from
        its float32 vectors (Euclidean, at most, 150 sentences of Tatoeba),
        and a vector moved by as much, 0.0041, with the size of its batch. A
        SavedModel has the precision that it was saved with.

    Returns:
      the model: ask it with `encode`.

    Raises:
      InputError: `path` is none of these, or not sound.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision must be one of {', '.join(PRECISIONS)}. "
            f"Received: {precision!r}."
        )
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"{_TAKEN}. Received an object of type {type(path).__name__}."
        )
    path = os.fspath(path)
    if run_folder.is_run_folder(path):
        return _load_run(path, precision)
    saved_model = _saved_model_path(path)
    if precision != "float32":
        raise InputError(
            "A SavedModel computes in the precision that it was saved with. "
            f"Received precision={precision!r} for {path}. Load the run "
            "folder it was exported from, or leave out the precision."
        )
    return TextSavedModel(saved_model)


def _saved_model_path(path: str) -> str:
    """The SavedModel's folder or handle that `path` stands for."""
    if "://" in path:
        return path
    folder = pathlib.Path(path)
    for candidate in (folder / "text", folder):
        if (candidate / "saved_model.pb").is_file():
            return str(candidate)
    if not folder.exists():
        raise InputError(f"{_TAKEN}. Received {path!r}, which does not exist.")
    if not folder.is_dir():
        raise InputError(f"{_TAKEN}. Received the file {path!r}.")
    if (folder / "config.json").is_file():
        raise InputError(
            f"{_TAKEN}. Received {path!r}, which looks like a Hugging Face "
            "folder (config.json inside); these are not read yet."
        )
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise InputError(
        f"{_TAKEN}. Received the folder {path!r}, which holds "
        f"{shown or 'nothing'}."
    )
