r"""Trains a dual encoder on translation pairs.

    labse train --config=labse_base --train='pairs/*.tfrecord' \
        --vocab=vocab.txt --out=RUN

Pairs are of any format of docs/file_formats.md: .tsv with a header, .jsonl,
.parquet, TFRecords. They have a source and a target, and if you like
source_language, target_language, corpus and hard_negatives. Malformed rows are
left out up to the share data.max_malformed_share.

Started again with the same command, a run resumes from its last checkpoint.
SIGTERM and Ctrl-C save one and then stop, with exit code 143 or 130.

With --validation the checkpoint that is best on these pairs is kept beside the
last one, and it is the one that labse.load, labse evaluate and labse export
open. --override=training.early_stopping_patience=N stops training once N
validations in a row (every training.validate_every steps) were no better.
"""

import signal

from absl import flags

from labse.bin.flags import file_flags, program
from labse.bin.flags.models import MODEL_HELP

_DISTRIBUTIONS = ("auto", "none", "mirrored", "multi_worker", "tpu")


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "config",
        "labse_base",
        "Preset or YAML file.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "override",
        [],
        "section.key=value, e.g. training.num_steps=1000; repeatable.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "train",
        None,
        file_flags.PAIR_FILES,
        required=True,
        flag_values=flag_values,
    )
    # The share of malformed rows is in the configuration.
    file_flags.define_pair_flags(flag_values, has_share=False)
    flags.DEFINE_string(
        "validation",
        "",
        "Pairs to validate on while training, read as --train is; the "
        "checkpoint that is best on them is the one that labse.load opens.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "vocab", None, "vocab.txt.", required=True, flag_values=flag_values
    )
    flags.DEFINE_string(
        "out", None, "The run folder.", required=True, flag_values=flag_values
    )
    flags.DEFINE_string(
        "init",
        "",
        f"Starts a new run from the encoder of a model. {MODEL_HELP}",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "distribution",
        "auto",
        _DISTRIBUTIONS,
        "Devices that train together.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "tpu", "", "TPU name; on a TPU VM: local.", flag_values=flag_values
    )


def main(flag_values: flags.FlagValues) -> int:
    """Trains to the last step."""
    from labse.configs import loading

    config = loading.load(flag_values.config, flag_values.override)
    from labse.training import trainer

    reading = file_flags.options(
        flag_values, max_malformed_share=config.data.max_malformed_share
    )
    finished = trainer.train(
        config,
        flag_values.train,
        flag_values.vocab,
        flag_values.out,
        init=flag_values.init,
        validate=_validation(flag_values.validation, reading),
        distribution=flag_values.distribution,
        tpu=flag_values.tpu,
        reading=reading,
    )
    # A signal that came to this process has ended it by now.
    return 0 if finished else 128 + signal.SIGTERM


def _validation(path: str, reading):
    """Judges an encode function on the file's pairs, by language."""
    if not path:
        return None
    from labse.evaluation.tasks import pairs

    # A mistake in the file is told at once.
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
