"""Planted vectors with known answers, and thresholds against a peer."""

import itertools
import json
import math

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation.tasks import bucc, bucc_files


def _unit(cosine: float, first: int, other: int) -> np.ndarray:
    """A vector of that cosine with axis `first`."""
    vector = np.zeros(10, np.float32)
    vector[first] = cosine
    vector[other] = math.sqrt(1 - cosine**2)
    return vector


# Cosines with the English of axes 0 to 3, each on its axis alone:
#   Hund 0.9 with dog, Katze 0.8 with cat, Vogel 0.6 with bird,
#   Zug 0.7 with bird though it has no translation, Rest 0.3 with fish.
_VECTORS = {
    "dog": _unit(1, 0, 9),
    "cat": _unit(1, 1, 9),
    "bird": _unit(1, 2, 9),
    "fish": _unit(1, 3, 9),
    "Hund": _unit(0.9, 0, 4),
    "Katze": _unit(0.8, 1, 5),
    "Vogel": _unit(0.6, 2, 6),
    "Zug": _unit(0.7, 2, 7),
    "Rest": _unit(0.3, 3, 8),
}
_GERMAN = ["Hund", "Katze", "Vogel", "Zug", "Rest"]
_ENGLISH = ["dog", "cat", "bird", "fish"]
_GOLD = [("Hund", "dog"), ("Katze", "cat"), ("Vogel", "bird")]


def _encoder(vectors):
    return lambda texts: np.stack([vectors[text] for text in texts])


_encode = _encoder(_VECTORS)


def _write(folder, sources=_GERMAN, targets=_ENGLISH, gold=_GOLD, **names):
    """Writes a set; the id of a text is its language and first line."""
    pair, split = names.get("pair", "de-en"), names.get("split", "training")
    sides = dict(zip(pair.split("-"), (sources, targets), strict=True))
    folder.mkdir(exist_ok=True)
    for language, texts in sides.items():
        lines = [
            f"{language}-{line:09}\t{text}\n"
            for line, text in enumerate(texts, start=1)
        ]
        path = folder / f"{pair}.{split}.{language}"
        path.write_bytes("".join(lines).encode())
    source_language, target_language = sides
    lines = [
        f"{source_language}-{sources.index(source) + 1:09}\t"
        f"{target_language}-{targets.index(target) + 1:09}\n"
        for source, target in gold
    ]
    (folder / f"{pair}.{split}.gold").write_text("".join(lines))
    return folder


@pytest.fixture
def folder(tmp_path):
    _write(tmp_path)
    (tmp_path / "README.txt").write_text("no data")
    return tmp_path


def _values(row):
    return {name: figure.value for name, figure in row.figures.items()}


def test_worked_by_hand(folder):
    result = bucc.evaluate(_encode, folder)
    (row,) = result.rows
    assert (row.name, row.num_items) == ("de-en", 3)
    # Forward, best first: Hund 0.9 right, Katze 0.8 right, Zug 0.7 wrong,
    # Vogel 0.6 right, Rest 0.3 wrong. F1: 2/4, 4/5, 4/6, 6/7, 6/8.
    # Backward: dog 0.9 right, cat 0.8 right, bird 0.7 with Zug wrong, fish
    # 0.3 wrong. F1: 2/4, 4/5, 4/6, 4/7.
    values = _values(row)
    assert values["forward_cosine_precision"] == 3 / 4
    assert values["forward_cosine_recall"] == 1
    assert values["forward_cosine_f1"] == pytest.approx(6 / 7)
    assert values["backward_cosine_precision"] == 1
    assert values["backward_cosine_recall"] == pytest.approx(2 / 3)
    assert values["backward_cosine_f1"] == pytest.approx(4 / 5)
    assert result.main == "forward_cosine_f1" and result.main in values
    assert len(values) == 9
    details = row.details
    assert details["thresholds"]["forward_cosine"] == pytest.approx(0.6)
    assert details["thresholds"]["backward_cosine"] == pytest.approx(0.8)
    assert details["num_mined"]["forward_cosine"] == 4
    # One-to-one by cosine drops Vogel, whose bird Zug has taken.
    others = details["f1_of_other_minings"]
    assert others["cosine_max"] == pytest.approx(4 / 5)
    assert others["cosine_intersection"] == pytest.approx(4 / 5)
    assert set(others) == {
        "cosine_intersection",
        "cosine_max",
        "forward_margin",
        "backward_margin",
        "margin_intersection",
    }
    json.dumps(result.metrics())


