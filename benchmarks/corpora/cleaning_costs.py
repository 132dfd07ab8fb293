"""What each step of cleaning drops of good text, and of web pages.

  python -m benchmarks.corpora.cleaning_costs --data=DATA [--languages=ja,th]

Good text, by language: `lingua_sentences` (news, web and Wikipedia),
`tatoeba_v1` (short sentences), `udhr` (paragraphs) and `bible_nt` (verses) of
the data folder. Each step sees each text alone; rules on pages see ten texts as
a page. What a step drops is coverage loss, but for `document_language`, where
the corpora themselves are wrong at times. With --languages, one line for each
language instead of a summary.

Web pages: the 181 pages of `web_fixtures/article_extraction` with all their
text, and the articles in them, marked by hand: the share of lines that each
step drops of both.
"""

import argparse
import collections
import copy
import gzip
import json
import pathlib
import statistics
from collections.abc import Iterator

from data_pipeline.cleaning.settings import CleaningSettings
from data_pipeline.cleaning.steps.step import PageRule, Step
from data_pipeline.corpora.declared_language import declared_language
from data_pipeline.documents import Document
from data_pipeline.jobs.drops import Drops
from labse.languages import is_known_language

_MOST_TEXTS = 1000
_PAGE_TEXTS = 10
_MUCH = 0.03


def read_corpora(data: pathlib.Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yields corpus, language and its texts."""
    for path in sorted((data / "lingua_sentences").glob("*.txt")):
        if language := _tag(path.stem):
            yield "lingua_sentences", language, _lines(path)
    for path in sorted((data / "tatoeba_v1").glob("tatoeba.*-eng.*")):
        code = path.name.split(".")[1].partition("-")[0]
        if path.suffix == f".{code}" and (language := _tag(code)):
            yield "tatoeba_v1", language, _lines(path)
    for path in sorted((data / "udhr").glob("*.tsv")):
        if len(path.stem) == 3 and (language := _tag(path.stem)):
            texts = [line.partition("\t")[2] for line in _lines(path)]
            yield "udhr", language, texts
    for path in sorted((data / "bible_nt").glob("*-*.txt")):
        code = "zh-Hant" if path.stem.startswith("zh-hant") else path.stem[:3]
        if language := _tag(code.rstrip("-")):
            yield "bible_nt", language, _lines(path)


def _tag(code: str) -> str | None:
    tag = declared_language(code)
    return tag if is_known_language(tag) else None


def _lines(path: pathlib.Path) -> list[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line][:_MOST_TEXTS]


def loss(step: Step, language: str, texts: list[str]) -> float:
    """The share of texts that a step drops."""
    size = _PAGE_TEXTS if isinstance(step, PageRule) else 1
    kept = 0
    for start in range(0, len(texts), size):
        part = texts[start : start + size]
        document = Document(part, "", language, is_page=size > 1)
        step.apply(document, Drops())
        kept += len(document.lines)
    return 1 - kept / len(texts)


def measure_corpora(data: pathlib.Path, steps: list[Step]) -> dict:
    """Step -> corpus -> language -> loss."""
    found = collections.defaultdict(lambda: collections.defaultdict(dict))
    for corpus, language, texts in read_corpora(data):
        for step in steps:
            found[step.name][corpus][language] = loss(step, language, texts)
    return found


def show_summary(found: dict, step: Step) -> None:
    """A row: the mean loss of each corpus, and where it is much."""
    cells, much = [], collections.defaultdict(list)
    for corpus, losses in found[step.name].items():
        cells.append(f"{100 * statistics.mean(losses.values()):.1f}")
        for language, share in losses.items():
            if share > _MUCH:
                much[corpus].append((share, language))
    worst = "; ".join(
        f"{corpus}: "
        + ", ".join(
            f"{language} {100 * share:.0f}"
            for share, language in sorted(shares, reverse=True)[:12]
        )
        + (f" and {len(shares) - 12} more" if len(shares) > 12 else "")
        for corpus, shares in much.items()
    )
    print(f"| `{step.name}` | {' | '.join(cells)} | {worst} |")


def show_language(found: dict, steps: list[Step], language: str) -> None:
    """A line for each corpus of a language."""
    for corpus in found[steps[0].name]:
        shares = {
            step.name: found[step.name][corpus].get(language) for step in steps
        }
        if shares[steps[0].name] is not None:
            shown = [f"{name} {100 * x:.1f}" for name, x in shares.items() if x]
            print(f"{language} {corpus}: {', '.join(shown)}")


def read_pages(data: pathlib.Path) -> Iterator[tuple[list[str], list[str]]]:
    """Yields all lines of a page, and those of its article."""
    from resiliparse.extract.html2text import extract_plain_text

    folder = data / "web_fixtures" / "article_extraction"
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    for name, page in sorted(truth.items()):
        with gzip.open(folder / "html" / f"{name}.html.gz") as file:
            html = file.read().decode("utf-8", "replace")
        text = extract_plain_text(html, main_content=False)
        yield _nonblank(text), _nonblank(page["articleBody"])


def _nonblank(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def measure_pages(data: pathlib.Path, steps: list[Step]) -> None:
    """Prints a row for each step: what it drops one after the other."""
    dropped = [collections.Counter(), collections.Counter()]
    totals = collections.Counter()
    for page in read_pages(data):
        for kind, lines in enumerate(page):
            totals[kind] += len(lines)
            document = Document(copy.copy(lines), "", "en")
            for step in steps:
                before = len(document.lines)
                if step.name == "split":
                    break
                step.apply(document, Drops())
                dropped[kind][step.name] += before - len(document.lines)
            totals[kind, "kept"] += len(document.lines)
    print(f"| lines | {totals[0]:,} | {totals[1]:,} |")
    for step in steps:
        shares = [
            100 * dropped[kind][step.name] / totals[kind] for kind in (0, 1)
        ]
        print(f"| `{step.name}` | {shares[0]:.1f} | {shares[1]:.1f} |")
    kept = [100 * totals[kind, "kept"] / totals[kind] for kind in (0, 1)]
    print(f"| kept | {kept[0]:.1f} | {kept[1]:.1f} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--languages", default="")
    arguments = parser.parse_args()
    steps = CleaningSettings().steps()
    found = measure_corpora(
        arguments.data, [step for step in steps if step.name != "split"]
    )
    if arguments.languages:
        for language in arguments.languages.split(","):
            show_language(found, steps, language)
        return
    corpora = list(found["length"])
    counts = [len(found["length"][corpus]) for corpus in corpora]
    print("| step | " + " | ".join(corpora) + " | more than 3 % |")
    print("|---" * (len(corpora) + 2) + "|")
    print("| languages | " + " | ".join(map(str, counts)) + " | |")
    for step in steps:
        if step.name in found:
            show_summary(found, step)
    print(
        "\n| step | whole pages, % of lines | their articles |\n|---|---|---|"
    )
    measure_pages(arguments.data, steps)


if __name__ == "__main__":
    main()
