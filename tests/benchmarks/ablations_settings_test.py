"""The ablations: the configurations that the page promises, and the data."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from labse.mining.hard_negatives.pair_files import mine_hard_negatives
from labse.training.pretraining_task import step_operations


def test_stages_cost_as_much_as_one_stage(ablations):
    arms, settings = ablations("arms"), ablations("settings")
    costs = []
    for arm in (arms.BOTH, arms.STACKED):
        config = settings.pretraining_config(arm, 0)
        config = config.with_vocab_size(settings.VOCAB_SIZE)
        costs.append(
            sum(
                len(steps) * step_operations(config, num_layers)
                for num_layers, steps in config.stages
            )
        )

    np.testing.assert_allclose(costs[1], costs[0], rtol=1e-3)


def changed_pool(settings, arms, monkeypatch):
    monkeypatch.setattr(settings, "POOL", 7)


def changed_recipe(settings, arms, monkeypatch):
    monkeypatch.setattr(settings, "RECIPE", 0)


def changed_exponent(settings, arms, monkeypatch):
    monkeypatch.setitem(arms.VOCABULARIES, "smoothed", 0.4)


def changed_dropout(settings, arms, monkeypatch):
    encoder = dataclasses.replace(settings._ENCODER, dropout=0.1)
    monkeypatch.setattr(settings, "_ENCODER", encoder)


def changed_length(settings, arms, monkeypatch):
    monkeypatch.setattr(settings, "_LENGTH", 64)


def changed_miner(settings, arms, monkeypatch):
    monkeypatch.setattr(
        settings, "MINER_OVERRIDES", ("training.num_steps=200",)
    )


@pytest.mark.parametrize(
    "change",
    [
        changed_pool,
        changed_recipe,
        changed_exponent,
        changed_dropout,
        changed_length,
        changed_miner,
    ],
)
def test_the_key_of_a_result_changes_with_the_settings(
    ablations, monkeypatch, change
):
    units = ablations("units")
    unit = units.units_of()[1]
    assert unit.key() != units.units_of()[2].key()
    before = unit.key()
    assert before == units.units_of()[1].key()

    change(ablations("settings"), ablations("arms"), monkeypatch)

    assert unit.key() != before


def arms_of(ablations, kind):
    """All arms of a kind, also those that others start from."""
    arms = ablations("arms")
    every = [unit.arm for unit in ablations("units").units_of()]
    return [arm for arm in every if isinstance(arm, getattr(arms, kind))]


def test_no_arm_has_dropout(ablations):
    settings = ablations("settings")
    configs = [
        *map(
            settings.dual_encoder_config,
            arms_of(ablations, "Dual"),
            itertools.repeat(0),
        ),
        *map(
            settings.pretraining_config,
            arms_of(ablations, "Pretrained"),
            itertools.repeat(0),
        ),
    ]

    found = {
        (each.encoder.dropout, each.encoder.attention_dropout)
        for each in configs
    }

    assert len(configs) > 50
    assert found == {(0.0, 0.0)}


def test_texts_are_encoded_at_the_length_of_training(ablations):
    settings = ablations("settings")
    for arm in arms_of(ablations, "Dual"):
        config = settings.dual_encoder_config(arm, 0)
        # What `labse.load` takes as the model's max_length.
        encoded = config.tokenizer.max_length
        assert encoded == config.training_length == 40
        assert config.data.length_buckets[-1] == encoded
        assert encoded <= config.encoder.max_positions


def test_hard_negatives_give_a_source_as_many_candidates(ablations):
    arms = ablations("arms")
    base, hard = arms.BASE, arms.HARD

    assert hard.batch_size * (1 + hard.hard_negatives) == base.batch_size
    assert arms.QUARTER.batch_size == hard.batch_size


def write_pairs(path, rows):
    """A file of pairs as `prepare` writes it, from English ones."""
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


HEADER = ["source", "target", "source_language", "target_language", "corpus"]


def test_hard_negatives_are_english_as_what_is_searched(ablations, tmp_path):
    english = [
        HEADER,
        ["one dog", "ein Hund", "en", "de", "a"],
        ["two dogs", "zwei Hunde", "en", "de", "a"],
        ["three cats", "drei Katzen", "en", "de", "b"],
    ]
    swapped = list(ablations("prepare").swapped(english))
    write_pairs(tmp_path / "pairs.tsv", swapped)

    mine_hard_negatives(
        [str(tmp_path / "pairs.tsv")],
        tmp_path / "hard.tsv",
        lambda: (lambda texts: np.ones([len(texts), 2], np.float32), "model"),
        tmp_path / "work",
        negatives=2,
    )

    assert swapped[1] == ["ein Hund", "one dog", "de", "en", "a"]
    lines = (tmp_path / "hard.tsv").read_text().splitlines()
    rows = [
        dict(zip(lines[0].split("\t"), line.split("\t"), strict=True))
        for line in lines[1:]
    ]
    found = {row["source"]: json.loads(row["hard_negatives"]) for row in rows}
    assert sorted(found["ein Hund"]) == ["three cats", "two dogs"]
    assert {row["target_language"] for row in rows} == {"en"}


def test_preparation_leaves_no_half_folder(ablations, tmp_path, monkeypatch):
    prepare = ablations("prepare")

    def stopped(data, folder):
        (folder / prepare.PAIRS).write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "_write_pairs", stopped)

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(tmp_path, tmp_path / "prepared")

    assert not list(tmp_path.iterdir())


def test_cpu_seconds_are_those_of_all_processes(
    ablations, tmp_path, monkeypatch
):
    cpu_time, path = ablations("cpu_time"), tmp_path / "unit.json"
    times = [(1.0, 0.5, 2.0, 0.0, 99.0), (4.0, 0.0, 0.0, 0.5, 99.0)]
    monkeypatch.setattr(cpu_time.os, "times", lambda: times[0])
    first = cpu_time.CpuTime(path)
    assert first.seconds() == 3.5
    first.save()
    times.pop(0)

    second = cpu_time.CpuTime(path)

    assert second.seconds() == 8.0
    # It is killed: nobody knows what it took.
    third = cpu_time.CpuTime(path)
    assert third.seconds() is None
    third.save()
    assert cpu_time.CpuTime(path).seconds() is None
