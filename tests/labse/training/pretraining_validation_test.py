import collections

import numpy as np
import pytest
import tensorflow as tf

from labse.configs.pretraining import MaskingConfig, PretrainingConfig
from labse.configs.schema import EncoderConfig, TokenizerConfig
from labse.data.pretraining_reader import unpacked_batch
from labse.errors import InputError
from labse.features import MASKED_WEIGHTS
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training import pretraining_validation
from labse.training.pretraining_validation import MaskedLMValidation

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
TOKENIZER = WordPieceTokenizer(Vocabulary(PIECES))
CONFIG = PretrainingConfig(
    EncoderConfig(
        vocab_size=len(PIECES),
        num_layers=1,
        num_heads=1,
        hidden_size=8,
        intermediate_size=8,
        max_positions=80,
        initializer_range=1.0,
    ),
    TokenizerConfig(max_length=80),
    MaskingConfig(max_masked=9),
)
TEXTS = {
    # More than 32 tokens, and more than 64; a text has up to nine masks.
    "aa": ["a b c", "a " * 70 + "b c", "d e f g h a b c " * 5],
    "bb": ["h g f e d c b a", "c c c c"],
}
PAIRS = {("aa", "bb"): [("a b c", "d e f"), ("g h", "a"), ("d " * 40, "e")]}


def write_texts(path, texts):
    rows = [
        f"{language}\t{text.strip()}"
        for language, of_language in texts.items()
        for text in of_language
    ]
    path.write_text("\n".join(["language\ttext", *rows]) + "\n")
    return [str(path)]


def write_pairs(path):
    rows = [
        "\t".join([source.strip(), target, *languages])
        for languages, pairs in PAIRS.items()
        for source, target in pairs
    ]
    columns = "source\ttarget\tsource_language\ttarget_language"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return [str(path)]


@pytest.fixture
def validation(tmp_path):
    return MaskedLMValidation(
        write_texts(tmp_path / "texts.tsv", TEXTS),
        write_pairs(tmp_path / "pairs.tsv"),
        TOKENIZER,
        CONFIG,
    )


def make_model(strategy=None):
    with (strategy or tf.distribute.get_strategy()).scope():
        tf.random.set_seed(0)
        return MaskedLanguageModel.of_experiment(CONFIG)


def naive_figures(model, texts):
    """Accuracy and loss of texts, one by one, padded to the full length."""
    sums = collections.Counter()
    for number, text in enumerate(texts):
        if isinstance(text, str):
            inputs = tf.constant([text.strip()])
        else:
            inputs = tuple(tf.constant([side.strip()]) for side in text)
        batch = unpacked_batch(
            *(inputs, TOKENIZER, 80, CONFIG.masking, 0),
            tf.constant([number], tf.int64),
        )
        found = model(batch, training=False)
        weights = batch[MASKED_WEIGHTS].numpy()
        sums["accuracy"] += (found["correct"].numpy() * weights).sum()
        sums["loss"] += (found["loss"].numpy() * weights).sum()
        sums["tokens"] += weights.sum()
    return {name: sums[name] / sums["tokens"] for name in ("accuracy", "loss")}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-5), name


@pytest.mark.parametrize("several", [False, True])
def test_figures_are_those_of_a_naive_loop(validation, several):
    strategy = None
    if several:
        strategy = tf.distribute.MirroredStrategy(["CPU:1", "CPU:2"])
    model = make_model(strategy)
    figures = validation.evaluate(model)
    expected = {
        "mlm": {name: naive_figures(model, TEXTS[name]) for name in TEXTS},
        "tlm": {"aa-bb": naive_figures(model, PAIRS["aa", "bb"])},
    }
    rows = []
    for kind, languages in expected.items():
        assert figures[kind]["languages"].keys() == languages.keys()
        for language, row in languages.items():
            assert_close(figures[kind]["languages"][language], row)
            rows.append(row)
    one, two, _ = rows
    for name in ("accuracy", "loss"):
        # Of the languages, however many tokens they have.
        assert figures["mlm"][name] == pytest.approx(
            (one[name] + two[name]) / 2, abs=2e-5
        )
        assert figures[name] == pytest.approx(
            sum(row[name] for row in rows) / 3, abs=2e-5
        )
    assert one["loss"] != pytest.approx(two["loss"], abs=1e-3)
    assert validation.evaluate(model) == figures
    model.head.bias.assign_add(tf.range(len(PIECES), dtype=tf.float32))
    assert validation.evaluate(model)["loss"] != figures["loss"]


def test_a_sample_of_each_language_is_evaluated(monkeypatch):
    monkeypatch.setattr(pretraining_validation, "SAMPLE", 20)
    rows = [("aa", number) for number in range(400)]
    found = pretraining_validation._sample(rows)["aa"]
    assert len(set(found)) == 20
    # From all parts of the file: 5 are expected in each quarter.
    quarters = np.bincount(np.array(found) // 100, minlength=4)
    assert quarters.min() >= 1, quarters
    # It does not depend on other languages, nor on chance.
    mixed = [row for each in rows for row in (each, ("bb", 0))]
    assert pretraining_validation._sample(mixed)["aa"] == found
    # 30 in all are 15 of each.
    monkeypatch.setattr(pretraining_validation, "TOTAL", 30)
    samples = pretraining_validation._sample(mixed)
    assert [len(each) for each in samples.values()] == [15, 15]
    assert set(samples["aa"]) < set(found)


@pytest.mark.parametrize(
    ("texts", "what"), [(["z z z", "y"], "2 texts"), (["z"], "1 text")]
)
def test_a_language_that_the_vocabulary_lacks(tmp_path, texts, what):
    path = write_texts(tmp_path / "texts.tsv", {"aa": ["a b"], "zz": texts})
    with pytest.raises(InputError) as error:
        MaskedLMValidation(path, [], TOKENIZER, CONFIG)
    assert str(error.value) == (
        "Validation predicts masked tokens of each language. No token of zz "
        f"can be masked: {what} of it, empty or without a piece of the "
        "vocabulary but [UNK]. Give longer ones, take the language out, or use "
        "a vocabulary that has it."
    )


def test_pairs_that_the_vocabulary_lacks(tmp_path):
    path = tmp_path / "pairs.tsv"
    columns = "source\ttarget\tsource_language\ttarget_language\n"
    path.write_text(f"{columns}z\ty\taa\tzz\nz\tz\taa\tzz\n")
    with pytest.raises(InputError, match="of aa-zz can be masked: 2 pairs of"):
        MaskedLMValidation([], [str(path)], TOKENIZER, CONFIG)