def test_the_margin_tells_a_sentence_that_is_near_everything(tmp_path):
    # "Nabe" is nearer to each target than its translation is.
    near = np.full(10, 0.0, np.float32)
    near[:4] = 0.5
    vectors = {f"t{axis}": _unit(1, axis, 9) for axis in range(4)}
    vectors |= {f"s{axis}": _unit(0.45, axis, axis + 4) for axis in range(4)}
    vectors["Nabe"] = near
    sources = ["Nabe", "s0", "s1", "s2", "s3"]
    targets = [f"t{axis}" for axis in range(4)]
    gold = [(f"s{axis}", f"t{axis}") for axis in range(4)]
    _write(tmp_path, sources, targets, gold)
    result = bucc.evaluate(_encoder(vectors), tmp_path)
    values = _values(result.rows[0])
    assert values["backward_cosine_f1"] == 0
    assert values["margin_max_f1"] == 1


def test_nothing_right(tmp_path):
    _write(tmp_path, ["Zug", "Vogel"], ["dog", "bird"], [("Vogel", "dog")])
    row = bucc.evaluate(_encode, tmp_path).rows[0]
    for figure in row.figures.values():
        assert (figure.value, figure.low, figure.high) == (0, 0, 0)


def test_one_sentence(tmp_path):
    _write(tmp_path, ["Hund"], ["dog"], [("Hund", "dog")])
    result = bucc.evaluate(_encode, tmp_path)
    assert set(_values(result.rows[0]).values()) == {1.0}
    assert not result.mistakes
    assert result.curves[0].lines["f1"] == [(pytest.approx(0.9), 1.0)]


def test_mistakes(folder):
    wrong, *missed = bucc.evaluate(_encode, folder).mistakes
    assert (wrong.row, wrong.query, wrong.found) == ("de-en", "Zug", "bird")
    assert wrong.score == pytest.approx(0.7)
    assert wrong.expected == bucc.NO_TRANSLATION
    assert math.isnan(wrong.expected_score)
    assert not missed


def test_mistakes_of_missed_pairs(tmp_path):
    encode = _encoder({**_VECTORS, "Vieh": _unit(0.95, 3, 5)})
    gold = [("Hund", "dog"), ("Zug", "cat")]
    _write(tmp_path, ["Hund", "Zug", "Vieh", "Vogel"], _ENGLISH, gold)
    # Vieh 0.95 wrong, Hund 0.9 right, Zug 0.7 wrong: F1 0/3, 2/4, 2/5.
    wrong, missed = bucc.evaluate(encode, tmp_path).mistakes
    assert (wrong.query, wrong.found) == ("Vieh", "fish")
    assert (missed.query, missed.expected) == ("Zug", "cat")
    assert missed.found == "(nothing: the threshold is 0.900)"
    assert missed.score == pytest.approx(0.7)
    assert missed.expected_score == pytest.approx(0)


def test_a_wrong_pair_is_not_told_twice(tmp_path):
    gold = [("Hund", "dog"), ("Zug", "cat"), ("Vogel", "bird")]
    _write(tmp_path, ["Hund", "Zug", "Vogel"], _ENGLISH, gold)
    # Hund 0.9 right, Zug 0.7 wrong, Vogel 0.6 right: F1 2/4, 2/5, 4/6.
    (mistake,) = bucc.evaluate(_encode, tmp_path).mistakes
    assert (mistake.query, mistake.found) == ("Zug", "bird")
    assert (mistake.expected, mistake.expected_score) == ("cat", 0)


def test_another_translation_found_is_no_mistake(tmp_path):
    gold = [("Hund", "dog"), ("Hund", "cat")]
    _write(tmp_path, ["Hund"], ["dog", "cat"], gold)
    result = bucc.evaluate(_encode, tmp_path)
    assert _values(result.rows[0])["forward_cosine_recall"] == 0.5
    assert not result.mistakes


def test_curve(folder):
    (curve,) = bucc.evaluate(_encode, folder).curves
    assert set(curve.lines) == {"precision", "recall", "f1"}
    for line in curve.lines.values():
        thresholds = [threshold for threshold, _ in line]
        assert thresholds == sorted(thresholds)
        assert 100 <= len(line) <= 101
    at = {
        name: dict((round(x, 6), y) for x, y in line)
        for name, line in curve.lines.items()
    }
    assert (at["precision"][0.3], at["recall"][0.3]) == (3 / 5, 1)
    assert at["f1"][0.6] == max(at["f1"].values()) == pytest.approx(6 / 7)
    assert (at["precision"][0.9], at["recall"][0.9]) == (1, 1 / 3)


