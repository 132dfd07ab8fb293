"""Adds pieces to a model's vocabulary, for a new language or a domain.

    labse build-vocab --input=swahili.txt --language=sw --vocab_size=2000
                      --out=new.txt
    labse grow-vocab --model=M --pieces=new.txt --report_text=swahili.txt
                     --language=sw --out=RUN
    labse train --init=RUN --vocab=RUN/vocab.txt ...

Every piece of the file that the model lacks is appended; special pieces and
[unused...] are skipped. The row of a new piece starts as the mean of the rows
of the pieces that spell it now, or as [UNK]'s row if none do. Then it has to be
trained.

WordPiece takes the longest matching piece, so a new piece changes how words
that contain it are tokenized, in every language. Texts in which no new piece
occurs keep their vectors, bit-identical in the same batch.

RUN is a run folder. RUN/grow_report.json and the table on standard output show
the sizes, and with --report_text, for each language, the share of words that
are [UNK] and pieces per word, before and after. --report_text takes what --text
of `labse prune-vocab` takes.
"""

import time

from labse.bin import convert, prune_vocab
from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet


def define_flags(flags: FlagSet) -> None:
    """Defines the flags of `labse grow-vocab`."""
    flags.string(
        "pieces",
        None,
        "The new pieces, one a line; labse build-vocab makes such a file.",
        required=True,
    )
    prune_vocab.define_model_and_report(flags)


def main(flags: FlagSet) -> None:
    """Opens the model, grows it, prints the report."""
    from labse.checkpoints.vocabulary import resizing

    start = time.monotonic()
    report_text = prune_vocab.find_texts(flags, flags.report_text)
    report = resizing.grow_vocabulary(
        convert.open_model(flags, flags.model),
        flags.pieces,
        flags.out,
        report_text,
    )
    print(
        f"{report['added']:,} pieces added, {report['from_unknown']:,} of them "
        f"start from [UNK]; the model had {report['known']:,} already"
    )
    prune_vocab.print_report(report, flags.out, start)


if __name__ == "__main__":
    program.main(__name__)
