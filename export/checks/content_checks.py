"""The contents of an export's files, compared with its record."""

import numpy as np
import tensorflow as tf

from export import layout, record
from export.checks.outcome import Difference
from export.checks.subject import TOLERANCE, Subject, differences

_SHOWN = 3


def files(subject: Subject) -> str:
    """Every file's SHA-256 is the recorded one."""
    expected = subject.record["files"]
    actual = record.fingerprints(subject.folder)
    findings = [f"{name} is missing" for name in expected.keys() - actual]
    findings += [f"{name} was added" for name in actual.keys() - expected]
    findings += [
        f"{name} was changed{_what_changed(subject, name)}"
        for name in expected.keys() & actual
        if expected[name] != actual[name]
    ]
    if findings:
        raise Difference("; ".join(sorted(findings)))
    return f"{len(expected)} files, SHA-256"


def _what_changed(subject: Subject, name: str) -> str:
    """What a changed file means, as far as it is known."""
    if layout.VARIABLES in name:
        damaged = _damaged_variables(subject, name.split("/")[0])
        return f" (weights; damaged: {_some(damaged)})" if damaged else ""
    if name.endswith(layout.VOCABULARY_ASSET):
        return f" (vocabulary; {_changed_piece(subject, name)})"
    if name.endswith("saved_model.pb"):
        return " (the graph: computation and tokenizer)"
    return ""


def _damaged_variables(subject: Subject, model: str) -> list[str]:
    """The variables whose checksum in the checkpoint is wrong."""
    prefix = f"{subject.path(model)}/{layout.VARIABLES}"
    try:
        reader = tf.train.load_checkpoint(prefix)
        keys = reader.get_variable_to_shape_map()
        names = _checkpoint_names(reader)
    except (tf.errors.OpError, ValueError) as error:
        return [f"the whole index, {error}"]
    damaged = []
    for key in sorted(keys):
        try:
            reader.get_tensor(key)
        except (tf.errors.OpError, ValueError):
            damaged.append(names.get(key, key))
    return damaged


def _checkpoint_names(reader) -> dict[str, str]:
    """Variable names by key in an object-based checkpoint."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )
    return {
        attribute.checkpoint_key: attribute.full_name
        for node in graph.nodes
        for attribute in node.attributes
    }


def _pieces(subject: Subject, model: str) -> list[str]:
    asset = subject.folder / model / layout.VOCABULARY_ASSET
    # Only a line feed ends a line: some pieces hold other white space.
    return asset.read_bytes().decode(errors="replace").split("\n")


def _changed_piece(subject: Subject, name: str) -> str:
    """The first line that differs from an unchanged copy."""
    changed = name.split("/")[0]
    for model in layout.MODELS:
        path = f"{model}/{layout.VOCABULARY_ASSET}"
        file = subject.folder / path
        if not file.is_file() or (
            record.file_sha256(file) != subject.record["files"][path]
        ):
            continue
        here, there = _pieces(subject, changed), _pieces(subject, model)
        pairs = zip(here, there, strict=False)
        for number, (one, other) in enumerate(pairs, start=1):
            if one != other:
                return f"line {number}: {one!r}, {other!r} in {model}/"
        return f"{len(here)} lines, {len(there)} in {model}/"
    return "every copy of it was changed"


def weights(subject: Subject) -> str:
    """The loaded variables are, bit by bit, those of the run's encoder."""
    expected = subject.record["variables"]
    findings = []
    for model in (layout.TEXT, layout.ENCODE):
        variables = subject.model(model).variables
        actual = record.variable_fingerprints(
            variable for variable in variables if variable.dtype == tf.float32
        )
        wrong = sorted(
            name
            for name in expected.keys() | actual
            if expected.get(name) != actual.get(name)
        )
        if wrong:
            findings.append(
                f"{model}/: {len(wrong)} of {len(expected)} variables are not "
                f"the run's: {_some(wrong)}"
            )
    if findings:
        raise Difference("; ".join(findings))
    return f"{len(expected)} variables, equal in every bit"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def vocabulary(subject: Subject) -> str:
    """All three have the vocabulary as an asset, and the right casing."""
    lower_case = subject.lower_case
    casing = "uncased" if lower_case else "cased"
    do_lower_case = bool(subject.model(layout.ENCODE).do_lower_case.numpy())
    if do_lower_case != lower_case:
        raise Difference(
            f"casing: encode/ has do_lower_case = {do_lower_case}, the run's "
            f"vocabulary is {casing}"
        )
    expected = subject.record["files"][
        f"{layout.ENCODE}/{layout.VOCABULARY_ASSET}"
    ]
    wrong = [
        name
        for name in layout.MODELS
        if record.file_sha256(
            subject.model(name).vocab_file.asset_path.numpy().decode()
        )
        != expected
    ]
    if wrong:
        raise Difference(
            f"vocabulary: the asset of {', '.join(wrong)} is not the run's"
        )
    pieces = _pieces(subject, layout.ENCODE)[:-1]
    _check_special_pieces(subject, pieces)
    return f"{len(pieces):,} pieces, {casing}"


def _check_special_pieces(subject: Subject, pieces: list[str]) -> None:
    tokenize = subject.model(layout.PREPROCESS).tokenize
    special = tokenize.get_special_tokens_dict()
    found = {key: int(value) for key, value in special.items()}
    wanted = {
        "vocab_size": len(pieces),
        "padding_id": pieces.index("[PAD]"),
        "start_of_sequence_id": pieces.index("[CLS]"),
        "end_of_segment_id": pieces.index("[SEP]"),
        "mask_id": pieces.index("[MASK]"),
    }
    if found != wanted:
        raise Difference(f"special pieces: {found}, the asset has {wanted}")


def pooling(subject: Subject) -> str:
    """`pooled_output` is `sequence_output`, pooled as in the run's config."""
    encode = subject.model(layout.ENCODE)
    inputs = subject.inputs(subject.batches(8)[0])
    outputs = encode(inputs)
    actual = outputs["pooled_output"].numpy()
    found = [
        name
        for name, value in _poolings(encode, inputs, outputs).items()
        if differences(actual, value).max() <= TOLERANCE
    ]
    expected = subject.config["encoder"]["pooling"]
    if expected not in found:
        raise Difference(
            f"pooling: encode/ has {' or '.join(found) or 'another one'}, the "
            f"run {expected}"
        )
    return expected


def _poolings(encode, inputs, outputs) -> dict[str, np.ndarray]:
    """Every way of pooling, computed by NumPy: float32 [n, dim] each."""
    states = outputs["sequence_output"].numpy()
    mask = inputs["input_mask"].numpy()[:, :, np.newaxis]
    variables = {v.name: v for v in encode.variables}
    kernel = variables["pooler_transform/kernel:0"].numpy()
    bias = variables["pooler_transform/bias:0"].numpy()
    mean = (states * mask).sum(axis=1) / mask.sum(axis=1)
    return {
        "cls": states[:, 0],
        "cls_tanh": np.tanh(states[:, 0] @ kernel + bias),
        "mean": mean,
        "mean_tanh": np.tanh(mean @ kernel + bias),
    }