def test_copies_of_a_text_are_one_candidate(tmp_path):
    # Ids would have it that the second "dog" is the right one.
    _write(
        tmp_path,
        ["Hund", "Katze"],
        ["dog", "dog ", "cat"],
        [("Hund", "dog "), ("Katze", "cat")],
    )
    path = tmp_path / "de-en.training.en"
    path.write_bytes(path.read_bytes().replace(b"dog ", b"dog"))
    # The copy is a gold pair of the same texts: one pair, not two.
    gold = tmp_path / "de-en.training.gold"
    gold.write_text(gold.read_text() + "de-000000001\ten-000000001\n")
    row = bucc.evaluate(_encode, tmp_path).rows[0]
    assert row.num_items == 2
    assert row.details["num_target_texts"] == 2
    assert set(_values(row).values()) == {1.0}


def test_each_text_is_encoded_once_after_all_is_read(tmp_path):
    encoded = []

    def encode(texts):
        encoded.append(texts)
        return _encode(texts)

    _write(tmp_path)
    _write(tmp_path, ["Hund"], ["dog"], [("Hund", "dog")], pair="fr-en")
    bucc.evaluate(encode, tmp_path)
    (texts,) = encoded
    assert sorted(texts) == sorted(_GERMAN + _ENGLISH)
    # The last file read is broken.
    (tmp_path / "fr-en.training.gold").write_text("\n")
    with pytest.raises(InputError, match="fr-en.training.gold:1"):
        bucc.evaluate(encode, tmp_path)
    assert len(encoded) == 1


def test_pairs_and_splits_in_folders(tmp_path):
    # As the task's archives unpack; its test set comes without gold.
    _write(tmp_path / "de-en")
    _write(tmp_path / "de-en", split="sample")
    _write(tmp_path / "fr-en", pair="fr-en")
    _write(tmp_path / "fr-en", pair="fr-en", split="test")
    (tmp_path / "fr-en" / "fr-en.test.gold").unlink()
    result = bucc.evaluate(_encode, tmp_path)
    assert [row.name for row in result.rows] == [
        "de-en sample",
        "de-en training",
        "fr-en training",
    ]
    assert result.groups == {
        "sample": ["de-en sample"],
        "training": ["de-en training", "fr-en training"],
    }
    forward, _ = result.published
    rows = [column.row for column in forward.columns]
    assert "de-en training" in rows and "zh-en" in rows
    assert "Not evaluated for lack of gold: fr-en.test." in result.explanation
    assert set(result.averages()) == {"sample", "training", "all"}
    result = bucc.evaluate(_encode, tmp_path, ["fr"])
    assert [row.name for row in result.rows] == ["fr-en"]
    assert result.groups == {}
    with pytest.raises(InputError, match="ja. There are: de, fr."):
        bucc.evaluate(_encode, tmp_path, ["ja"])
    _write(tmp_path)
    with pytest.raises(InputError, match="in one folder. .*de-en.training.gol"):
        bucc.evaluate(_encode, tmp_path)


def test_embeddings_that_are_no_numbers(folder):
    def encode(texts):
        vectors = _encode(texts)
        vectors[texts.index("Katze")] = np.nan
        return vectors

    with pytest.raises(InputError, match="not finite"):
        bucc.evaluate(encode, folder)


def test_real_files_with_planted_vectors(data_set):
    folder = data_set("bucc_made")
    data = bucc_files.read_set(folder / "zh-en.made.gold")
    # Half of the gold pairs share a vector that no other text has.
    generator = np.random.default_rng(0)
    vectors = {
        text: generator.normal(size=24).astype(np.float32)
        for text in itertools.chain(data.sources, data.targets)
    }
    for source, target in data.gold[::2]:
        vectors[data.sources[source]] = vectors[data.targets[target]]
    result = bucc.evaluate(_encoder(vectors), folder, ["zh"])
    values = _values(result.rows[0])
    for mining in ("forward_cosine", "backward_cosine", "margin_max"):
        assert values[f"{mining}_precision"] == 1
        assert values[f"{mining}_recall"] == 215 / 430
