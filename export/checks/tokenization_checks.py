"""The ids of the golden sentences by an export."""

import numpy as np
import tensorflow as tf

from export import layout
from export.checks.outcome import Difference
from export.checks.subject import INPUTS, Subject


def preprocess(subject: Subject) -> str:
    """`preprocess` gives the run's ids, padded to its own length."""
    model = subject.model(layout.PREPROCESS)
    rows = subject.rows
    outputs = model(subject.texts(rows))
    _compare(subject, outputs, rows, model)
    if outputs["input_word_ids"].shape[1] != subject.max_length:
        raise Difference(
            f"rows of {outputs['input_word_ids'].shape[1]} ids, expected "
            f"{subject.max_length}"
        )
    return f"{len(rows)} sentences, equal ids"


def pack(subject: Subject) -> str:
    """`tokenize`, then `bert_pack_inputs`, gives the same."""
    model = subject.model(layout.PREPROCESS)
    rows = subject.rows
    words = model.tokenize(subject.texts(rows))
    length = subject.max_length
    for seq_length in (length, tf.constant(length)):
        packed = model.bert_pack_inputs([words], seq_length=seq_length)
        _compare(subject, packed, rows, model)
    for one in (words.merge_dims(1, 2), words):
        _compare(subject, model.bert_pack_inputs(one), rows, model)
        _compare(subject, model.bert_pack_inputs([one]), rows, model)
    pair = model.bert_pack_inputs([words, words], seq_length=length)
    types = pair["input_type_ids"].numpy()
    if set(np.unique(types)) != {0, 1}:
        raise Difference("a second segment has no type of its own")
    return f"{len(rows)} sentences, equal ids"


def text(subject: Subject) -> str:
    """The signatures of `text` count and truncate tokens as the run does."""
    model = subject.model(layout.TEXT)
    rows = subject.rows
    texts = subject.texts(rows)
    outputs = model.signatures["preprocess"](text=texts)
    _compare(subject, outputs, rows, model.signatures["preprocess"])
    short = subject.sample()
    served = model.signatures["serving_default"](text=subject.texts(short))
    num_tokens = [len(subject.golden.ids[row]) for row in short]
    if served["num_tokens"].numpy().tolist() != num_tokens:
        raise Difference("num_tokens is not the number of ids")
    truncated = [subject.golden.truncated[row] for row in short]
    if served["truncated"].numpy().tolist() != truncated:
        raise Difference("truncated differs from the run's")
    return (
        f"{len(rows)} sentences, equal ids; {len(short)} counted, "
        f"{sum(truncated)} of them truncated"
    )


def _compare(subject: Subject, outputs, rows, model) -> None:
    """Raises if ids, mask or types are not the golden ones."""
    length = outputs["input_word_ids"].shape[1]
    wanted = max(len(ids) for ids in subject.golden.ids)
    if length < wanted:
        raise Difference(
            f"rows of {length} ids, the run's longest sentence has {wanted}"
        )
    expected = subject.inputs(rows, length)
    for name in INPUTS:
        actual = outputs[name].numpy()
        # Where the mask is 0, any piece may be.
        if name == "input_word_ids":
            actual = actual * outputs["input_mask"].numpy()
        wrong = np.flatnonzero((actual != expected[name].numpy()).any(axis=1))
        if wrong.size:
            raise Difference(
                f"{name}: {wrong.size} of {len(rows)} sentences differ from "
                f"the run's, first {subject.name(rows[wrong[0]])}"
                f"{_cause(subject, model, wrong)}"
            )


def _cause(subject: Subject, model, rows) -> str:
    """Names the casing if that explains the difference."""
    if subject.lower_case:
        return ""
    texts = [subject.golden.texts[row] for row in rows]
    lower = [text.lower() for text in texts]
    changed = [text != other for text, other in zip(texts, lower, strict=True)]
    if not any(changed):
        return ""
    ids = [
        tf.boolean_mask(_call(model, batch)["input_word_ids"], changed)
        for batch in (texts, lower)
    ]
    if ids[0].shape == ids[1].shape and bool(tf.reduce_all(ids[0] == ids[1])):
        return " (casing: the export lower-cases, the run does not)"
    return ""


def _call(model, texts: list[str]) -> dict:
    if isinstance(model, tf.types.experimental.ConcreteFunction):
        return model(text=tf.constant(texts))
    return model(tf.constant(texts))
