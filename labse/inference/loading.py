"""Loads a model for inference: `labse.load(path).encode(sentences)`."""

import dataclasses
import os
import pathlib

from labse.checkpoints import recognition, stored_model, tensorflow_model
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.checkpoints.weights import WORD_EMBEDDINGS
from labse.errors import InputError
from labse.files.remote_path import is_remote
from labse.formats import saved_model_graph
from labse.inference import fingerprint, process, text_saved_model
from labse.inference.encoder_model import EncoderModel
from labse.inference.sentence_model import ForkedModel, Origin, SentenceModel
from labse.preprocessing.tokenizer import WordPieceTokenizer

# The model's name for each dtype that `load` takes.
COMPUTE_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def load(
    path: str | os.PathLike,
    compute_dtype: str = "float32",
    *,
    vocabulary: str | None = None,
    pooling: str | None = None,
    activation: str | None = None,
    max_length: int | None = None,
    lower_case: bool | None = None,
    ids: str | None = None,
) -> SentenceModel:
    """Loads a model that turns sentences into vectors.

    No code of the model's author runs, with one exception: a SavedModel that
    takes strings is a program, which TensorFlow runs. Load one only from a
    source whose programs you would run.

    Args:
      path: a run folder, which may be remote (gs://...): it is copied to a
        temporary folder; an export folder, or a SavedModel inside; a
        sentence-transformers folder; a Hugging Face BERT folder; a SavedModel
        of an encoder such as google/LaBSE/2; a BERT checkpoint of TensorFlow
        1 or Model Garden (its prefix or folder); a SavedModel that takes
        strings; a TF Hub handle (URL) of one of the SavedModels.
      compute_dtype: of the matmuls, "float32" or "bfloat16". Vectors are
        float32 either way. In bfloat16 an untrained BERT Base was 0.0043 away
        from its float32 vectors (Euclidean, at most, 150 sentences of Tatoeba),
        and a vector moved by as much, 0.0041, with the size of its batch. A
        SavedModel that takes strings computes in the dtype it was saved with.
      vocabulary, pooling, activation, max_length, lower_case, ids: properties
        that the files do not record, or that replace theirs; see
        `labse.checkpoints.stored_model.ModelOptions`.

    Returns:
      the model; see `SentenceModel`. Unpickling a copy loads it again from
      `path`.

    Raises:
      InputError: `path` is none of these, or is damaged; or this process was
        forked from one that had run TensorFlow.
    """
    if compute_dtype not in COMPUTE_DTYPES:
        raise InputError(
            f"compute_dtype must be one of {', '.join(COMPUTE_DTYPES)}. "
            f"Received: {compute_dtype!r}."
        )
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"A model is {recognition.KINDS}. Received an object of type "
            f"{type(path).__name__}."
        )
    process.check_usable()
    path = os.fspath(path)
    stated = ModelOptions(
        vocabulary, pooling, activation, max_length, lower_case, ids
    )
    folder = recognition.local_folder(path)
    text_folder = _text_saved_model(folder)
    if text_folder is None:
        source = recognition.open_model(folder, stated)
        model = _load_source(source, compute_dtype)
    elif compute_dtype != "float32" or stated != ModelOptions():
        raise InputError(
            "A SavedModel that takes strings computes as it was saved. "
            f"Received compute_dtype={compute_dtype!r} for {path}, or "
            f"properties of files of weights ({stated}). Load the run "
            "folder it was exported from, or leave these out."
        )
    else:
        model = text_saved_model.TextSavedModel(text_folder, path)
    of_weights = stated if text_folder is None else None
    model.origin = _origin(path, compute_dtype, of_weights)
    return model


def _origin(
    path: str, compute_dtype: str, stated: ModelOptions | None
) -> Origin:
    """What a pickle stores; paths work in any current folder."""
    arguments = {"compute_dtype": compute_dtype}
    if stated is not None:
        arguments |= dataclasses.asdict(stated)
        del arguments["fallback"]
        if stated.vocabulary and not is_remote(stated.vocabulary):
            arguments["vocabulary"] = os.path.abspath(stated.vocabulary)
    is_elsewhere = "://" in path or path.startswith("~")
    where = path if is_elsewhere else os.path.abspath(path)
    return Origin(_reload, where, arguments)


def _reload(path: str, arguments: dict, expected: str) -> SentenceModel:
    """Loads a pickled model again.

    `expected` is its fingerprint when it was pickled.

    Raises:
      InputError: it does not exist any more, or is another one.
    """
    if process.is_unusable():
        return ForkedModel()
    try:
        model = load(path, **arguments)
    except InputError as error:
        raise InputError(
            "A pickled model is loaded again from its path, which every "
            f"machine must be able to read: {path}. {error}"
        ) from error
    if model.fingerprint != expected:
        raise InputError(
            f"{path} is another model than when this one was pickled: its "
            "vectors could not be compared with the earlier ones. Restore the "
            "old one, or load and pickle the new one."
        )
    return model


def _load_source(source: StoredModel, compute_dtype: str) -> EncoderModel:
    stored_model.check_pooling(source)
    tokenizer = source.config.tokenizer
    source.weights[WORD_EMBEDDINGS].check()
    model = EncoderModel(
        stored_model.load_encoder(
            source, COMPUTE_DTYPES[compute_dtype], word_table=False
        ),
        WordPieceTokenizer.from_config(source.vocabulary, tokenizer),
        tokenizer.max_length,
        fingerprint.of_source(source, compute_dtype),
        source.weights[WORD_EMBEDDINGS].map(),
    )
    model.source = source
    return model


def _text_saved_model(path: str) -> str | None:
    """The SavedModel of `path` that takes strings; None if there is none.

    Raises:
      InputError: an export lacks it.
    """
    if is_remote(path) or recognition.holds_weights(path):
        return None
    folder = pathlib.Path(path)
    if tensorflow_model.is_export(path):
        folder /= "text"
        if not (folder / saved_model_graph.SAVED_MODEL).is_file():
            raise InputError(
                f"{path} is an export without text/saved_model.pb. Export the "
                "run again, or copy the whole export."
            )
    if not (folder / saved_model_graph.SAVED_MODEL).is_file():
        return None
    graph = saved_model_graph.read_graph(folder)
    return None if graph.takes_model_inputs else str(folder)
