r"""Pre-trains an encoder: masked and translation language modelling.

    labse pretrain --config=pretrain_base --monolingual='text/*.txt' \
        --bilingual='pairs/*.tsv' --vocab=vocab.txt --out=PRETRAINED
    labse train --init=PRETRAINED ...

Texts (MLM) and translation pairs (TLM) may be in any format of
docs/file_formats.md. They are written into PRETRAINED/records first, in random
order; a folder of records that labse write-records made is read as it is. The
share of sequences that are pairs is data.bilingual_share.

The stages of progressive stacking (stacking.num_layers, stacking.num_steps)
are trained one after another. The same command resumes a run from its last
checkpoint, in its stage. SIGTERM and Ctrl-C save a checkpoint and then stop,
with exit code 143 or 130. Exit code 75: another worker, a host of the TPU or
the storage was lost; the last checkpoint is kept.

--out, --vocab, --config and a run folder as --init may be remote, such as
gs://bucket/run.

With --validation_monolingual or --validation_bilingual, loss and accuracy of
masked tokens are computed every training.validate_every steps, of each kind and
language. Of a kind, up to 4,096 texts are used, and up to 256 of a language,
always the same ones with the same masks. The checkpoint of the last stage with
the best accuracy, the mean over the languages, is kept beside the last one.
"""

import signal

from labse.bin.flags import file_flags, program
from labse.bin.flags.flag_set import FlagSet
from labse.bin.flags.models import MODEL_HELP

_DISTRIBUTIONS = ("auto", "none", "mirrored", "multi_worker", "tpu")


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.string("config", "pretrain_base", "Preset or YAML file.")
    flags.strings(
        "override",
        [],
        "section.key=value, e.g. training.num_steps=1000; repeatable.",
    )
    folder = "Or a folder of records (write-records)."
    flags.strings(
        "monolingual", [], f"{file_flags.TEXT_OR_PAIR_FILES} {folder}"
    )
    flags.strings("bilingual", [], f"{file_flags.PAIR_FILES} {folder}")
    # The share of malformed rows is a key of the configuration.
    file_flags.define_text_and_pair_flags(flags, has_share=False)
    for name, what in (("monolingual", "Texts"), ("bilingual", "Pairs")):
        flags.strings(
            f"validation_{name}",
            [],
            f"{what} to validate on while training, in the same formats.",
        )
    flags.string("vocab", None, "vocab.txt.", required=True)
    flags.string("out", None, "The run folder.", required=True)
    flags.string(
        "init",
        "",
        "Starts a new run, without stages, from the encoder of a model, and "
        f"its masked-LM head if it has one. {MODEL_HELP}",
    )
    flags.choice(
        "distribution", "auto", _DISTRIBUTIONS, "The devices to train on."
    )
    flags.string("tpu", "", "TPU name; on a TPU VM: local.")


def main(flags: FlagSet) -> int:
    """Trains to the last step."""
    from labse.configs import loading
    from labse.configs.pretraining import PretrainingConfig

    config = loading.load(flags.config, flags.override, PretrainingConfig)
    from labse.training.pretraining_task import PretrainingFiles, pretrain

    finished = pretrain(
        config,
        PretrainingFiles(flags.monolingual, flags.bilingual),
        flags.vocab,
        flags.out,
        init=flags.init,
        validation=PretrainingFiles(
            flags.validation_monolingual, flags.validation_bilingual
        ),
        distribution=flags.distribution,
        tpu=flags.tpu,
        reading=file_flags.options(
            flags, max_malformed_share=config.data.max_malformed_share
        ),
    )
    # If the signal had come to this process, it would have ended by now.
    return 0 if finished else 128 + signal.SIGTERM


if __name__ == "__main__":
    program.main(__name__)
