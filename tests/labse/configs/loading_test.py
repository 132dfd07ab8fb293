import dataclasses

import pytest

from labse.configs import loading
from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import FREE_ON_RESUME, ExperimentConfig
from labse.errors import InputError


def test_the_base_preset_has_the_papers_numbers():
    config = loading.load("labse_base")
    encoder, training = config.encoder, config.training
    assert (encoder.num_layers, encoder.num_heads) == (12, 12)
    assert (encoder.hidden_size, encoder.vocab_size) == (768, 501_153)
    assert (config.loss.logit_scale, config.loss.margin) == (10.0, 0.3)
    assert (training.global_batch_size, training.num_steps) == (4096, 50_000)
    assert training.learning_rate == 1e-3
    assert config.tokenizer.max_length == 128


def test_large_and_mbert_presets_differ_where_they_should():
    base = loading.load("labse_base")
    large = loading.load("labse_large")
    assert loading.differences(base, large) == [
        "encoder.num_layers: 12 -> 24",
        "encoder.num_heads: 12 -> 16",
        "encoder.hidden_size: 768 -> 1024",
        "encoder.intermediate_size: 3072 -> 4096",
    ]
    mbert = loading.load("labse_base_mbert_vocab")
    assert loading.differences(base, mbert) == [
        "encoder.vocab_size: 501153 -> 119547"
    ]


def test_the_averaging_network_has_no_blocks():
    encoder = loading.load("labse_dan").encoder
    assert (encoder.num_layers, encoder.pooling) == (0, "mean_tanh")
    for pooling in ("cls", "cls_tanh"):
        with pytest.raises(InputError, match="sees no word of the sentence"):
            loading.load("labse_dan", [f"encoder.pooling={pooling}"])


@pytest.mark.parametrize("name", loading.preset_names())
def test_every_preset_survives_saving(name, tmp_path):
    is_pretraining = name.startswith("pretrain_")
    kind = PretrainingConfig if is_pretraining else ExperimentConfig
    config = loading.load(name, kind=kind)
    assert type(config) is kind
    path = tmp_path / "config.yaml"
    path.write_text(loading.to_yaml(config))
    assert loading.load(str(path), kind=kind) == config
    assert loading.load_saved(str(path)) == (config, [])


def load_pretraining(name, *overrides):
    return loading.load(name, overrides, PretrainingConfig)


def test_the_presets_of_pretraining_have_the_papers_numbers():
    base = load_pretraining("pretrain_base")
    assert base.stages == [
        (3, range(0, 400_000)),
        (6, range(400_000, 1_200_000)),
        (12, range(1_200_000, 3_000_000)),
    ]
    assert (base.masking.share, base.masking.max_masked) == (0.2, 80)
    assert base.training.global_batch_size == 8192
    assert base.tokenizer.max_length == 512
    large = load_pretraining("pretrain_large")
    assert large.stages == [(24, range(0, 1_000_000))]
    assert loading.differences(base, large) == [
        "encoder.num_layers: 12 -> 24",
        "encoder.num_heads: 12 -> 16",
        "encoder.hidden_size: 768 -> 1024",
        "encoder.intermediate_size: 3072 -> 4096",
        "training.num_steps: 3000000 -> 1000000",
        "stacking.num_layers: (3, 6) -> ()",
        "stacking.num_steps: (400000, 800000) -> ()",
    ]


def test_the_encoders_are_those_that_training_starts_from():
    """But for the pooling, which pre-training does not use."""
    for name, of_pretraining, overrides in (
        ("labse_base", "pretrain_base", []),
        ("labse_large", "pretrain_large", []),
        ("labse_tiny", "pretrain_tiny", ["encoder.num_layers=2"]),
    ):
        encoder = loading.load(name, overrides).encoder
        pretrained = load_pretraining(of_pretraining).encoder
        assert pretrained == dataclasses.replace(
            encoder,
            pooling=pretrained.pooling,
            dropout=pretrained.dropout,
        )


