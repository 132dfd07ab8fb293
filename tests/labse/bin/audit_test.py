"""Audits of made data: what was planted is found, whatever the settings."""

import json

import pytest

pytest.importorskip("apache_beam")
pytest.importorskip("pycld2")

from labse.bin import audit
from labse.bin.flags import program

WORDS = "river stone house green winter letter window garden paper bridge"
GERMAN = "Fluss Stein Haus gruen Winter Brief Fenster Garten Papier Bruecke"


def pairs(count=600):
    """Different pairs, English to German, of ten words and more."""
    english, german = WORDS.split(), GERMAN.split()
    rows = []
    for number in range(count):
        order = [(number // 10**place + place) % 10 for place in range(4)]
        source = " ".join(english[each] for each in order)
        target = " ".join(german[each] for each in order)
        rows.append((f"The {source} {number}.", f"Der {target} {number}."))
    return rows


def write(path, rows, languages=("en", "de")):
    lines = ["source\ttarget\tsource_language\ttarget_language"]
    lines += ["\t".join([*row, *languages]) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_vocab(path):
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*letters, *(f"##{letter}" for letter in letters)]
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")


def run(folder, *flags):
    """The exit code and report.json."""
    code = program.run(
        audit,
        [
            f"--input={folder}/*.tsv",
            f"--out={folder}/out",
            "--workers=1",
            "--override=training.global_batch_size=64",
            *flags,
        ],
        "labse audit",
    )
    path = folder / "out" / "report.json"
    return code, json.loads(path.read_text("utf-8")) if code != 2 else None


def test_clean_pairs_are_a_go(tmp_path, capsys):
    write(tmp_path / "a.tsv", pairs())
    write_vocab(tmp_path / "vocab.txt")
    # Lists of words are of no language.
    code, report = run(
        tmp_path, f"--vocab={tmp_path}/vocab.txt", "--noidentify"
    )
    assert (code, report["verdict"], report["reasons"]) == (0, "go", [])
    found = report["languages"]["en de"]
    assert (found["rows"], found["texts"]) == (600, 1200)
    assert not any(found["shares"].values())
    assert report["batch"]["accidental_negatives"] == 0
    assert capsys.readouterr().out.rstrip().endswith("GO")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert not (tmp_path / "out" / "audit_work").exists()


def test_the_folder_of_work_keeps_what_else_it_holds(tmp_path):
    write(tmp_path / "a.tsv", pairs())
    work = tmp_path / "work"
    (work / "notes").mkdir(parents=True)
    (work / "notes" / "thesis.txt").write_text("precious", "utf-8")
    run(tmp_path, "--noidentify", f"--work={work}")
    assert [*work.rglob("*")] == [work / "notes", work / "notes" / "thesis.txt"]


def test_where_a_source_ends_counts(tmp_path):
    write(tmp_path / "a.tsv", [("a b", "c"), ("a", "b c")])
    _, report = run(tmp_path)
    assert report["batch"]["equal_pairs_of_rows"]["pair"] == 0


def test_planted_problems_are_counted(tmp_path, capsys):
    rows = pairs()
    rows += rows[:100]  # Repeated pairs.
    rows += [(rows[0][0], f"Der andere Satz hat {n}.") for n in range(50)]
    rows += [(f"Same text {n}", f"same text: {n}") for n in range(70)]
    write(tmp_path / "a.tsv", rows[:400])
    greek = "\u03b1\u03b2\u03b3 " * 10
    rows += [(f"The sentence {n}", f"{greek}{n}") for n in range(30)]
    write(tmp_path / "b.tsv", rows[400:])
    write_vocab(tmp_path / "vocab.txt")
    tests = tmp_path / "tests"
    tests.mkdir()
    lines = [rows[3][0].upper(), "another sentence that is nowhere"]
    (tests / "x.en").write_text("\n".join(lines) + "\nno\n")
    code, report = run(
        tmp_path,
        f"--vocab={tmp_path}/vocab.txt",
        "--override=data.max_length=64",
        f"--evaluation={tests}",
    )
    assert (code, report["verdict"]) == (audit.NO_GO_EXIT_CODE, "no-go")
    counts = report["languages"]["en de"]["counts"]
    assert counts["rows"] == 850
    assert counts["repeated pairs"] == 100
    assert counts["repeated sources"] == 150
    assert counts["copies"] == 70
    assert counts["wrong script"] == 30
    assert counts["unknown words"] == 300
    # Row 3 and its repetition.
    assert counts["in evaluation sets"] == 2
    assert report["evaluation"] == [
        {"file": f"{tests}/x.en", "texts": 2, "in_the_data": 1}
    ]
    # Row 0 has 52 rows of its source: 52 * 51; 99 others come twice.
    equal = report["batch"]["equal_pairs_of_rows"]
    assert equal == {"source": 52 * 51 + 198, "target": 200, "pair": 200}
    expected = 64 * 63 * (52 * 51 + 198) / (850 * 849)
    assert report["batch"]["accidental_negatives"] == pytest.approx(
        expected, abs=1e-4
    )
    output = capsys.readouterr().out
    for name in ("repeated pairs", "copies", "[UNK]", "evaluation"):
        assert any(each.startswith(name) for each in report["reasons"]), name
        assert f"- {name}" in output
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "&lt;" not in page
    assert page.count("<td>evaluation</td><td>en de</td>") == 2
    # The first copy is row 750; b.tsv has a header, and rows from 400 on.
    assert "b.tsv:352" in page


def test_texts_and_the_language_of_texts(tmp_path, monkeypatch):
    german = "Das ist ein ganz gew\u00f6hnlicher deutscher Satz Nummer"
    lines = [f"{german} {number}.\ten" for number in range(200)]
    text = "text\tlanguage\n" + "\n".join(lines) + "\n"
    (tmp_path / "a.tsv").write_text(text, encoding="utf-8")
    code, report = run(tmp_path, "--monolingual")
    counts = report["languages"]["en"]["counts"]
    assert counts["texts"] == counts["texts identified"] == 200
    assert counts["wrong language"] == 200
    # Of fewer than 1,000 texts: shown, and not held against the data.
    assert code == 0
    assert report["languages"]["en"]["shares"]["repeated texts"] == 0
    (tmp_path / "b.tsv").write_text(text, encoding="utf-8")
    monkeypatch.setattr("data_pipeline.audit.rules.MIN_TEXTS", 400)
    code, report = run(tmp_path, "--monolingual", "--noidentify")
    assert report["reasons"][0].startswith("repeated texts: en 50.0%")
    (tmp_path / "b.tsv").unlink()
    _, report = run(tmp_path, "--monolingual", "--noidentify")
    assert "wrong language" not in report["languages"]["en"]["shares"]


@pytest.mark.parametrize(
    "workers",
    [
        ["--runner=DirectRunner", "--beam=--direct_running_mode=in_memory"],
        pytest.param(["--workers=2"], marks=pytest.mark.slow),
    ],
    ids=["one process", "two processes"],
)
def test_the_bytes_do_not_depend_on_workers_or_partitions(
    workers, tmp_path, monkeypatch
):
    rows = pairs(400)
    write(tmp_path / "a.tsv", rows)
    write(tmp_path / "b.tsv", rows[:200], ("en", "nds"))
    run(tmp_path)
    files = [tmp_path / "out" / f"report.{end}" for end in ("json", "html")]
    first = [path.read_bytes() for path in files]
    monkeypatch.setattr("data_pipeline.audit.job._PARTITION_BYTES", 5000)
    program.run(
        audit,
        [
            f"--input={tmp_path}/*.tsv",
            f"--out={tmp_path}/out",
            *workers,
            "--override=training.global_batch_size=64",
        ],
        "labse audit",
    )
    assert [path.read_bytes() for path in files] == first


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--evaluation={}/none"], "No file matches"),
        (["--evaluation={}/empty"], "a folder without files"),
        (["--vocab={}/no.txt"], "no.txt"),
        (["--source_column=x"], "the columns are named in a header"),
    ],
)
def test_errors(tmp_path, capsys, flags, message):
    write(tmp_path / "a.tsv", pairs(10))
    (tmp_path / "empty").mkdir()
    code, _ = run(tmp_path, *(flag.format(tmp_path) for flag in flags))
    assert code == 2
    assert message in capsys.readouterr().err
