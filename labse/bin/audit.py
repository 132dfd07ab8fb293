r"""Pairs or texts -> whether to train on them, and why not.

    labse audit --input='pairs/*.tsv.gz' --vocab=vocab.txt --out=audit
    labse audit --input='text/*.txt' --monolingual --vocab=vocab.txt --out=audit

Per language: rows; rows that repeat; words that become [UNK] and pieces per
word; texts that are cut at the length of training; texts in a wrong script or
language; pairs of odd lengths; copies. Of all: how many accidental negatives a
batch will hold, and which texts of --evaluation stand in the data, in whatever
case, spacing and punctuation.

Prints a table and GO or NO-GO with the reasons, and writes report.json and
report.html. The exit code is 0 for go, 3 for no-go; 2 means that a file or a
flag breaks a rule. docs/audit.md has the limits and the reasons for them. The
same command resumes what was killed.
"""

import pathlib
import shutil

from labse.bin.flags import beam_flags, file_flags, program
from labse.bin.flags.flag_set import FlagSet

NO_GO_EXIT_CODE = 3
_WORK = "audit_work"


def define_flags(flags: FlagSet) -> None:
    """Defines this program's flags."""
    flags.strings("input", None, file_flags.TEXT_OR_PAIR_FILES, required=True)
    flags.string("out", None, "Folder for the reports.", required=True)
    flags.boolean(
        "monolingual",
        False,
        "The rows are texts; of pairs, both sides are.",
    )
    flags.string(
        "vocab", None, "vocab.txt. Count [UNK], pieces, and texts that are cut."
    )
    flags.string(
        "config",
        "labse_base",
        "Preset or YAML file, of labse train or labse pretrain: of its "
        "tokenizer, length and batch.",
    )
    flags.strings(
        "override", [], "section.key=value of the configuration; repeatable."
    )
    flags.strings(
        "evaluation",
        [],
        "Evaluation sets to look for: a file of any form, a glob, or a folder; "
        "repeatable.",
    )
    flags.boolean("identify", True, "Identify the language of texts.")
    flags.string(
        "work",
        None,
        "Folder for hashes, 24 bytes a text. Default: OUT. They stand in its "
        "folder audit_work, which is removed at the end.",
    )
    file_flags.define_text_and_pair_flags(flags)
    beam_flags.define_beam_flags(flags)


def main(flags: FlagSet) -> int:
    """Audits, writes the reports and prints the table."""
    arguments = beam_flags.beam_arguments(flags)
    from data_pipeline.audit import job, report, rules
    from data_pipeline.audit.settings import Settings
    from labse.configs import loading
    from labse.files.work_folder import WorkFolder

    config = loading.load(flags.config, flags.override, kind=None)
    settings = Settings(
        is_monolingual=flags.monolingual,
        options=file_flags.options(flags),
        vocab=flags.vocab or "",
        tokenizer=config.tokenizer,
        max_length=config.training_length,
        batch=config.training.global_batch_size,
        is_identifying=flags.identify,
    )
    out = pathlib.Path(flags.out)
    # A folder of its own, since it is removed.
    work = WorkFolder(pathlib.Path(flags.work or out, _WORK), restart=True)
    found = job.run_audit(
        flags.input, flags.evaluation, settings, work, arguments
    )
    verdict = rules.judge(found)
    report.write_reports(out, found, verdict)
    shutil.rmtree(work.folder)
    print(report.summary(found, verdict))
    return 0 if verdict.is_go else NO_GO_EXIT_CODE


if __name__ == "__main__":
    program.main(__name__)
