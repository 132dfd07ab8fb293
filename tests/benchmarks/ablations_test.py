"""The ablations: local negatives, verdicts, the order of work and the page."""

import pathlib
import re
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.schema import EncoderConfig, ExperimentConfig, TrainingConfig
from labse.modeling.dual_encoder import DualEncoder

ROOT = pathlib.Path(__file__).parents[2]


def random_batch(rows: int) -> dict:
    """A batch of pairs whose texts are all different."""
    random = np.random.default_rng(0)
    ids = random.permutation(np.arange(5, 5 + 8 * rows)).reshape(2, rows, 4)
    return {
        side: {
            "input_word_ids": tf.constant(ids[number], tf.int32),
            "input_mask": tf.ones([rows, 4], tf.int32),
            "input_type_ids": tf.zeros([rows, 4], tf.int32),
        }
        for number, side in enumerate(("source", "target"))
    }


def cut(batch: dict, rows: slice) -> dict:
    """Some rows of a batch."""
    return tf.nest.map_structure(lambda values: values[rows], batch)


def loss_and_gradients(model, batch):
    """As in training, without dropout."""
    with tf.GradientTape() as tape:
        loss = model.replica_loss(batch, training=False)
    gradients = tape.gradient(loss, model.trainable_variables)
    return loss, [tf.convert_to_tensor(each) for each in gradients]


def test_local_negatives_are_those_of_replicas_that_gather_nothing(ablations):
    config = ExperimentConfig(
        encoder=EncoderConfig(
            vocab_size=60,
            num_layers=0,
            num_heads=1,
            hidden_size=8,
            pooling="mean",
            initializer_range=0.5,
        ),
        training=TrainingConfig(num_steps=2, warmup_steps=0),
    )
    whole = DualEncoder.of_experiment(config)
    local = ablations("local_negatives").LocalNegatives.of_experiment(config)
    local.set_weights(whole.get_weights())
    local.parts = 2
    batch = random_batch(6)
    replicas = [
        loss_and_gradients(whole, cut(batch, rows))
        for rows in (slice(0, 3), slice(3, 6))
    ]

    loss, gradients = loss_and_gradients(local, batch)

    (one, of_one), (other, of_other) = replicas
    np.testing.assert_allclose(loss, (one + other) / 2, rtol=1e-6)
    for gradient, left, right in zip(gradients, of_one, of_other, strict=True):
        np.testing.assert_allclose(gradient, (left + right) / 2, atol=1e-6)
    assert abs(loss - loss_and_gradients(whole, batch)[0]) > 0.1
    local.parts = 1
    again = loss_and_gradients(local, batch)[0]
    np.testing.assert_allclose(
        again, loss_and_gradients(whole, batch)[0], rtol=1e-6
    )


def results_of(figure, **arms):
    """Results by arm, as the units write them."""
    return {
        name: [{figure: value} for value in seeds]
        for name, seeds in arms.items()
    }


@pytest.mark.parametrize(
    ("less", "difference", "word"),
    [
        # Both arms have variance 1, so the standard error of the difference
        # is sqrt(2 / 3) = 0.8165, and E = 2.7764 * 0.8165 = 2.267 (4 degrees).
        ([1, 2, 3], 2.0, "within the spread"),
        ([0, 1, 2], 3.0, "agrees"),
        ([7, 8, 9], -4.0, "does not agree"),
    ],
)
def test_a_claim_is_compared_with_the_spread(ablations, less, difference, word):
    experiments, verdicts = ablations("experiments"), ablations("verdicts")
    arms = ablations("arms")
    more, fewer = arms.Dual("more"), arms.Dual("fewer")
    claim = experiments.Claim("is better", "", "figure", more, fewer)
    results = results_of("figure", more=[3, 4, 5], fewer=less)

    found = verdicts.verdict(claim, results, seeds=3)

    assert found.difference == pytest.approx(difference)
    assert found.error == pytest.approx(2.267, abs=1e-3)
    assert found.word == word
    results["fewer"].pop()
    assert verdicts.verdict(claim, results, seeds=3) is None


