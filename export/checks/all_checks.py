"""Every check of an export folder, in order."""

import functools
import pathlib
from collections.abc import Iterator

from export.checks import (
    content_checks,
    keras_checks,
    serving_checks,
    source_checks,
    tokenization_checks,
    vector_checks,
)
from export.checks.outcome import Check
from export.checks.subject import Subject

# First the contents of the files, then what the models compute. The checks of
# the source come last: they import the model's code.
CHECKS = (
    ("files are those that were exported", content_checks.files),
    ("weights are the run's", content_checks.weights),
    ("vocabulary and casing are the run's", content_checks.vocabulary),
    ("pooling is the run's", content_checks.pooling),
    ("preprocess: ids", tokenization_checks.preprocess),
    ("preprocess: tokenize, bert_pack_inputs", tokenization_checks.pack),
    ("text: ids, num_tokens, truncated", tokenization_checks.text),
    ("text: hub.load, batches of 1, 7, all", vector_checks.text),
    ("preprocess, encode: hub.load", vector_checks.preprocess_encode),
    ("encode: padded to longest, 64, 128", vector_checks.padding),
    ("encode: padded by a server", vector_checks.server_padding),
    ("encode: every kind of input", vector_checks.inputs),
    ("encode: every output", vector_checks.outputs),
    ("encode: dropout", vector_checks.dropout),
    ("text, encode: traces", vector_checks.traces),
    ("text: hub.KerasLayer, Sequential", keras_checks.sequential),
    ("encode: hub.KerasLayer, functional", keras_checks.functional),
    ("encode: hub.KerasLayer, fine-tuning", keras_checks.fine_tuning),
    ("text, encode: Keras 3 TFSMLayer", keras_checks.keras_3),
    ("text: TF Serving's loader, signatures", serving_checks.text),
    ("encode: TF Serving's loader, signature", serving_checks.encode),
    ("preprocess: TF Serving's loader, signature", serving_checks.preprocess),
    ("text, encode: warm-up requests", serving_checks.warmup_requests),
    ("the run itself", source_checks.run),
    ("labse.load", source_checks.labse_load),
)


def checks(folder: pathlib.Path) -> Iterator[tuple[str, Check]]:
    """The name of each check, and the check."""
    subject = Subject(folder)
    for name, check in CHECKS:
        yield name, functools.partial(check, subject)