def test_overrides_of_pretraining():
    config = load_pretraining(
        "pretrain_tiny",
        "encoder.num_layers=4",
        "stacking.num_layers=[1,2]",
        "stacking.num_steps=[10,20]",
        "training.num_steps=60",
        "data.bilingual_share=1",
    )
    assert config.stages == [
        (1, range(0, 10)),
        (2, range(10, 30)),
        (4, range(30, 60)),
    ]
    assert config.bilingual_rows == 64


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["masking.shar=1"], r"Did you mean masking\.share\?"),
        (["loss.margin=0.1"], "PretrainingConfig has no key loss. Did you"),
        (["stacking.num_layers=1"], "must be a list of int"),
        (["encoder.num_layers=3", "stacking.num_layers=[2]"], "a multiple of"),
        (["stacking.num_steps=[240]"], "The last stage must have steps left"),
        (
            ["stacking.num_steps=[125]", "training.steps_per_execution=10"],
            r"stacking\.num_steps must be multiples of training\."
            r"steps_per_execution\. Received: \[125\] and 10\.",
        ),
        (["masking.share=0"], "share must be greater than 0"),
        (["data.bilingual_share=1.5"], "must lie between 0 and 1"),
    ],
)
def test_what_does_not_fit_pretraining_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        load_pretraining("pretrain_tiny", *overrides)


def test_a_configuration_of_the_other_kind_is_refused(tmp_path):
    with pytest.raises(InputError) as error:
        loading.load("pretrain_base")
    assert str(error.value) == (
        "A dual encoder is configured by labse_base, labse_base_mbert_vocab, "
        "labse_dan, labse_large, labse_small_open, labse_tiny, or a YAML file "
        "without a section 'masking'. Received: pretrain_base, which has one "
        "and is for labse pretrain."
    )
    path = tmp_path / "mine.yaml"
    path.write_text("encoder: {num_layers: 2}\n")
    with pytest.raises(InputError) as error:
        load_pretraining(str(path))
    assert str(error.value) == (
        "Pre-training is configured by pretrain_base, pretrain_large, "
        "pretrain_tiny, or a YAML file with a section 'masking'. Received: "
        f"{path}, which has none and is for labse train."
    )
    path.write_text("encoder: {num_layers: 2}\nmasking: {}\n")
    assert load_pretraining(str(path)).encoder.num_layers == 2


@pytest.mark.parametrize("kind", [ExperimentConfig, PretrainingConfig])
def test_keys_that_are_free_on_resume_exist(kind):
    for name in FREE_ON_RESUME:
        section, key = name.split(".")
        assert hasattr(getattr(kind(), section), key)


def test_a_saved_configuration_of_an_earlier_version(tmp_path):
    config = loading.load("labse_tiny")
    path = tmp_path / "config.yaml"
    path.write_text(loading.to_yaml(config))
    assert loading.load_saved(str(path)) == (config, [])
    old = loading.to_yaml(config).replace(
        "  length_chunks: 4\n", "  batches_sorted_together: 16\n"
    )
    path.write_text(old)
    assert "sorted_together" in old
    removed = ["data.batches_sorted_together"]
    assert loading.load_saved(str(path)) == (config, removed)
    with pytest.raises(InputError, match="was removed"):
        loading.load(str(path))


def test_a_saved_configuration_with_the_old_name_of_a_key(tmp_path):
    config = loading.load(
        "labse_tiny", ["training.compute_dtype=mixed_bfloat16"]
    )
    path = tmp_path / "config.yaml"
    old = loading.to_yaml(config).replace("  compute_dtype:", "  precision:")
    path.write_text(old)
    assert "  precision: mixed_bfloat16\n" in old
    assert loading.load_saved(str(path)) == (config, [])
    with pytest.raises(InputError, match="is now training.compute_dtype"):
        loading.load(str(path))


