r"""Trains a dual encoder on translation pairs.

    labse train --config=labse_base --train='pairs/*.tfrecord' \
        --vocab=vocab.txt --out=RUN

Pairs may be in any format of docs/file_formats.md: .tsv with a header, .jsonl,
.parquet, TFRecord. They have a source and a target and, optionally,
source_language, target_language, corpus and hard_negatives. Malformed rows are
skipped up to the share data.max_malformed_share. They are written into
RUN/records first, in random order; --train=FOLDER reads records that labse
write-records made.

The same command resumes a run from its last checkpoint. SIGTERM and Ctrl-C
save a checkpoint and then stop, with exit code 143 or 130. Exit code 75:
another worker, a host of the TPU or the storage was lost; the last checkpoint
is kept.

--out, --vocab, --config and a run folder as --init may be remote, such as
gs://bucket/run.

With --validation, the checkpoint with the best accuracy on these pairs is kept
beside the last one; labse.load, labse evaluate and labse export open that one.
--override=training.early_stopping_patience=N stops training after N
validations in a row (one every training.validate_every steps) that were no
better.
"""

import signal

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_HELP

_DISTRIBUTIONS = ("auto", "none", "mirrored", "multi_worker", "tpu")


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.string("config", "labse_base", "Preset or YAML file.")
    flags.strings(
        "override",
        [],
        "section.key=value, e.g. training.num_steps=1000; repeatable.",
    )
    flags.strings(
        "train",
        None,
        f"{file_flags.PAIR_FILES} Or a folder of records (write-records).",
        required=True,
    )
    # The share of malformed rows is a key of the configuration.
    file_flags.define_pair_flags(flags, has_share=False)
    flags.string(
        "validation",
        "",
        "Pairs to validate on while training, in the same formats as --train; "
        "labse.load opens the checkpoint that is best on them.",
    )
    flags.string("vocab", None, "vocab.txt.", required=True)
    flags.string("out", None, "The run folder.", required=True)
    flags.string(
        "init",
        "",
        f"Starts a new run from the encoder of a model. {MODEL_HELP}",
    )
    flags.choice(
        "distribution", "auto", _DISTRIBUTIONS, "The devices to train on."
    )
    flags.string("tpu", "", "TPU name; on a TPU VM: local.")


def main(flags: FlagSet) -> int:
    """Trains to the last step."""
    from labse.configs import loading

    config = loading.load(flags.config, flags.override)
    from labse.training import dual_encoder_task

    reading = file_flags.options(
        flags, max_malformed_share=config.data.max_malformed_share
    )
    finished = dual_encoder_task.train_dual_encoder(
        config,
        flags.train,
        flags.vocab,
        flags.out,
        init=flags.init,
        validate=_validation(flags.validation, reading),
        distribution=flags.distribution,
        tpu=flags.tpu,
        reading=reading,
    )
    # If the signal had come to this process, it would have ended by now.
    return 0 if finished else 128 + signal.SIGTERM


def _validation(path: str, reading):
    """A function that evaluates an encode function on the file's pairs."""
    if not path:
        return None
    from labse.evaluation.tasks import pairs

    # So that a mistake in the file is reported before training.
    pairs.read_pairs(path, reading)

    def validate(encode) -> dict:
        result = pairs.evaluate(encode, path, min_pairs=1, options=reading)
        averages = result.macro_average()
        return {
            "accuracy": averages[result.main],
            **averages,
            "languages": {
                row.name: row.figures[result.main].value for row in result.rows
            },
        }

    return validate


if __name__ == "__main__":
    program.main(__name__)