def test_a_lead_is_compared_with_another(ablations):
    experiments, verdicts = ablations("experiments"), ablations("verdicts")
    arms = [ablations("arms").Dual(name) for name in "abcd"]
    claim = experiments.Claim("", "", "figure", *arms[:2], tuple(arms[2:]))
    # Leads 6 and 1; four variances of 1: sqrt(4 / 3) = 1.1547, times the
    # quantile of 8 degrees, 2.3060.
    results = results_of(
        "figure", a=[7, 8, 9], b=[1, 2, 3], c=[4, 5, 6], d=[3, 4, 5]
    )

    found = verdicts.verdict(claim, results, seeds=3)

    assert found.difference == pytest.approx(5)
    assert found.error == pytest.approx(2.6627, abs=1e-3)
    assert found.word == "agrees"


def test_every_unit_follows_what_it_needs(ablations):
    units = ablations("units").units_of()
    names = [unit.name for unit in units]

    assert len(set(names)) == len(names)
    for number, unit in enumerate(units):
        assert set(unit.needs) <= set(names[:number])
    # A stop half-way leaves whole experiments: those without pre-training
    # are done before the first one with it.
    first = names.index("mlm_tlm.0")
    assert {"margin_0.4.2", "hard_negatives.2"} <= set(names[:first])


def test_the_next_unit_is_the_first_that_can_start(ablations):
    units, schedule = ablations("units"), ablations("schedule")
    first, second, third = (
        units.Unit(name, needs, None, 0, 1)
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ()))
    )
    plan = [first, second, third]

    assert schedule.next_unit(plan, set(), set()) is first
    assert schedule.next_unit(plan, set(), {"a"}) is third
    assert schedule.next_unit(plan, {"a"}, {"c"}) is second
    assert schedule.next_unit(plan, {"a", "b", "c"}, set()) is None


@pytest.mark.parametrize("code", [0, 1])
def test_units_run_until_one_fails(ablations, tmp_path, code):
    units, schedule = ablations("units"), ablations("schedule")
    plan = [
        units.Unit(name, needs, None, 0, 1)
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)))
    ]
    started, calls = [], []

    class Stub(schedule.Schedule):
        def _process(self, unit):
            started.append(unit.name)
            fails = code and unit.name == "b"
            return subprocess.Popen(["false" if fails else "true"])

    stub = Stub(plan, lambda unit: False, [], tmp_path / "logs", 2)
    if code:
        with pytest.raises(RuntimeError, match="Failed: b"):
            stub.run(lambda: calls.append(1))
    else:
        assert stub.run(lambda: calls.append(1))

    assert started == ["a", "b"] + ["c"] * (not code)
    assert len(calls) == 3 - 2 * code


def test_the_share_of_unknown_pieces_is_a_number_beside_those_of_languages(
    ablations, tmp_path, monkeypatch
):
    pieces, arms = ablations("pieces"), ablations("arms")
    small = ablations("settings").SMALL
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n", "utf-8")
    texts = iter(["a a a b", *["a"] * (len(small) - 1)])
    monkeypatch.setattr(
        "labse.evaluation.tasks.tatoeba.read_pairs",
        lambda folder, language: [("english", next(texts))],
    )

    found = pieces.count(path, tmp_path)

    assert found["unk"] == dict.fromkeys(small, 0.0) | {small[0]: 25.0}
    assert found[arms.UNK] == pytest.approx(25 / len(small))


def test_the_page_gets_means_verdicts_and_a_chart(ablations, tmp_path):
    page, arms = ablations("page"), ablations("arms")
    path = tmp_path / "ablations.md"
    path.write_bytes((ROOT / "docs/ablations.md").read_bytes())
    results = {
        arm.name: [
            {
                "pool_p1": 10 * margin + seed,
                **dict.fromkeys(("own_p1", "small_p1", "small_unk"), 50.0),
            }
            for seed in (1.0, 2.0, 3.0)
        ]
        for margin, arm in arms.MARGINS.items()
    }

    page.write(path, results, "Two cores.")
    once = path.read_text()
    page.write(path, results, "Two cores.")

    assert path.read_text() == once
    assert "<!-- about -->\nTwo cores.\n<!-- /about -->" in once
    assert "| margin 0.4 | **6.00** ± 1.00 (5.00, 6.00, 7.00) |" in once
    # 3 above no margin, E = 2.27 as above; 1 above the one before.
    assert "| +3.00 ± 2.27 | **agrees** |" in once
    assert "| +1.00 ± 2.27 | **within the spread** |" in once
    assert "![margin](ablations/margin.svg)" in once
    chart = (tmp_path / "ablations/margin.svg").read_text()
    assert chart.count("<circle") == 10
    prose = re.compile(r"(?s)<!-- (\w+) -->.*?<!-- /\1 -->")
    before = (ROOT / "docs/ablations.md").read_text()
    assert prose.sub("", once) == prose.sub("", before)


