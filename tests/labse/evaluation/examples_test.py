import numpy as np
import pytest

from labse.evaluation import examples, results, retrieval


def test_mistakes_are_the_surest_wrong_matches():
    def match(score, found):
        return retrieval.Match("q", found, 0, score, "right", 0.1)

    matches = [match(0.2, "b"), match(0.9, "right"), match(0.8, "c")]
    found = examples.retrieval_mistakes("de", matches, most=1)
    assert found == [results.Mistake("de", "q", "c", 0.8, "right", 0.1)]


def test_neighbours_of_a_phrase():
    vectors = {
        **{"the red house": [1, 0], "ok": [0, 1]},
        **{"das rote Haus": [1, 0.1], "la maison rouge": [1, 0.2]},
        **{"oui": [1, 0.3], "gut": [0, 1]},
    }
    embeddings = retrieval.TextEmbeddings(
        lambda texts: np.array([vectors[text] for text in texts]), vectors
    )
    [example] = examples.neighbour_examples(
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
    [example] = examples.neighbour_examples(embeddings, [("ok", "gut", "de")])
    assert example.query == "ok"
    assert [found[0] for found in example.found] == ["gut"]
