"""Correlations against scipy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from labse.errors import InputError
from labse.evaluation import published, statistics
from labse.evaluation.tasks import sts, sts_files


def _line(score, first, second, more=""):
    return f"main-news\tMSRpar\t2012\t0001\t{score}\t{first}\t{second}{more}\n"


def _write(path, pairs):
    path.write_text("".join(_line(*pair) for pair in pairs), "utf-8")
    return path


def _encode(texts):
    """A text is an angle in degrees, the direction of its vector."""
    radians = np.radians([float(text) for text in texts])
    return np.stack([np.cos(radians), np.sin(radians)], 1).astype(np.float32)


def _random_pairs(size, seed=0):
    """Scores with many ties and angles that have to do with them."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 11, size) / 2
    angles = np.round(
        np.clip(150 - 20 * scores + generator.normal(0, 40, size), 0, 180)
    )
    return scores, angles


def test_angles_as_people_see_them(tmp_path):
    # Angles 180, 90 and 0 degrees: arccos similarity 0, 1/2, 1 is a line over
    # the scores. Cosines -1, 0, 1 are too; with 60 degrees they are not.
    path = _write(
        tmp_path / "sts-dev.csv",
        [("0", "0", "180"), ("2.5", "10", "100"), ("5.000", "7", "7")],
    )
    (row,) = sts.evaluate(_encode, path).rows
    assert {name: figure.value for name, figure in row.figures.items()} == {
        "pearson_arccos": pytest.approx(1),
        "pearson_cosine": pytest.approx(1),
        "spearman_cosine": pytest.approx(1),
    }
    assert (row.name, row.num_items) == ("dev", 3)
    _write(path, [("0", "0", "180"), ("1", "0", "60"), ("2", "3", "3")])
    figures = sts.evaluate(_encode, path).rows[0].figures
    # By hand: deviations (-1, 0, 1) and similarities (0, 2/3, 1), mean 5/9:
    # 1 / sqrt(2 * ((5/9)**2 + (1/9)**2 + (4/9)**2)) = 1 / sqrt(84 / 81).
    assert figures["pearson_arccos"].value == pytest.approx(9 / math.sqrt(84))
    # Cosines (-1, 1/2, 1), mean 1/6: 2 / sqrt(2 * (49 + 4 + 25) / 36).
    assert figures["pearson_cosine"].value == pytest.approx(
        2 / math.sqrt(13 / 3)
    )
    assert figures["spearman_cosine"].value == pytest.approx(1)


def test_against_scipy(tmp_path):
    scores, angles = _random_pairs(300)
    path = _write(
        tmp_path / "sts-x.csv",
        [
            (score, "0", angle)
            for score, angle in zip(scores, angles, strict=True)
        ],
    )
    figures = sts.evaluate(_encode, path).rows[0].figures
    cosines = np.cos(np.radians(angles))
    for name, expected in {
        "pearson_arccos": stats.pearsonr(scores, 1 - angles / 180),
        "pearson_cosine": stats.pearsonr(scores, cosines),
        "spearman_cosine": stats.spearmanr(scores, cosines),
    }.items():
        assert figures[name].value == pytest.approx(expected.statistic)
        assert figures[name].low < figures[name].value < figures[name].high
    interval = stats.pearsonr(scores, cosines).confidence_interval()
    assert figures["pearson_cosine"].low == pytest.approx(
        interval.low, abs=0.05
    )


def test_every_draw_is_scipys(tmp_path):
    scores, angles = _random_pairs(40)
    path = _write(
        tmp_path / "sts-x.csv",
        [
            (score, "0", angle)
            for score, angle in zip(scores, angles, strict=True)
        ],
    )
    figures = sts.evaluate(_encode, path).rows[0].figures
    # Angles themselves: ranks need neither cosine nor its rounding.
    slow = statistics.resampled(
        lambda rows: stats.spearmanr(scores[rows], -angles[rows]).statistic, 40
    )
    found = figures["spearman_cosine"]
    np.testing.assert_allclose(found.draws, slow.draws, atol=1e-9)
    assert found.low == pytest.approx(slow.low)


def test_two_pairs_have_an_interval(tmp_path):
    path = _write(tmp_path / "x.csv", [("0", "0", "90"), ("5", "0", "10")])
    figure = sts.evaluate(_encode, path).rows[0].figures["pearson_arccos"]
    assert figure.value == pytest.approx(1)
    # Half of the draws hold one pair twice: no relation.
    assert (figure.low, figure.high) == (0, pytest.approx(1))
    assert np.mean(figure.draws == 0) == pytest.approx(0.5, abs=0.05)


