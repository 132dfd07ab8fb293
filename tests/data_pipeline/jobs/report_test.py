import json

from data_pipeline.jobs.drops import Dropped
from data_pipeline.jobs.report import Counts, write_report


def counts_of(language, kept, dropped):
    counts = Counts()
    for text in kept:
        counts.keep(language, text)
    for text in dropped:
        counts.drops.add(Dropped("length", "too short", language, text, "a:1"))
    counts.add_total("pages read", 3)
    return counts


def test_a_report_is_of_all_units_whatever_their_order(tmp_path):
    parts = [
        counts_of("sw", ["habari", "jambo"], ["a"]),
        counts_of("de", ["guten Tag"], ["b", "cc", "ddd"]),
        counts_of("sw", [], ["e"]),
    ]
    texts = []
    for name, order in (("one", [0, 1, 2]), ("two", [2, 0, 1])):
        counts = Counts()
        for number in order:
            counts.add_json(json.loads(json.dumps(parts[number].to_json())))
        texts.append(write_report(tmp_path / name, "made up", counts))
    assert texts[0] == texts[1]
    for name in ("report.json", "report.txt"):
        one, two = (
            (tmp_path / each / name).read_bytes() for each in ("one", "two")
        )
        assert one == two
    values = json.loads((tmp_path / "one" / "report.json").read_text())
    assert values["totals"] == {"pages read": 9}
    assert values["kept"] == [
        {"language": "de", "texts": 1, "characters": 9},
        {"language": "sw", "texts": 2, "characters": 11},
    ]
    assert values["dropped"][0] == {
        "language": "de",
        "step": "length",
        "reason": "too short",
        "texts": 3,
        "characters": 6,
    }
    # Kept 3 of 8 texts: 37.5 %.
    assert texts[0] == (
        "made up\n\n"
        "pages read: 9\n\n"
        "language  kept  characters  dropped  kept, %\n"
        "de           1           9        3     25.0\n"
        "sw           2          11        2     50.0\n"
        "all          3          20        5     37.5\n\n"
        "step    reason     dropped  characters  of dropped, %\n"
        "length  too short        5           8          100.0\n"
    )


def test_the_short_form_has_the_largest_languages(tmp_path):
    counts = Counts()
    for number in range(30):
        for _ in range(number + 1):
            counts.keep(f"x{number:02d}", "text")
    short = write_report(tmp_path, "made up", counts)
    # 1 + ... + 10 texts are of the ten smallest, 465 of all.
    assert "10 others    55" in short
    assert "x09" not in short
    assert "x09" in (tmp_path / "report.txt").read_text()
    assert "Nothing was dropped." in short
