import tracemalloc
import zlib

import numpy as np
import pytest

from labse.errors import InputError
from labse.evaluation import pool_search, published
from labse.evaluation.tasks import n_way

# The second French line is near both English ones: e1 is nearer to it (0.7)
# than to its own translation (0.6).
_VECTORS = {
    **{"dog": [1, 0, 0], "cat": [0, 1, 0]},
    **{"chien": [0.6, 0, 0.8], "chat": [0.7, 0.71, 0.0059**0.5]},
    **{"Hund": [1, 0, 0], "Katze": [0, 1, 0]},
}


def _encode(texts):
    return np.array([_VECTORS[text] for text in texts], np.float32)


def _write(folder, **files):
    for language, text in files.items():
        (folder / f"test.{language}").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    _write(tmp_path, en="dog\ncat\n", fr="chien\nchat\n", de="Hund\nKatze\n")
    return tmp_path


def _values(row):
    return {name: figure.value for name, figure in row.figures.items()}


def _row(result, name):
    [row] = [row for row in result.rows if row.name == name]
    return row


def test_planted_answers(folder):
    result = n_way.evaluate(_encode, folder)
    assert [row.name for row in result.rows] == [
        *["de-en", "de-fr", "en-de", "en-fr", "fr-de", "fr-en"]
    ]
    # Means of the neighbourhoods (k = 2, all there are): dog 0.65, cat 0.355,
    # chien 0.3, chat 0.705. Margins of dog: with chien 0.6 / 0.475 = 1.26,
    # with chat 0.7 / 0.6775 = 1.03. So xSIM finds what the cosine does not.
    assert _values(_row(result, "en-fr")) == {
        "accuracy": 0.5,
        "xsim_error": 0.0,
        "text_aware_accuracy": 0.5,
    }
    assert _values(_row(result, "fr-en")) == {
        "accuracy": 1.0,
        "xsim_error": 0.0,
        "text_aware_accuracy": 1.0,
    }
    [mistake] = [each for each in result.mistakes if each.row == "en-fr"]
    assert (mistake.query, mistake.found, mistake.expected) == (
        *("dog", "chat", "chien"),
    )
    assert mistake.score == pytest.approx(0.7)
    assert mistake.expected_score == pytest.approx(0.6)
    assert result.main == "accuracy"
    assert result.groups == {
        "into en": ["de-en", "fr-en"],
        "from en": ["en-de", "en-fr"],
    }
    assert result.averages()["from en"]["accuracy"].value == 0.75
    # A curve for each pair with English, a line for each direction.
    german, french = result.curves
    assert german.title == "Accuracy of de and en"
    assert french.lines == {"en-fr": [(2, 0.5)], "fr-en": [(2, 1.0)]}
    assert {each.query for each in result.neighbours} <= {"dog", "cat"}


def test_the_margin_is_a_ratio(tmp_path):
    # Cosines of "one": "un" 0.3, "deux" 0.8; of "two": -0.5 and 0.9. Means of
    # the neighbourhoods: one 0.55, un -0.1, deux 0.85. Ratios of "one":
    # 0.3 / 0.225 = 1.33 and 0.8 / 0.7 = 1.14. Differences would be the other
    # way around: 0.075 and 0.1.
    vectors = {
        **{"one": [1, 0, 0], "two": [0.48, 0.86, 0.173]},
        **{"un": [0.3, -0.84, 0.453], "deux": [0.8, 0.6, 0]},
    }
    _write(tmp_path, en="one\ntwo", fr="un\ndeux")
    result = n_way.evaluate(
        lambda texts: np.array([vectors[text] for text in texts]), tmp_path
    )
    figures = _row(result, "en-fr").figures
    assert figures["accuracy"].outcomes.tolist() == [0, 1]
    assert figures["xsim_error"].outcomes.tolist() == [0, 0]


def test_each_text_is_encoded_once_and_all_in_one_call(folder):
    _write(folder, de="cat\ncat\n")
    calls = []

    def encode(texts):
        calls.append(texts)
        return _encode(texts)

    n_way.evaluate(encode, folder)
    assert [sorted(texts) for texts in calls] == [
        ["cat", "chat", "chien", "dog"]
    ]


def test_pivot_and_languages(folder):
    def names(**kwargs):
        result = n_way.evaluate(_encode, folder, **kwargs)
        return [row.name for row in result.rows], list(result.groups)

    assert names(pivot="fr") == (
        ["de-fr", "en-fr", "fr-de", "fr-en"],
        ["into fr", "from fr"],
    )
    assert names(languages=["de"], pivot="fr")[0] == ["de-fr", "fr-de"]
    # Without English and a pivot no pairs are special.
    assert names(languages=["de", "fr"]) == (["de-fr", "fr-de"], [])
    with pytest.raises(InputError, match="pivot .* it. There are: de, en"):
        names(pivot="it")
    with pytest.raises(InputError, match="Received: it. There are: de, en"):
        names(languages=["de", "it"])
    with pytest.raises(InputError, match="at least two. Received: de of"):
        names(languages=["de"])


