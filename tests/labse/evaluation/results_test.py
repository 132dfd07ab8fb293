import json

import numpy as np
import pytest

from labse.evaluation import results, retrieval


def _match(is_right=True):
    found = "a" if is_right else "b"
    return retrieval.Match("q", found, 0, 0.5, "a", 0.5)


def _language(language, there, back, strings=2, counted=True):
    accuracies = {"target_to_source": there, "source_to_target": back}
    return results.LanguageResult(
        language, "en", accuracies, [_match()] * strings, counted
    )


@pytest.fixture
def result():
    languages = [
        _language("de", 0.5, 0.25, strings=40),
        _language("fr", 1.0, 0.75, strings=60),
        _language("yi", 0.0, 0.0, strings=3, counted=False),
    ]
    return results.TaskResult("pairs", "What was asked.", languages, [])


def test_metrics_have_the_documented_schema(result, tmp_path):
    path = tmp_path / "metrics.json"
    results.write_metrics(path, result.metrics("runs/mine", "heldout.tsv"))
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "schema_version": 1,
        "task": "pairs",
        "model": "runs/mine",
        "data": "heldout.tsv",
        "macro_average": {
            "target_to_source": 0.75,  # (0.5 + 1.0) / 2, yi left out
            "source_to_target": 0.5,
            "num_languages": 2,
        },
        "languages": [
            {
                "language": language,
                "source_language": "en",
                "num_strings": strings,
                "counted": counted,
                "target_to_source": there,
                "source_to_target": back,
            }
            for language, strings, counted, there, back in [
                ("de", 40, True, 0.5, 0.25),
                ("fr", 60, True, 1.0, 0.75),
                ("yi", 3, False, 0.0, 0.0),
            ]
        ],
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_every_name_of_the_schema_is_documented(result):
    metrics = result.metrics("m", "d")
    names = {*metrics, *metrics["macro_average"], *metrics["languages"][0]}
    undocumented = [name for name in names if name not in results.__doc__]
    assert not undocumented


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        results.write_text(path, "a lone surrogate \ud800")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_summary(result):
    assert results.summary(result).splitlines() == [
        "pairs: mean over 2 languages",
        "  target_to_source                75.0 %",
        "  source_to_target                50.0 %",
        "  best target_to_source          fr 100.0, de 50.0",
        "  worst target_to_source         fr 100.0, de 50.0",
    ]


def test_neighbours_of_a_phrase():
    vectors = {
        **{"the red house": [1, 0], "ok": [0, 1]},
        **{"das rote Haus": [1, 0.1], "la maison rouge": [1, 0.2]},
        **{"oui": [1, 0.3], "gut": [0, 1]},
    }
    embeddings = retrieval.TextEmbeddings(
        lambda texts: np.array([vectors[text] for text in texts]), vectors
    )
    [example] = results.find_neighbours(
        embeddings,
        [
            ("the red house", "das rote Haus", "de"),
            ("the red house", "la maison rouge", "fr"),
            ("ok", "oui", "fr"),
            ("ok", "gut", "de"),
        ],
    )
    assert example.query == "the red house"  # "ok" is no phrase
    assert [
        (text, language, right) for text, language, _, right in example.found
    ] == [
        ("das rote Haus", "de", True),
        ("la maison rouge", "fr", True),
        ("oui", "fr", False),
        ("gut", "de", False),
    ]
    # cos((1, 0), (1, 0.1)) = 1 / sqrt(1.01)
    assert example.found[0][2] == pytest.approx(1 / 1.01**0.5, abs=1e-6)


def test_neighbours_where_there_is_no_phrase():
    embeddings = retrieval.TextEmbeddings(
        lambda texts: np.ones([len(texts), 2]), ["ok", "gut"]
    )
    [example] = results.find_neighbours(embeddings, [("ok", "gut", "de")])
    assert example.query == "ok"
    assert [found[0] for found in example.found] == ["gut"]
