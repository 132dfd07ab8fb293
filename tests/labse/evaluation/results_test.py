import dataclasses
import json

import pytest

from labse.evaluation import results, statistics


def _row(name, there, back, items=4, counted=True):
    """A row of `items` items, so many of them right."""
    return results.Row(
        name,
        {
            "target_to_source": statistics.mean(
                [1.0] * there + [0.0] * (items - there)
            ),
            "source_to_target": statistics.mean(
                [1.0] * back + [0.0] * (items - back)
            ),
        },
        items,
        counted,
    )


@pytest.fixture
def result():
    rows = [
        _row("de", 2, 1),
        _row("fr", 4, 3),
        _row("yi", 0, 0, items=1, counted=False),
    ]
    return results.TaskResult(
        "pairs",
        "What is measured.",
        rows,
        "target_to_source",
        groups={"big": ["de"]},
    )


def test_metrics_have_the_documented_schema(result, tmp_path):
    path = tmp_path / "metrics.json"
    better = dataclasses.replace(
        result, rows=[_row("de", 4, 4), *result.rows[1:]]
    )
    by_model = {"runs/mine": result, "runs/better": better}
    results.write_metrics(path, "heldout.tsv", by_model)
    metrics = json.loads(path.read_text(encoding="utf-8"))
    assert metrics["schema_version"] == 2
    assert (metrics["task"], metrics["data"]) == ("pairs", "heldout.tsv")
    mine, other = metrics["models"]
    assert mine["model"] == "runs/mine" and "p_values" not in mine
    # 2 items differ, both for the second: 2 * 1 / 2**2.
    assert other["p_values"] == {"de": 0.5, "fr": 1.0, "yi": 1.0}
    averages = mine["averages"]
    # (0.5 + 1.0) / 2, yi left out.
    assert averages["all"]["target_to_source"]["value"] == 0.75
    assert averages["all"]["num_rows"] == 2
    assert averages["big"]["source_to_target"]["value"] == 0.25
    german, _, yiddish = mine["rows"]
    assert german["name"] == "de" and german["num_items"] == 4
    assert german["counted"] and not yiddish["counted"]
    assert german["figures"]["target_to_source"]["low"] == 0.0
    assert german["figures"]["target_to_source"]["high"] == 1.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_every_name_of_the_schema_is_documented(result):
    by_model = {"m": result, "n": dataclasses.replace(result)}
    metrics = results.metrics("d", by_model)
    names = {*metrics, *metrics["models"][1], *metrics["models"][0]["rows"][0]}
    names |= {"num_rows", "value", "low", "high", "details"}
    undocumented = [name for name in names if name not in results.__doc__]
    assert not undocumented


def test_a_group_without_rows_is_left_out(result):
    result = dataclasses.replace(result, groups={"none": ["xx"]})
    assert list(result.averages()) == ["all"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(result, tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        results.write_metrics(path, "a lone surrogate \ud800", {"m": result})
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_summary(result):
    lines = results.summary(result).splitlines()
    assert lines[0] == "pairs, big: mean over 1"
    assert lines[3] == "pairs, all: mean over 2"
    assert lines[4].startswith("  target_to_source                75.0 (")
    assert lines[-2] == "  best target_to_source          fr 100.0, de 50.0"
    assert lines[-1] == "  worst target_to_source         fr 100.0, de 50.0"
