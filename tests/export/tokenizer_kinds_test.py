"""Exports of runs with another tokenizer than LaBSE's."""

import pytest
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text as tf_text
import tokenizers

from export import export_folder, golden
from export.checks import content_checks, tokenization_checks, vector_checks
from export.checks.subject import Subject
from labse.configs.schema import TokenizerConfig
from labse.preprocessing.vocabulary import Vocabulary

UNCASED = TokenizerConfig(max_length=48, lower_case=True)
HUB = TokenizerConfig(
    max_length=48, max_bytes_per_word=100, ids="tensorflow_hub"
)


@pytest.fixture(scope="module", params=[UNCASED, HUB], ids=["uncased", "hub"])
def exported(request, make_run, tmp_path_factory):
    """An export's folder, and the configuration of its tokenizer."""
    run = make_run(tokenizer=request.param)
    out = tmp_path_factory.mktemp("export") / "tiny"
    return export_folder.export_run(run, str(out)), request.param


@pytest.fixture(scope="module")
def vocabulary(exported):
    return Vocabulary.read(exported[0] / "preprocess/assets/cased_vocab.txt")


def peer_ids(config, vocabulary, texts):
    """Without [CLS] and [SEP], cut as the export cuts."""
    if config is HUB:
        table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([p.encode() for p in vocabulary.pieces]),
                tf.range(len(vocabulary), dtype=tf.int64),
            ),
            num_oov_buckets=1,
        )
        words = tf_text.BertTokenizer(table, token_out_type=tf.int32)
        rows = words.tokenize(texts).merge_dims(1, 2).to_list()
    else:
        ids = {piece: index for index, piece in enumerate(vocabulary.pieces)}
        peer = tokenizers.Tokenizer(
            tokenizers.models.WordPiece(ids, unk_token="[UNK]")
        )
        peer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
        peer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        rows = [code.ids for code in peer.encode_batch_fast(texts)]
    return [row[: config.max_length - 2] for row in rows]


def test_ids_are_the_peer_s(exported, vocabulary):
    folder, config = exported
    texts, _ = golden.read_sentences()
    expected = peer_ids(config, vocabulary, texts)
    for inputs in (
        hub.load(str(folder / "preprocess"))(tf.constant(texts)),
        hub.load(str(folder / "text")).signatures["preprocess"](
            text=tf.constant(texts)
        ),
    ):
        lengths = tf.reduce_sum(inputs["input_mask"], axis=1).numpy()
        rows = inputs["input_word_ids"].numpy().tolist()
        assert [
            row[1 : length - 1]
            for row, length in zip(rows, lengths, strict=True)
        ] == expected


def test_words_begin_where_the_peer_s_do(exported, vocabulary):
    folder, config = exported
    texts = ["The b\u200dus, Ébus", "", "die\u00a0ing [MASK] ☃"]
    words = hub.load(str(folder / "preprocess")).tokenize(tf.constant(texts))
    expected = peer_ids(config, vocabulary, texts)
    assert words.merge_dims(1, 2).to_list() == expected
    # uncased: the bus , ebus / die ing [ mask ] snowman
    # hub: The b us , Ébus / die-no-break-space-ing [ MASK ] snowman
    counts = [[4, 0, 6], [5, 0, 5]][config is HUB]
    assert words.row_lengths().numpy().tolist() == counts


def test_checks_pass_and_casing_is_told(exported):
    folder, config = exported
    subject = Subject(folder)
    casing = "uncased" if config.lower_case else "cased"
    assert content_checks.vocabulary(subject).endswith(f"pieces, {casing}")
    encode = hub.load(str(folder / "encode"))
    assert bool(encode.do_lower_case.numpy()) == config.lower_case
    for check in (
        tokenization_checks.preprocess,
        tokenization_checks.pack,
        tokenization_checks.text,
        vector_checks.text,
    ):
        check(subject)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f" {casing} WordPiece pieces |" in card
    owner = "TF Hub's preprocessors" if config is HUB else "Hugging Face's BERT"
    assert f"| ids | those of {owner}" in card


def test_untold_casing_is_named(exported):
    folder, config = exported
    subject = Subject(folder)
    subject.config["tokenizer"]["lower_case"] = not config.lower_case
    with pytest.raises(content_checks.Difference) as difference:
        content_checks.vocabulary(subject)
    told, casing = (True, "cased") if config is UNCASED else (False, "uncased")
    assert str(difference.value) == (
        f"casing: encode/ has do_lower_case = {told}, the run's vocabulary is "
        f"{casing}"
    )
