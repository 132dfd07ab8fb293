"""Training on pages that are made here, and on marked ones."""

import os
import pathlib
import random

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("resiliparse")

from data_pipeline.quality import report, training
from data_pipeline.quality.model import QualityModel
from labse.errors import InputError

DATA = os.environ.get("LABSE_DATA_DIR")


def write_pages(folder, count=24):
    """Pages whose main content is sentences, with menus as their rest."""
    folder.mkdir()
    for number in range(count):
        draw = random.Random(number)
        words = [f"word{draw.randrange(99)}" for _ in range(80)]
        sentences = [
            "The " + " ".join(words[at : at + 10]) + "."
            for at in range(0, 80, 10)
        ]
        menu = [f"Menu {words[at]} {words[at + 1]}" for at in range(8)]
        body = "".join(f"<p>{each}</p>" for each in sentences)
        rest = "".join(f"<li>{each}</li>" for each in menu)
        (folder / f"{number}.html").write_text(
            f"<nav><ul>{rest}</ul></nav><article>{body}</article>"
        )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pages(tmp_path_factory.mktemp("pages") / "a")


@pytest.fixture(scope="module")
def trained(folder):
    return training.train_quality([f"{folder}/*.html"])


def test_sentences_rank_above_menus(trained):
    good, bad = trained.model.scores(
        ["The lamp was lit again by a passing boy.", "Menu lamp boy"]
    )
    assert good > trained.model.threshold(0.5) > bad
    assert trained.curves[0].average_precision > 0.99
    figures = trained.model.figures
    assert figures["pages"] + figures["pages_held_out"] == 24
    half = figures["by_share_kept"][2]
    assert half["share_kept"] == 0.5
    assert half["precision"] > 0.99


def test_the_same_pages_give_the_same_file(trained, tmp_path):
    trained.model.write(tmp_path / "a.json")
    # Other names and another order, and one page twice.
    folder = write_pages(tmp_path / "pages")
    again = training.train_quality([f"{folder}/{n}.html" for n in range(24)])
    again.model.write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (
        tmp_path / "b.json"
    ).read_bytes()


def test_the_number_of_pages_is_limited(folder):
    found = training.train_quality([f"{folder}/*.html"], max_pages=12)
    figures = found.model.figures
    assert figures["pages"] + figures["pages_held_out"] == 12


def test_a_site_is_trained_on_or_held_out(folder, tmp_path):
    bodies = tmp_path / "bodies.json"
    bodies.write_text('{"1": {"articleBody": "x", "url": "http://a.org/1"}}')
    with pytest.raises(InputError, match="Give pages of more sites"):
        training.train_quality([f"{folder}/1.html"], str(bodies))
    with pytest.raises(InputError, match="No file matches"):
        training.train_quality([f"{folder}/*.pdf"])


def test_report(trained, tmp_path):
    report.write_report(tmp_path / "report.html", trained)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 1
    for name in ("classifier", "mark, then length", "chance"):
        assert name in page
        assert name in report.summary(trained)


@pytest.mark.skipif(not DATA, reason="needs LABSE_DATA_DIR")
def test_marked_pages_and_other_languages():
    pages = pathlib.Path(DATA, "web_fixtures", "article_extraction")
    if not pages.exists():
        pytest.skip("needs the marked pages")
    found = training.train_quality(
        [f"{pages}/html/*.html.gz"], str(pages / "ground-truth.json")
    )
    precision = {each.name: each.average_precision for each in found.curves}
    assert precision["classifier"] > 0.83
    assert precision["classifier"] > precision["mark, then length"]
    model: QualityModel = found.model
    threshold = model.threshold(0.5)
    for language in ("en", "ru", "ar", "hi", "th", "ja", "zh", "ko"):
        path = pathlib.Path(DATA, "lingua_sentences", f"{language}.txt")
        texts = path.read_text("utf-8").split("\n")[:-1]
        assert (model.scores(texts) >= threshold).mean() > 0.9, language
