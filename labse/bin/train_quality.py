r"""Web pages -> a classifier of sentence quality, for labse clean-monolingual.

    labse train-quality --input='pages/*.html.gz' --bodies=marked.json --out=Q
    labse train-quality --input='crawl/*.warc.gz' --out=Q

Learns what sentences of the main content of pages look like beside the rest of
the same pages (section 3.1 of the paper, footnote 8). --bodies is a JSON file
of main content that people marked: {"NAME": {"articleBody": "TEXT", "url":
"ADDRESS"}, ...} for the pages NAME.html or NAME.html.gz. Without it, main
content is what resiliparse extracts. Pages of some sites are held out: the
figures are of them.

Writes model.json and report.html, and prints the figures. The same pages give
the same bytes. docs/quality.md says what was measured.
"""

import importlib.util
import pathlib

from labse.bin.flags import program
from labse.bin.flags.flag_set import FlagSet
from labse.errors import InputError


def define_flags(flags: FlagSet) -> None:
    """Defines the program's flags."""
    flags.strings(
        "input",
        None,
        "Whole pages: .html, .htm or .warc; .gz may follow. A file or a glob; "
        "repeatable.",
        required=True,
    )
    flags.string("bodies", None, "JSON file of marked bodies, for HTML files.")
    flags.string("out", None, "A folder.", required=True)
    flags.number(
        "held_out_share", 0.25, "Share of the sites to hold out, from 0 to 1."
    )
    flags.integer(
        "max_pages", 5000, "Of more pages, this number is used.", lower_bound=2
    )
    flags.integer("seed", 0, "Another seed holds out other sites.")


def main(flags: FlagSet) -> None:
    """Trains, writes the files and prints the figures."""
    if not 0 < flags.held_out_share < 1:
        raise InputError(
            "--held_out_share must lie between 0 and 1. Received: "
            f"{flags.held_out_share:g}."
        )
    for name in ("fastwarc", "resiliparse", "sklearn"):
        if importlib.util.find_spec(name) is None:
            raise InputError(
                "This program needs FastWARC, resiliparse and scikit-learn. "
                f"Received none of the name {name}. Install labse[corpora]."
            )
    from data_pipeline.quality import report, training

    trained = training.train_quality(
        flags.input,
        flags.bodies,
        held_out_share=flags.held_out_share,
        max_pages=flags.max_pages,
        seed=flags.seed,
    )
    out = pathlib.Path(flags.out)
    trained.model.write(out / "model.json")
    report.write_report(out / "report.html", trained)
    print(report.summary(trained))


if __name__ == "__main__":
    program.main(__name__)
