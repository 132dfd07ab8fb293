"""Features of the sentence quality classifier, compared on pages held out.

    python -m benchmarks.corpora.quality --data=DIR

DIR holds `web_fixtures/article_extraction` (181 pages with marked bodies, of
scrapinghub/article-extraction-benchmark), `lingua_sentences` and `udhr`. The
peer is what is usual for text: a logistic regression on hashed character
n-grams of scikit-learn, in the same run. Printed are the average precision in
five folds of whole sites; the share of clean sentences of other languages that
is kept at the threshold that keeps half of the pages' sentences; how well
extracted bodies stand in for marked ones; and sentences/s of one process.
"""

import argparse
import pathlib
import time

import numpy as np

from data_pipeline.quality import features, training
from data_pipeline.quality.model import threshold_of
from data_pipeline.quality.pages import (
    MIN_CHARACTERS,
    Page,
    Skipped,
    read_bodies,
    read_pages,
    site_of,
)

FOLDS = 5
# UDHR's paragraphs are of most of LaBSE's languages; Leipzig's sentences of 75.
SETS = ("lingua_sentences", "udhr")


def read(data: pathlib.Path, is_marked: bool) -> list[Page]:
    """The pages with marked or extracted bodies, and their sites."""
    bodies = read_bodies(data / "ground-truth.json")
    pages = []
    for path in sorted((data / "html").glob("*.html.gz")):
        marked = bodies if is_marked else None
        found = read_pages(str(path), Skipped(), marked)
        name = path.name.removesuffix(".html.gz")
        pages += [
            Page(site_of(bodies[name][1]), page.lines, page.body, page.place)
            for page in found
        ]
    return pages


def own_features(texts):
    """Those of `labse train-quality`."""
    return features.sentence_features(texts)


def n_grams(texts):
    """The peer's."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        analyzer="char_wb", ngram_range=(1, 4), n_features=2**18
    ).transform(texts)


def fit(transform, sentences, penalty: float):
    """A function from texts to scores."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=penalty, max_iter=5000, tol=1e-5)
    model.fit(transform(sentences.texts), sentences.is_main)
    return lambda texts: model.decision_function(transform(texts))


def by_fold(pages: list[Page]) -> list[list[Page]]:
    """Pages dealt by site."""
    sites = sorted({page.site for page in pages})
    draw = np.random.default_rng(0).permutation(len(sites))
    fold = {sites[at]: number % FOLDS for number, at in enumerate(draw)}
    return [
        [page for page in pages if fold[page.site] == number]
        for number in range(FOLDS)
    ]


def cross_validate(transform, penalty: float, pages, tested) -> list[float]:
    """Average precision on each fold of `tested`, trained on `pages`."""
    from sklearn.metrics import average_precision_score

    found = []
    for fold in by_fold(tested):
        sites = {page.site for page in fold}
        used = training.Sentences.of(
            page for page in pages if page.site not in sites
        )
        held = training.Sentences.of(fold)
        scores = fit(transform, used, penalty)(held.texts)
        found.append(average_precision_score(held.is_main, scores))
    return found


def shares_kept(score, threshold: float, folder: pathlib.Path) -> dict:
    """By file of a folder, the share of its texts that is kept.

    A text is a line, or what stands after its tab.
    """
    kept = {}
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.tsv")]):
        lines = path.read_text("utf-8").split("\n")
        lines = [line.split("\t")[-1] for line in lines]
        lines = [line for line in lines if len(line) >= MIN_CHARACTERS]
        if path.stem not in ("README", "INDEX") and lines:
            kept[path.stem] = float((score(lines) >= threshold).mean())
    return kept


def report(name: str, transform, penalty: float, data: pathlib.Path) -> None:
    """Prints the figures of one kind of features."""
    pages = read(data / "web_fixtures" / "article_extraction", True)
    folds = cross_validate(transform, penalty, pages, pages)
    print(f"{name}, C = {penalty}: AP {np.mean(folds):.4f}", end="")
    print(f" ({', '.join(f'{each:.3f}' for each in folds)})", flush=True)
    everything = training.Sentences.of(pages)
    score = fit(transform, everything, penalty)
    threshold = threshold_of(score(everything.texts), 0.5)
    for folder in SETS:
        kept = shares_kept(score, threshold, data / folder)
        least = sorted(kept.items(), key=lambda each: each[1])[:8]
        print(
            f"  {folder}: {np.mean(list(kept.values())):.3f} kept on average "
            f"of {len(kept)} files; "
            f"{sum(share < 0.5 for share in kept.values())} below half; least: "
            + ", ".join(f"{file} {share:.2f}" for file, share in least),
            flush=True,
        )
    texts = everything.texts * 3
    began = time.process_time()
    score(texts)
    rate = len(texts) / (time.process_time() - began)
    print(f"  {rate:,.0f} sentences/s of processor time", flush=True)


def main() -> None:
    """Compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--penalties", type=float, nargs="*", default=[0.3])
    options = parser.parse_args()
    for penalty in options.penalties:
        report("kinds of characters", own_features, penalty, options.data)
    report("character n-grams (peer)", n_grams, 10.0, options.data)
    pages = options.data / "web_fixtures" / "article_extraction"
    marked, extracted = read(pages, True), read(pages, False)
    folds = cross_validate(own_features, 0.3, extracted, marked)
    print(
        "trained on extracted bodies, marked ones held out: AP "
        f"{np.mean(folds):.4f}"
    )


if __name__ == "__main__":
    main()
