"""The export compared with its run, and loaded by `labse.load`."""

import os

from export.checks.outcome import Difference, Skipped
from export.checks.subject import Subject, largest


def run(subject: Subject) -> str:
    """The run folder still gives the golden vectors."""
    path = subject.record["run"]
    if not os.path.isdir(path):
        raise Skipped(f"{path} does not exist; the other checks do not need it")
    # Not at the top: the checks before these must not import the model's code.
    from export import export_folder, golden

    source = export_folder.load_run(path)
    if source.checkpoint != subject.record["checkpoint"]:
        raise Skipped(
            f"{path} was trained further: its checkpoint is now "
            f"{source.checkpoint}, {subject.record['checkpoint']} was exported"
        )
    made = golden.compute_golden(
        source.encoder, source.tokenizer, subject.max_length
    )
    if made.texts != subject.golden.texts:
        raise Skipped("the export has another version's golden sentences")
    if made.ids != subject.golden.ids:
        raise Difference(f"{path}: its tokenizer gives other ids")
    return largest(
        subject.compare(made.embeddings, subject.rows),
        subject.compare(made.pooled, subject.rows, "pooled_output"),
    )


def labse_load(subject: Subject) -> str:
    """`labse.load` gives the golden vectors."""
    import labse

    model = labse.load(str(subject.folder))
    vectors = model.encode(subject.golden.texts, on_truncation="ignore")
    return largest(subject.compare(vectors, subject.rows))