def test_a_draw_of_equal_values_is_no_relation():
    # The mean of ten times 0.1 is not 0.1.
    same = np.full(10, 0.1)
    assert sts.correlation(same, np.arange(10.0)) == 0
    assert sts.correlation(np.arange(10.0), same) == 0


@pytest.mark.parametrize("angle", [1e-9, 1e-4, 1.0, math.pi - 1e-9])
def test_small_and_large_angles(angle):
    first = np.array([[3.0, 0.0]])
    second = 1e-3 * np.array([[math.cos(angle), math.sin(angle)]])
    found = sts.angles_between(first, second)
    assert found[0] == pytest.approx(angle, rel=1e-6)


def test_equal_and_opposite_vectors_of_any_length():
    vectors = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    assert np.all(sts.angles_between(vectors, vectors) == 0)
    np.testing.assert_allclose(sts.angles_between(vectors, -vectors), np.pi)
    # 4 * v has v's mantissas: the same direction to the last bit.
    assert np.all(sts.angles_between(vectors, 4 * vectors) == 0)
    similarities = sts.arccos_similarity(sts.angles_between(vectors, -vectors))
    np.testing.assert_allclose(similarities, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("splits", "counted"),
    [
        (["train", "dev", "test"], ["test"]),
        (["train", "dev"], ["dev"]),
        (["train", "de"], ["de", "train"]),
    ],
)
def test_a_folder_has_a_main_file(tmp_path, splits, counted):
    for split in splits:
        _write(
            tmp_path / f"sts-{split}.csv", [("0", "0", "9"), ("5", "1", "2")]
        )
    (tmp_path / "README.txt").write_text("not a test file")
    result = sts.evaluate(_encode, tmp_path)
    assert result.published == [published.STS]
    rows = result.rows
    assert [row.name for row in rows] == sorted(splits)
    assert [row.name for row in rows if row.counted] == counted


def test_all_files_are_encoded_once(tmp_path):
    encoded = []

    def encode(texts):
        encoded.append(texts)
        return _encode(texts)

    for split in ("dev", "test"):
        _write(
            tmp_path / f"sts-{split}.csv", [("0", "0", "9"), ("5", "0", "2")]
        )
    sts.evaluate(encode, tmp_path)
    assert encoded == [["0", "9", "2"]]


def test_mistakes_are_farthest_from_the_line(tmp_path):
    # Ten pairs on a line, and one people find alike and the model does not.
    pairs = [(f"{score / 2}", "0", f"{90 - 9 * score}") for score in range(10)]
    path = _write(tmp_path / "sts-dev.csv", [*pairs, ("5", "0", "170")])
    first = sts.evaluate(_encode, path).mistakes[0]
    assert (first.row, first.query, first.found) == ("dev", "0", "170")
    assert first.score == pytest.approx(1 - 170 / 180)
    assert first.expected == "rated 5 of 5"
    assert 0.5 < first.expected_score < 1


@pytest.mark.parametrize("noise", [0, 1e-8])
def test_a_model_that_gives_one_vector(tmp_path, noise):
    pairs = [(score, f"a{score}", f"b{score}") for score in range(6)]
    path = _write(tmp_path / "sts-dev.csv", pairs)
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"sts-dev\.csv: .* one vector"):
        sts.evaluate(
            lambda texts: 1 + noise * generator.normal(size=(len(texts), 4)),
            path,
        )


def test_nan_is_told(tmp_path):
    path = _write(tmp_path / "x.csv", [("0", "0", "9"), ("5", "1", "2")])
    with pytest.raises(InputError, match="not finite"):
        sts.evaluate(lambda texts: np.full([len(texts), 2], np.nan), path)


def test_the_real_benchmark(data_set):
    folder = data_set("stsbenchmark")
    assert {
        path.name: len(sts_files.read_pairs(path))
        for path in sts_files.find_files(folder)
    } == {"sts-dev.csv": 1500, "sts-train.csv": 5749}
    # The first line of the file, which ends in a carriage return.
    assert sts_files.read_pairs(folder / "sts-dev.csv")[
        0
    ] == sts_files.ScoredPair(
        "A man with a hard hat is dancing.",
        "A man wearing a hard hat is dancing.",
        5.0,
    )
