from data_pipeline.cleaning.job.shard_unit import ShardUnit, plan_shards


def test_shards_hold_as_many_sentences_as_they_may():
    counts = [{"en": 3, "de": 1}, {}, {"en": 4}]
    assert plan_shards(counts, 2) == [
        ShardUnit("de", 0, 0, 0, 1),
        ShardUnit("en", 0, 0, 0, 2),
        ShardUnit("en", 1, 0, 2, 2),
        ShardUnit("en", 2, 2, 1, 2),
        ShardUnit("en", 3, 2, 3, 1),
    ]


def test_no_sentences_no_shards():
    assert plan_shards([{}, {"en": 0}], 2) == []