def test_lines_of_the_same_text(tmp_path):
    # Line 2 finds line 1, which holds the same text; that line 3 finds line 1
    # is wrong however one counts.
    _write(tmp_path, en="dog\ndog\ndog\n", de="Hund\nHund\nKatze\n")
    german = _row(n_way.evaluate(_encode, tmp_path), "en-de")
    assert german.figures["accuracy"].outcomes.tolist() == [1, 0, 0]
    # The third "dog" is translated as "Hund" too, in the lines above.
    assert _values(german)["text_aware_accuracy"] == 1.0
    back = _row(n_way.evaluate(_encode, tmp_path), "de-en")
    assert back.figures["text_aware_accuracy"].outcomes.tolist() == [1, 1, 1]


def test_one_line(tmp_path):
    _write(tmp_path, en="dog", de="Hund\r\n")
    result = n_way.evaluate(_encode, tmp_path)
    assert _values(result.rows[0]) == {
        "accuracy": 1.0,
        "xsim_error": 0.0,
        "text_aware_accuracy": 1.0,
    }
    assert result.curves[0].lines["en-de"] == [(1, 1.0)]


def test_bad_files(folder):
    _write(folder, fr="chien\n")
    with pytest.raises(
        InputError, match=r"test\.de has 2 lines and .*test\.fr has 1\."
    ):
        n_way.evaluate(_encode, folder)
    _write(folder, fr="")
    with pytest.raises(InputError, match=r"test\.fr is empty"):
        n_way.evaluate(_encode, folder)


def test_files_are_read_before_the_encoder_is_asked(folder):
    def encode(texts):
        raise AssertionError("The encoder was called.")

    _write(folder, fr="chien\n\n")
    with pytest.raises(InputError, match=r"test\.fr:2: .* empty line"):
        n_way.evaluate(encode, folder)
    with pytest.raises(InputError, match="pool.en: there is no such file"):
        n_way.evaluate(
            encode, folder, ["de", "en"], pools={"en": folder / "pool.en"}
        )
    with pytest.raises(InputError, match="pools must name languages .* it"):
        n_way.evaluate(encode, folder, pools={"it": folder / "test.de"})


def test_nan_is_told(folder):
    def encode(texts):
        vectors = _encode(texts)
        vectors[2] = np.nan
        return vectors

    with pytest.raises(InputError, match="not finite"):
        n_way.evaluate(encode, folder)


def _slow_figures(sources, targets, others_of_target=(), others_of_source=()):
    """Accuracy and xSIM by whole matrices and plain loops."""
    sources_all = np.array([*sources, *others_of_source])
    targets_all = np.array([*targets, *others_of_target])
    cosines = sources_all @ targets_all.T
    accuracy, errors = 0, 0
    for row, cosine in enumerate(cosines[: len(sources)]):
        near = sorted(range(len(cosine)), key=lambda at: -cosine[at])[:4]
        accuracy += near[0] == row
        margins = []
        for column in near:
            mean = np.sort(cosine)[-4:].mean()
            mean_back = np.sort(cosines[:, column])[-4:].mean()
            margins.append(cosine[column] / ((mean + mean_back) / 2))
        errors += near[int(np.argmax(margins))] != row
    return accuracy / len(sources), errors / len(sources)