def test_overrides_are_typed():
    config = loading.load(
        "labse_tiny",
        [
            "training.learning_rate=1e-4",
            "data.length_buckets=[8,16]",
            "loss.bidirectional=false",
            "encoder.dropout=0",
        ],
    )
    assert config.training.learning_rate == 1e-4
    assert config.data.length_buckets == (8, 16)
    assert config.loss.bidirectional is False
    assert config.encoder.dropout == 0.0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.num_step=3", r"Did you mean training\.num_steps\?"),
        ("trainin.num_steps=3", r"Did you mean training\?"),
        ("training.num_steps=x", r"num_steps must be a int. Received: 'x'"),
        ("training.num_steps=1.5", r"must be a int. Received: 1.5 \(float\)"),
        ("training.deterministic=1", r"must be a bool"),
        ("loss.margin=true", r"loss.margin must be a float"),
        ("data.batches_sorted_together=2", r"was removed.*Leave it out\.$"),
        ("training.precision=float32", r"is now training.compute_dtype"),
        ("data.length_chunks=0", r"length_chunks must be greater than 0"),
        ("training.early_stopping_patience=-1", r"must be at least 0"),
        ("data.length_buckets=8", r"must be a list of int"),
        ("data.length_buckets=[16,8]", r"must increase"),
        ("data.length_buckets=[8,999]", r"at most data.max_length, or token"),
        ("data.max_length=-1", r"data.max_length counts \[CLS\].*Received: -1"),
        ("data.max_length=2", r"data.max_length counts \[CLS\] and \[SEP\]"),
        ("data.max_length=999", r"must be at most tokenizer.max_length"),
        ("data.max_length=16", r"length_buckets must be.*24, 32\] and 16"),
        ("data.corpus_weights=3", r"corpus_weights must be a mapping to float"),
        ("data.corpus_weights={a: b}", r"corpus_weights.a must be a float"),
        ("data.corpus_weights={a: 0}", r"1e-6.*Received: {'a': 0.0}"),
        ("data.corpus_weights={a: .inf}", r"between 1e-6 and 1e6"),
        ("data.corpus_weights={no: 1}", r"must be names. Received: False"),
        ("data.corpus_weights={'': 1}", r"must be names. Received: ''"),
        ("encoder=3", r"section.key=value"),
        ("loss.margin", r"section.key=value"),
        ("encoder.pooling=max", r"mean, mean_tanh. Received: 'max'"),
        ("encoder.num_layers=-1", r"num_layers must be at least 0"),
        ("data.hard_negatives=-1", r"hard_negatives must be at least 0"),
        ("encoder.num_heads=5", r"a multiple of encoder.num_heads"),
        ("tokenizer.max_length=600", r"at most encoder.max_positions"),
        ("tokenizer.ids=tf", r"hugging_face, tensorflow_hub. Received: 'tf'"),
        ("tokenizer.lower_case=1", r"lower_case must be a bool"),
        ("training.warmup_steps=90000", r"less than training.num_steps"),
        ("training.steps_per_execution=7", r"must be a multiple of"),
        ("training.gradient_cache_chunk=-1", r"must be at least 0"),
        ("training.gradient_cache_chunk=7", r"divide.*Received: 7 and 512"),
    ],
)
def test_what_does_not_fit_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        loading.load("labse_tiny", [override])


@pytest.mark.parametrize("second", ["2e-5", "1e-4"])
def test_a_key_is_overridden_once(second):
    overrides = [
        "training.learning_rate=1e-4",
        "training.num_steps=9",
        f"training.learning_rate={second}",
    ]
    with pytest.raises(
        InputError,
        match=f"training.learning_rate twice: '1e-4' and '{second}'",
    ):
        loading.load("labse_tiny", overrides)


def test_a_configuration_of_before_the_tokenizer_s_kinds_means_labse_s():
    values = {"tokenizer": {"max_length": 64, "max_bytes_per_word": 400}}
    tokenizer = loading.from_dict(values).tokenizer
    assert tokenizer.max_length == 64
    assert (tokenizer.lower_case, tokenizer.ids) == (False, "hugging_face")


def test_what_is_no_preset_and_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="labse_base.*Received: 'nothing'"):
        loading.load("nothing")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(InputError, match="is not a YAML file"):
        loading.load(str(broken))


def test_defaults_are_not_shared():
    assert ExperimentConfig().encoder is not ExperimentConfig().encoder
    with pytest.raises(dataclasses.FrozenInstanceError):
        ExperimentConfig().encoder.num_layers = 3
