import gzip
import hashlib
import json
import shutil

import numpy as np
import pytest

from data_pipeline.cleaning import clean
from data_pipeline.cleaning.clean import clean_monolingual
from data_pipeline.cleaning.settings import CleaningSettings
from data_pipeline.jobs.phases import local_arguments
from data_pipeline.quality import features
from data_pipeline.quality.model import QualityModel
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.texts import Texts

# The identifier needs its libraries; `language_rules_test` tests these two.
LANGUAGE_STEPS = {"document_language", "sentence_language"}


@pytest.fixture(autouse=True)
def run_here(monkeypatch):
    """Units run one after the other, without Beam."""

    def run_units(job, label, units, arguments):
        for unit in units:
            unit.run(job)

    monkeypatch.setattr(clean, "run_units", run_units)


def sentence(number):
    return f"This is the sentence that has number {number}."


def page(numbers, **fields):
    return {"text": "\n".join(map(sentence, numbers)), **fields}


def write(path, rows):
    rows = [{"language": "en", **row} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def settings(*skip, **values):
    return CleaningSettings(skip=frozenset({*LANGUAGE_STEPS, *skip}), **values)


def run(inputs, out, given=None, **values):
    return clean_monolingual(
        inputs,
        out,
        given or settings(),
        ReadOptions(),
        local_arguments(1),
        **values,
    )


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def texts(out, language="en"):
    paths = sorted((out / language).glob("*.jsonl.gz"))
    return [row["text"] for path in paths for row in read(path)]


def digests(out):
    return {
        str(path.relative_to(out)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def dropped(out):
    rows = json.loads((out / "report.json").read_text("utf-8"))["dropped"]
    return {(row["step"], row["reason"]): row["texts"] for row in rows}


def test_sentences_go_to_files_of_their_language(tmp_path):
    rows = [
        {"text": "It is one. It is two.", "corpus": "web"},
        {"text": "Das ist ein Satz.", "language": "de"},
    ]
    write(tmp_path / "a.jsonl", rows)
    report = run([tmp_path / "a.jsonl"], tmp_path / "out")
    assert read(tmp_path / "out" / "en" / "00000.jsonl.gz") == [
        {"text": "It is one.", "language": "en", "corpus": "web"},
        {"text": "It is two.", "language": "en", "corpus": "web"},
    ]
    assert texts(tmp_path / "out", "de") == ["Das ist ein Satz."]
    assert "documents read: 2" in report
    assert not (tmp_path / "out" / "work").exists()
    # As build-vocab and write-records read it.
    found = Texts([tmp_path / "out" / "*" / "*.jsonl.gz"])
    assert sorted(found) == [
        ("de", b"Das ist ein Satz."),
        ("en", b"It is one."),
        ("en", b"It is two."),
    ]


def test_a_language_is_a_tag(tmp_path):
    rows = [
        {"text": "Das ist ein Satz.", "language": "deu"},
        {"text": "This is no language.", "language": "../../tmp"},
    ]
    write(tmp_path / "a.jsonl", rows)
    run([tmp_path / "a.jsonl"], tmp_path / "out")
    assert texts(tmp_path / "out", "de") == ["Das ist ein Satz."]
    assert texts(tmp_path / "out", "und") == ["This is no language."]


def test_the_first_of_equal_sentences_stays_in_the_order_of_inputs(tmp_path):
    write(tmp_path / "b.jsonl", [{"text": "It is one."}, {"text": "It was."}])
    write(tmp_path / "a.jsonl", [{"text": "IT WAS!!!!"}, {"text": "It is one"}])
    inputs = [tmp_path / "b.jsonl", tmp_path / "a.jsonl"]
    skip = settings(
        "length", "sentence_length", "words", "terminal_punctuation"
    )
    run(inputs, tmp_path / "out", skip)
    assert texts(tmp_path / "out") == ["It is one.", "It was."]
    assert dropped(tmp_path / "out") == {("exact_duplicates", "came before"): 2}


def test_spans_of_three_sentences_that_came_before_go(tmp_path):
    # 3 and 4 alone are no span; 0 1 2 came before, whatever is around it.
    pages = [page(range(5)), page([9, 0, 1, 2, 8]), page([3, 4, 7])]
    write(tmp_path / "a.jsonl", pages)
    given = settings("exact_duplicates", "near_duplicates")
    run([tmp_path / "a.jsonl"], tmp_path / "out", given)
    expected = [*range(5), 9, 8, 3, 4, 7]
    assert texts(tmp_path / "out") == [*map(sentence, expected)]
    assert dropped(tmp_path / "out") == {
        ("spans", "of a span that came before"): 3
    }


def test_a_page_like_one_before_goes_before_its_sentences_count(tmp_path):
    # The second page is dropped, so that its last sentence did not come before.
    pages = [page(range(40)), page([*range(39), 50]), page([50, 60, 70])]
    write(tmp_path / "a.jsonl", pages)
    run([tmp_path / "a.jsonl"], tmp_path / "out")
    expected = [*range(40), 50, 60, 70]
    assert texts(tmp_path / "out") == [*map(sentence, expected)]
    assert dropped(tmp_path / "out") == {
        ("near_duplicates", "of a page like one before"): 40
    }


@pytest.fixture
def corpora(tmp_path):
    """Three files whose pages and sentences repeat each other's."""
    for name in range(3):
        pages = [
            page(range(start, start + 12), language="en" if start % 2 else "de")
            for start in range(name * 20, name * 20 + 60, 5)
        ]
        write(tmp_path / f"{name}.jsonl", pages + pages[:2])
    return [tmp_path / "*.jsonl"]


def test_the_same_bytes_whatever_the_partitions(tmp_path, corpora):
    found = []
    for partitions in (1, 2, 13):
        out = tmp_path / f"out-{partitions}"
        given = settings(shard_sentences=20)
        run(corpora, out, given, num_partitions=partitions)
        found.append(digests(out))
    assert found[0] == found[1] == found[2]
    assert {"report.json", "report.txt", "en/00001.jsonl.gz"} <= {*found[0]}
    assert len(set(texts(tmp_path / "out-1"))) == len(texts(tmp_path / "out-1"))


def test_a_job_that_was_stopped_resumes(tmp_path, corpora, monkeypatch):
    rejects = tmp_path / "rejects"
    run(corpora, tmp_path / "out", rejects=rejects)
    whole = digests(tmp_path / "out"), digests(rejects)
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(rejects)
    run_units, done = clean.run_units, []

    def stop_after(limit):
        def stopping(job, label, units, arguments):
            for unit in units:
                if len(done) == limit:
                    raise KeyboardInterrupt
                is_new = not job.work.is_made(unit.name)
                run_units(job, label, [unit], arguments)
                done.extend([unit.name] * is_new)

        monkeypatch.setattr(clean, "run_units", stopping)

    for limit in range(1, 20):
        stop_after(limit)
        try:
            run(corpora, tmp_path / "out", rejects=rejects)
            break
        except KeyboardInterrupt:
            continue
    assert len(done) == len(set(done)) > 10
    assert (digests(tmp_path / "out"), digests(rejects)) == whole


def test_what_is_done_is_not_done_again(tmp_path, corpora, monkeypatch):
    run(corpora, tmp_path / "out")
    before = digests(tmp_path / "out")
    monkeypatch.setattr(clean, "run_units", None)
    assert "holds these sentences" in run(corpora, tmp_path / "out")
    assert digests(tmp_path / "out") == before


def test_another_input_is_refused(tmp_path, corpora, monkeypatch):
    run(corpora, tmp_path / "out")
    with pytest.raises(InputError, match="cleaned from other inputs or with"):
        run([tmp_path / "0.jsonl"], tmp_path / "out")
    with pytest.raises(InputError, match="cleaned from other inputs or with"):
        run(corpora, tmp_path / "out", settings("words"))
    # What was dropped is not there.
    with pytest.raises(InputError, match="cleaned from other inputs or with"):
        run(corpora, tmp_path / "out", rejects=tmp_path / "rejects")

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(clean, "run_units", stop)
    with pytest.raises(KeyboardInterrupt):
        run(corpora, tmp_path / "begun")
    with pytest.raises(InputError, match="had other values of inputs. Start"):
        run([tmp_path / "0.jsonl"], tmp_path / "begun")


def test_a_folder_with_something_else_is_refused(tmp_path, corpora):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious", "utf-8")
    with pytest.raises(InputError, match="out must be a new folder"):
        run(corpora, tmp_path / "out")
    with pytest.raises(InputError, match="rejects must be a new folder"):
        run(corpora, tmp_path / "new", rejects=tmp_path / "out")
    # Of another program.
    (tmp_path / "other" / "work" / "notes").mkdir(parents=True)
    with pytest.raises(InputError, match="out must be a new folder"):
        run(corpora, tmp_path / "other")


def test_what_is_read_is_kept_or_dropped(tmp_path):
    write(
        tmp_path / "a.jsonl",
        [page([1, 2, 3, 1]), {"text": "It is one. It is two."},
         {"text": "[citation needed]"}, {"text": "short"}],
    )  # fmt: skip
    run([tmp_path / "a.jsonl"], tmp_path / "out", settings("length"))
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    totals = report["totals"]
    assert totals["lines read"] == 7
    assert totals["lines added by splitting"] == 1
    assert sum(row["texts"] for row in report["kept"]) == 5
    assert sum(row["texts"] for row in report["dropped"]) == 3


def test_a_quality_model_drops_the_worst(tmp_path):
    # The score is the logarithm of the length, to base 2; half have 5, of 32
    # characters, or more.
    weights = np.zeros(features.NUM_FEATURES)
    weights[0] = 1
    model = QualityModel(weights, 0.0, np.linspace(0, 10, 11), {})
    model.write(tmp_path / "model.json")
    rows = [{"text": f"{'a' * 30}."}, {"text": f"{'b' * 31}."}]
    write(tmp_path / "a.jsonl", rows)
    given = settings("words", quality_model=str(tmp_path / "model.json"))
    run([tmp_path / "a.jsonl"], tmp_path / "out", given)
    assert texts(tmp_path / "out") == [rows[1]["text"]]
    assert dropped(tmp_path / "out") == {("quality", "not of the best 0.5"): 1}


def test_rejects_are_kept_by_step(tmp_path):
    write(tmp_path / "a.jsonl", [{"text": "No end here"}, page([1]), page([1])])
    run([tmp_path / "a.jsonl"], tmp_path / "out", rejects=tmp_path / "rejects")
    paths = sorted((tmp_path / "rejects").rglob("*.jsonl.gz"))
    found = [row for path in paths for row in read(path)]
    assert [(row["step"], row["text"], row["place"]) for row in found] == [
        ("exact_duplicates", sentence(1), f"{tmp_path}/a.jsonl:3"),
        ("terminal_punctuation", "No end here", f"{tmp_path}/a.jsonl:1"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"skip": frozenset({"length", "wrods"})}, "Received: wrods"),
        ({"min_characters": 0}, "Received: 0 and 5000"),
        ({"min_characters": 9, "max_characters": 8}, "Received: 9 and 8"),
        ({"quality_share": 0.0}, "a share above 0"),
        ({"quality_model": "no.json"}, "no.json: a quality model is a file"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        CleaningSettings(**values)