@pytest.mark.parametrize("block", [7, 1000])
def test_against_a_slow_form_with_pools(tmp_path, monkeypatch, block):
    for name in ("BLOCK", "SCORE_ROWS", "SCORE_COLUMNS"):
        monkeypatch.setattr(pool_search, name, block)
    generator = np.random.default_rng(0)
    count, extra = 60, 30
    meanings = generator.normal(size=[count, 6]) + [2, 1, 0, 0, 0, 0]
    vectors = {}
    for language in ("de", "en"):
        noise = generator.normal(0, 0.6, size=[count, 6])
        others = generator.normal(size=[extra, 6]) + [2, 1, 0, 0, 0, 0]
        for number, vector in enumerate([*(meanings + noise), *others]):
            # Lengths differ, which must not matter.
            vectors[f"{language}{number}"] = vector
        names = [f"{language}{number}" for number in range(count + extra)]
        _write(tmp_path, **{language: "\n".join(names[:count])})
        # A pool's line counts once, and not at all if the file holds it.
        pool = [names[0], *names[count:], *names[count:]]
        (tmp_path / f"pool.{language}").write_text("\n".join(pool))

    def encode(texts):
        return np.array([vectors[text] for text in texts])

    unit = {
        name: vector / np.linalg.norm(vector)
        for name, vector in vectors.items()
    }
    german, english, more_german, more_english = (
        [unit[f"{language}{number}"] for number in numbers]
        for numbers in (range(count), range(count, count + extra))
        for language in ("de", "en")
    )
    (tmp_path / "set").mkdir()
    for name in ("test.de", "test.en"):
        (tmp_path / name).rename(tmp_path / "set" / name)
    pool = {name: tmp_path / f"pool.{name}" for name in ("de", "en")}
    seen = set()
    for pools, arguments in [
        ({}, ((), ())),
        ({"en": pool["en"]}, (more_english, ())),
        (pool, (more_english, more_german)),
    ]:
        result = n_way.evaluate(encode, tmp_path / "set", pools=pools)
        there = _values(_row(result, "de-en"))
        back = _values(_row(result, "en-de"))
        assert (there["accuracy"], there["xsim_error"]) == _slow_figures(
            german, english, *arguments
        )
        assert (back["accuracy"], back["xsim_error"]) == _slow_figures(
            english, german, *arguments[::-1]
        )
        num_candidates = count + extra * ("en" in pools)
        details = _row(result, "de-en").details
        assert details["num_candidates"] == num_candidates
        [curve] = result.curves
        sizes = [size for size, _ in curve.lines["de-en"]]
        assert sizes == [10, 30, num_candidates]
        assert curve.lines["de-en"][-1][1] == there["accuracy"]
        seen.add((*there.values(), *back.values()))
    assert len(seen) == 3  # Pools of either side change what is found.


def test_memory_does_not_grow_with_the_square(tmp_path, monkeypatch):
    for name in ("BLOCK", "SCORE_ROWS", "SCORE_COLUMNS"):
        monkeypatch.setattr(pool_search, name, 256)
    monkeypatch.setattr(n_way.retrieval, "QUERY_BLOCK", 256, raising=False)
    monkeypatch.setattr(n_way.retrieval, "CANDIDATE_BLOCK", 256, raising=False)
    count = 3000
    for language in ("de", "en"):
        names = (f"{language}{number}" for number in range(count))
        _write(tmp_path, **{language: "\n".join(names)})
    generator = np.random.default_rng(0)

    def encode(texts):
        return generator.normal(size=[len(texts), 4]).astype(np.float32)

    tracemalloc.start()
    n_way.evaluate(encode, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Half of float32 [count, count].
    assert peak < count * count * 4 / 2


def test_published_rows_are_shown_for_the_un_languages_only(tmp_path):
    _write(tmp_path, **dict.fromkeys(("en", "es", "fr", "ru"), "dog\ncat\n"))
    assert not n_way.evaluate(_encode, tmp_path).published
    _write(tmp_path, ar="dog\ncat\n", zh="chien\nchat\n")
    result = n_way.evaluate(_encode, tmp_path)
    assert result.published == [published.UN]
    # Three of the four languages hold the same words: (3 * 1 + 0.5) / 4.
    pairs = ["en-es", "en-fr", "en-ru", "en-zh"]
    assert result.groups["en to es, fr, ru, zh"] == pairs
    averages = result.averages()["en to es, fr, ru, zh"]
    assert averages["accuracy"].value == 0.875
    # A mean of some of them would not be the paper's.
    some = n_way.evaluate(_encode, tmp_path, ["fr"], pivot="en")
    assert some.published and list(some.groups) == ["into en", "from en"]


def _letters(texts):
    """float32 [n, 64]: how often each letter occurs, by its checksum."""
    vectors = np.full([len(texts), 64], 1e-3, np.float32)
    for row, text in enumerate(texts):
        for letter in text.lower():
            vectors[row, zlib.crc32(letter.encode()) % 64] += 1
    return vectors


def test_the_real_un_set(data_set):
    folder = data_set("un_v1_devset")
    result = n_way.evaluate(_letters, folder, ["fr"], pivot="en")
    assert [(row.name, row.num_items) for row in result.rows] == [
        ("en-fr", 4000),
        ("fr-en", 4000),
    ]
    [curve] = result.curves
    for row in result.rows:
        sizes, accuracies = zip(*curve.lines[row.name], strict=True)
        assert sizes == (10, 30, 100, 300, 1000, 3000, 4000)
        assert sorted(accuracies, reverse=True) == list(accuracies)
        assert _values(row)["accuracy"] == accuracies[-1]
        # Letters say a little of what a text is about; chance is 1 in 4,000.
        assert 0.02 < accuracies[-1] < accuracies[0]