def test_the_page_says_when_and_where_by_the_results(ablations):
    main, units = ablations("__main__"), ablations("units").units_of()
    assert main.about(units, {}) == "Nothing has been run yet."
    found = {
        "prepare": {"cpu_seconds": 1800, "date": "2031-05-06", "machine": "A"},
        "base.0": {"cpu_seconds": 5400, "date": "2031-05-04", "machine": "A"},
        "base.1": {"cpu_seconds": None, "date": "2031-05-05", "machine": "B"},
    }

    text = main.about(units, found)

    assert text == (
        f"3 of {len(units)} units are done, in 2.0 CPU hours (not known of 1),"
        " 2031-05-04 to 2031-05-06, on A and B."
    )
    assert main.of_arms(units, found) == {
        "base": [found["base.0"], found["base.1"]]
    }


def test_a_unit_without_cpu_seconds_leaves_its_cell_empty(ablations, tmp_path):
    page, arms = ablations("page"), ablations("arms")
    path = tmp_path / "ablations.md"
    path.write_bytes((ROOT / "docs/ablations.md").read_bytes())

    page.write(
        path,
        {
            arms.STACKED.name: [
                {"lm_loss": 2.0, "cpu_seconds": None},
                {"lm_loss": 4.0, "cpu_seconds": None},
            ],
            arms.BOTH.name: [
                {"lm_loss": 3.0, "cpu_seconds": None},
                {"lm_loss": 3.0, "cpu_seconds": 7},
            ],
        },
    )

    text = path.read_text()
    assert "| stacked |  |  | 3.00 (2.00, 4.00) |  |" in text
    assert "| mlm tlm |  |  | 3.00 (3.00, 3.00) | 7.00 (7.00) |" in text


def test_a_page_without_markers_is_an_error(ablations):
    with pytest.raises(ValueError, match="no <!-- margin -->"):
        ablations("page").between("text", "margin", "table")


def write_test_sets(folder, codes):
    """Tatoeba's files: two pairs of each language, its code in all texts."""
    for code in codes:
        for name, word in ((code, "text"), ("eng", "english")):
            lines = "".join(f"{code} {word} {line}\n" for line in range(2))
            path = folder / f"tatoeba.{code}-eng.{name}"
            path.write_text(lines)


def test_the_pool_holds_english_of_other_languages_too(
    ablations, tmp_path, monkeypatch
):
    retrieval, settings = ablations("retrieval"), ablations("settings")
    write_test_sets(tmp_path, [*settings.TEST_CODE.values(), "xho", "yid"])
    monkeypatch.setattr(retrieval, "POOL", 31)  # All but one of 16 languages.

    def encode(texts):
        """Finds all but one of the French lines, and both of Georgian.

        The rival of "fra text 0" is an English sentence of Xhosa's, which only
        the large pool has; that of "kat text" the other line's.
        """
        places = {}
        vectors = np.zeros([len(texts), 40], np.float32)
        for row, text in enumerate(texts):
            code, _, line = text.split()
            if text == "fra text 0":
                code, line = "xho", "0"
            elif text.startswith("kat text"):
                line = str(1 - int(line))
            place = places.setdefault((code, line), len(places))
            vectors[row, place] = 1
        return vectors

    figures = retrieval.evaluate(encode, tmp_path)

    assert len(retrieval.read_test(tmp_path)[1]) == 31
    # 6 of 7 large languages are found whole, French half.
    assert figures["pool_p1"] == pytest.approx(100 * 6.5 / 7)
    # Among its own, "fra text 0" is equally far from both; the first is its.
    assert figures["own_p1"] == pytest.approx(100)
    assert figures["small_p1"] == pytest.approx(100 * 6 / 7)
    assert figures["languages"]["pool"]["fr"] == 50
    assert figures["languages"]["own"]["ka"] == 0
    shares = retrieval.truncated(
        lambda texts: np.array([text == "fra text 0" for text in texts]),
        tmp_path,
    )
    assert shares["fr"] == 50
    assert sum(shares.values()) == 50
