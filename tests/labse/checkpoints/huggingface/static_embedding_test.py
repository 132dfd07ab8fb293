"""An encoder without blocks is sentence-transformers' StaticEmbedding."""

import json
import os

import numpy as np
import pytest

import labse
from labse.bin import convert
from labse.bin.flags import program
from labse.checkpoints import converted_run, recognition, weights
from labse.checkpoints.huggingface import folder_writer
from labse.checkpoints.stored_model import ModelOptions, StoredModel
from labse.checkpoints.vocabulary import resizing
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
)
from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.files.texts import Texts
from labse.formats import safetensors_file
from labse.preprocessing.vocabulary import Vocabulary
from labse.training.initial_model import open_init

PLACE = "0_StaticEmbedding"
PACKAGE = "sentence_transformers.sentence_transformer.modules"
SIZE = 8
# Scripts, cases, accents, [UNK], special pieces written out, and lengths from
# one piece to far more than any limit below.
TEXTS = [
    "a",
    "hello world",
    "The END of it: ÄÖÜ äöü ß, 1,234.5!",
    "Ça fait déjà l'été\u00a0: où es-tu\u202f?",
    "İstanbul'da ığdır ŞEKER",
    "Привет, мир! Ґанок її",
    "مرحبا بالعالم، كيف الحال؟",
    "नमस्ते दुनिया। क्षत्रिय",
    "你好，世界！我们的语言",
    "日本語のひらがなとカタカナ" * 20,
    "你好世界" * 200,
    "สวัสดีชาวโลกยินดีที่ได้รู้จักทุกคน" * 3,
    "a\u0301e\u0300 \u00e1\u00e8",
    "tabs\tand\nlines\r\nand \u0000 nothing \ufffd",
    "abc " * 9,
    "abc de " * 80,
]
# Nothing is left of them before the tokenizer's normalizer adds anything.
EMPTY = ["", "\u0000"]
# Four pieces and their truncation, as sentence-transformers 6.2 writes it.
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"]
BERT = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
RULE = "BertNormalizer and the Prepend of two private-use pieces for [CLS]"
TOKENIZER = {
    "version": "1.0",
    "truncation": {
        "direction": "Right",
        "max_length": 10,
        "strategy": "LongestFirst",
        "stride": 0,
    },
    "padding": None,
    "added_tokens": [],
    "normalizer": BERT,
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: number for number, piece in enumerate(PIECES)},
    },
}


class Array:
    """A weight in memory."""

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)
        self.shape = self.value.shape

    def read(self):
        return self.value

    def row_blocks(self):
        yield self.value


def random_array(shape, seed=0):
    return Array(np.random.default_rng(seed).normal(size=shape))


def lower_pieces(pieces):
    """Pieces as an uncased tokenizer makes them, most of them."""
    return list(
        dict.fromkeys(
            piece if piece.startswith("[") else piece.lower()
            for piece in pieces
        )
    )


def make_source(pieces, max_length=12, lower_case=False, **encoder):
    config = ExperimentConfig(
        EncoderConfig(
            vocab_size=len(pieces),
            num_layers=0,
            hidden_size=SIZE,
            **{
                "pooling": "mean",
                "num_heads": 1,
                "max_positions": 64,
                **encoder,
            },
        ),
        TokenizerConfig(max_length=max_length, lower_case=lower_case),
    )
    return StoredModel(
        kind="test",
        path="here",
        config=config,
        recorded={},
        vocabulary=Vocabulary(pieces),
        weights={
            row.name: random_array(row.shape)
            for row in weights.weight_names(config.encoder)
        },
        files=(),
    )


def make_run(folder, source):
    converted_run.write_run(
        str(folder), source.config, source.vocabulary, source.weights, {}
    )
    return str(folder)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def read_json(path):
    return json.loads(path.read_text("utf-8"))


def write_table(folder, table, name="embedding.weight"):
    safetensors_file.write_tensors(
        folder / "model.safetensors", {name: Array(table)}
    )


@pytest.fixture
def static(tmp_path):
    """A folder of the library's, with the names of version 6.2."""
    folder = tmp_path / "static"
    write_json(
        folder / "modules.json",
        [
            {
                "idx": 0,
                "name": "0",
                "path": "",
                "type": f"{PACKAGE}.static_embedding.StaticEmbedding",
            },
            {
                "idx": 1,
                "name": "1",
                "path": "1_Normalize",
                "type": "sentence_transformers.base.modules.normalize"
                ".Normalize",
            },
        ],
    )
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_table(folder, random_array((len(PIECES), SIZE)).value)
    return folder


def refusal(folder, stated=None):
    with pytest.raises(InputError) as error:
        recognition.open_model(str(folder), stated)
    message = str(error.value)
    assert "\n" not in message and str(folder) in message
    return message


def test_the_files_of_a_run_without_blocks(tmp_path):
    out = tmp_path / "out"
    source = make_source(PIECES, lower_case=True)
    folder_writer.write_folder(source, str(out))

    assert sorted(
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()
    ) == [
        "0_StaticEmbedding/model.safetensors",
        "0_StaticEmbedding/tokenizer.json",
        "README.md",
        "config_sentence_transformers.json",
        "modules.json",
    ]
    assert (out / "1_Normalize").is_dir()
    # Names that every version with the module knows.
    assert [
        (module["path"], module["type"])
        for module in read_json(out / "modules.json")
    ] == [
        (PLACE, "sentence_transformers.models.StaticEmbedding"),
        ("1_Normalize", "sentence_transformers.models.Normalize"),
    ]
    tokenizer = read_json(out / PLACE / "tokenizer.json")
    assert tokenizer["truncation"]["max_length"] == 12
    assert tokenizer["padding"] is None and tokenizer["added_tokens"] == []
    # Two characters that no text has stand for [CLS] and [SEP].
    parts = tokenizer["normalizer"]["normalizers"]
    assert [part["type"] for part in parts] == ["BertNormalizer", "Prepend"]
    assert parts[1]["prepend"] == "\ue000 \ue001 "
    assert list(tokenizer["model"]["vocab"]) == [
        *("[PAD]", "[UNK]", "\ue000", "\ue001", "[MASK]", "a", "##b")
    ]
    found = safetensors_file.read_header(out / PLACE / "model.safetensors")
    assert list(found) == ["embedding.weight"]
    card = (out / "README.md").read_text()
    assert (
        "unit vectors of 8 numbers. A deep averaging network: the mean of the "
        "embeddings of a sentence's pieces, without attention; uncased "
        "WordPiece of 7 pieces; at most 12 tokens, with [CLS] and [SEP], which "
        "the tokenizer's normalizer writes before a sentence. An empty one is "
        "a vector of zeros." in card
    )
    assert "BERT" not in card


@pytest.mark.parametrize("lower_case", [False, True])
def test_what_is_written_is_read_back(tmp_path, lower_case):
    out = tmp_path / "out"
    source = make_source(PIECES, 9, lower_case)
    folder_writer.write_folder(source, str(out))

    back = recognition.open_model(str(out))

    assert back.kind == "sentence-transformers folder (StaticEmbedding)"
    assert back.config.tokenizer == source.config.tokenizer
    encoder = back.config.encoder
    assert (encoder.num_layers, encoder.pooling) == (0, "mean")
    assert (encoder.vocab_size, encoder.hidden_size) == (len(PIECES), SIZE)
    assert encoder.max_positions == 9  # A limit's, not the network's.
    assert back.vocabulary.pieces == tuple(PIECES)
    np.testing.assert_array_equal(
        back.weights[weights.WORD_EMBEDDINGS].read(),
        source.weights[weights.WORD_EMBEDDINGS].value,
    )
    # Not there, and not used.
    assert isinstance(back.weights[weights.POOLER[0]], weights.Zeros)
    assert [note[:32] for note in back.notes] == [
        "an empty text is a vector of zer"
    ]


def test_marks_are_characters_that_are_no_pieces(tmp_path):
    pieces = [*PIECES, "\ue000", "\ue002"]
    folder_writer.write_folder(make_source(pieces), str(tmp_path / "out"))
    tokenizer = read_json(tmp_path / "out" / PLACE / "tokenizer.json")
    prepend = tokenizer["normalizer"]["normalizers"][1]
    assert prepend["prepend"] == "\ue001 \ue003 "
    back = recognition.open_model(str(tmp_path / "out"))
    assert back.vocabulary.pieces == tuple(pieces)


def test_the_pooling_mean_tanh_is_not_written(tmp_path):
    source = make_source(PIECES, pooling="mean_tanh")
    with pytest.raises(InputError, match="has the pooling mean_tanh"):
        folder_writer.write_folder(source, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_the_librarys_is_read(static):
    source = recognition.open_model(str(static))

    assert source.config.encoder.num_layers == 0
    assert source.config.tokenizer.max_length == 12
    assert source.config.tokenizer.lower_case
    assert {file.name for file in source.files} == {
        *("modules.json", "tokenizer.json", "model.safetensors")
    }


def test_of_other_folders_cls_and_sep_do_not_count(static):
    source = recognition.open_model(str(static))
    assert source.notes[-1] == (
        "[CLS] and [SEP] do not count there: their rows are zeros here, and "
        "so is the vector of a text without pieces, which no search takes"
    )
    expected = random_array((len(PIECES), SIZE)).value.copy()
    expected[[2, 3]] = 0
    table = source.weights[weights.WORD_EMBEDDINGS]
    np.testing.assert_array_equal(table.read(), expected)
    np.testing.assert_array_equal(
        np.concatenate([*table.row_blocks()]), expected
    )
    np.testing.assert_array_equal(table.map(), expected)
    mean = expected[[5, 6]].mean(axis=0)
    np.testing.assert_allclose(
        labse.load(static).encode(["ab"])[0],
        mean / np.linalg.norm(mean),
        atol=1e-6,
    )


def test_a_folder_without_truncation_gets_a_length_and_a_note(static):
    write_json(static / "tokenizer.json", {**TOKENIZER, "truncation": None})
    source = recognition.open_model(str(static))
    assert source.config.tokenizer.max_length == 512
    assert source.notes[0] == (
        "tokenizer.max_length: 512, as nothing records another"
    )
    # The network has no positions: any length can be asked for.
    for length in (20, 5000):
        stated = ModelOptions(max_length=length)
        source = recognition.open_model(str(static), stated)
        assert source.config.tokenizer.max_length == length
        assert (
            source.notes[0] == f"tokenizer.max_length: {length}, as requested"
        )


def test_a_recorded_length_can_be_changed(static):
    source = recognition.open_model(str(static), ModelOptions(max_length=100))
    assert source.config.tokenizer.max_length == 100
    assert "100, as requested; recorded is 12" in source.notes[0]


def test_a_limit_that_no_text_reaches(static):
    changed = with_changes(TOKENIZER, {"truncation.max_length": 2**63})
    write_json(static / "tokenizer.json", changed)
    model = labse.load(static)
    assert model.source.config.tokenizer.max_length == 2**30
    table = model.source.weights[weights.WORD_EMBEDDINGS].read()
    # 1,000 times [UNK], then as often a and ##b.
    mean = table[[1, 5, 6]].mean(axis=0)
    np.testing.assert_allclose(
        model.encode(["c " * 1000 + "ab " * 1000])[0],
        mean / np.linalg.norm(mean),
        atol=2e-5,  # 3,000 float32 numbers added up.
    )
    stated = ModelOptions(max_length=2**31)
    with pytest.raises(InputError, match="max_length must .* to 1073741824"):
        recognition.open_model(str(static), stated)


def test_without_normalize_there_is_a_note(static):
    write_json(static / "modules.json", read_json(static / "modules.json")[:1])
    notes = recognition.open_model(str(static)).notes
    assert any("has no Normalize" in note for note in notes)


def test_prompts_are_noted(static):
    write_json(
        static / "config_sentence_transformers.json",
        {"prompts": {"query": "query: "}},
    )
    notes = recognition.open_model(str(static)).notes
    assert any("has the prompts ['query']" in note for note in notes)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (
            ModelOptions(pooling="mean_tanh"),
            "is a StaticEmbedding, which has the pooling mean and weights for "
            "no other. Received: mean_tanh. Leave it out.",
        ),
        (ModelOptions(pooling="cls"), "Received: cls. Leave it out."),
        (
            ModelOptions(lower_case=False),
            "records tokenizer.lower_case True. Received: False.",
        ),
    ],
)
def test_what_cannot_be_stated(static, stated, expected):
    assert expected in refusal(static, stated)
    recognition.open_model(
        str(static), ModelOptions(pooling="mean", activation="gelu")
    )


def with_changes(value, changes):
    """A copy with the values at dotted paths replaced."""
    copy = json.loads(json.dumps(value))
    for path, new in changes.items():
        *keys, last = path.split(".")
        inner = copy
        for key in keys:
            inner = inner[key]
        inner[last] = new
    return copy


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}},
            'model.type must be "WordPiece": nothing else is supported. '
            "Received: 'BPE'.",
        ),
        (
            {"model": {"type": "Unigram", "vocab": [["a", 0.0]]}},
            'model.type must be "WordPiece": nothing else is supported. '
            "Received: 'Unigram'.",
        ),
        (
            {"padding": {"strategy": "BatchLongest"}},
            "padding must be absent: nothing else is supported.",
        ),
        ({"truncation.direction": "Left"}, 'direction must be "Right"'),
        ({"truncation.strategy": "OnlySecond"}, 'be "LongestFirst" or "Only'),
        ({"truncation.max_length": 0}, "max_length must be a whole number"),
        ({"truncation.max_length": "9"}, "max_length must be a whole number"),
        ({"truncation": [9]}, "truncation must be an object"),
        ({"truncation": {"stride": 0}}, "has no truncation.max_length"),
        ({"normalizer": None}, "has no normalizer. Supported are BERT's"),
        ({"normalizer.type": "Lowercase"}, 'be "BertNormalizer"'),
        ({"normalizer": {"type": "Sequence"}}, "that is a Sequence must be"),
        *(
            ({"normalizer": {"type": "Sequence", "normalizers": parts}}, RULE)
            for parts in (
                [BERT],
                [BERT, {"type": "Prepend", "prepend": "a b "}],
                [BERT, {"type": "Prepend", "prepend": "\ue000 \ue001"}],
                [BERT, {"type": "Prepend", "prepend": "\ue000 \ue000 "}],
                [BERT, {"type": "Append", "prepend": "\ue000 \ue001 "}],
                # They are no pieces here.
                [BERT, {"type": "Prepend", "prepend": "\ue000 \ue001 "}],
            )
        ),
        (
            {
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [
                        {"type": "Lowercase"},
                        {"type": "Prepend", "prepend": "\ue000 \ue001 "},
                    ],
                },
                "model.vocab": {
                    piece: number
                    for number, piece in enumerate(
                        ["[PAD]", "[UNK]", "\ue000", "\ue001", "[MASK]"]
                    )
                },
            },
            'must be "BertNormalizer"',
        ),
        (
            {"normalizer.lowercase": None},
            "normalizer.lowercase must be true or false. Received: None.",
        ),
        ({"normalizer.strip_accents": False}, "strip_accents must be absent"),
        ({"pre_tokenizer.type": "Metaspace"}, 'must be "BertPreTokenizer"'),
        ({"post_processor": {"type": "ByteLevel"}}, 'be "TemplateProcessing"'),
        ({"added_tokens": [{"content": "<x>"}]}, "adds the token '<x>'"),
        ({"model.vocab": {"[UNK]": 0}}, "Missing in its 1 lines: [PAD]"),
        ({"model.max_input_chars_per_word": 50}, "per_word must be 100"),
    ],
)
def test_tokenizers_that_are_refused(static, changes, expected):
    write_json(static / "tokenizer.json", with_changes(TOKENIZER, changes))
    message = refusal(static)
    assert expected in message and "tokenizer.json" in message


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        (
            {"embeddings": (7, SIZE), "mapping": (7,), "weights": (7,)},
            "has the weights of model2vec (['embeddings', 'mapping', "
            "'weights']). Only embedding.weight is supported: save the folder "
            "again in sentence-transformers, "
            "SentenceTransformer(path).save(new).",
        ),
        ({"embeddings": (7, SIZE)}, "has the weights of model2vec"),
        (
            {"embedding.weight": (7, SIZE), "x": (1,)},
            "must hold the weight embedding.weight alone. Received: "
            "['embedding.weight', 'x'].",
        ),
        ({}, "must hold the weight embedding.weight alone. Received: []."),
        (
            {"embedding.weight": (7,)},
            "embedding.weight must be a table of floating-point numbers. "
            "Received: float32 (7,).",
        ),
        ({"embedding.weight": (7, 0)}, "Received: float32 (7, 0)."),
        ({"embedding.weight": (6, SIZE)}, "Received 7 pieces and 6 rows"),
    ],
)
def test_weights_that_are_refused(static, tensors, expected):
    safetensors_file.write_tensors(
        static / "model.safetensors",
        {name: random_array(shape) for name, shape in tensors.items()},
    )
    assert expected in refusal(static)


def test_a_table_of_whole_numbers_is_refused(static):
    path = static / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"I32"'))
    assert "numbers. Received: int32 (7, 8)." in refusal(static)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tokenizer.json", "There is no file"),
        ("model.safetensors", "has no weights: none of model.safetensors"),
    ],
)
def test_both_files_are_needed(static, name, expected):
    (static / name).unlink()
    message = refusal(static)
    assert expected in message
    assert "tokenizer.json" in message or "pytorch_model.bin" in message


def test_no_value_anywhere_leads_to_another_error(static, spoiled):
    write_json(static / "1_Normalize" / "config.json", {"x": 1})
    refused = 0
    for path in sorted(static.rglob("*.json")):
        value = read_json(path)
        for copy in spoiled(value):
            write_json(path, copy)
            try:
                recognition.open_model(str(static))
            except InputError:
                refused += 1
        write_json(path, value)
    recognition.open_model(str(static))
    assert refused > 100


def test_labse_convert_there_and_back(tmp_path, capsys, small_pieces):
    run = make_run(tmp_path / "run", make_source(small_pieces))
    there, back = (str(tmp_path / name) for name in ("there", "back"))
    for flags in (
        [f"--input={run}", f"--out={there}", "--to=huggingface"],
        [f"--input={there}", f"--out={back}"],
    ):
        assert program.run(convert, flags, "labse convert") == 0

    np.testing.assert_array_equal(
        labse.load(back).encode(TEXTS), labse.load(run).encode(TEXTS)
    )
    said = capsys.readouterr().err
    assert (
        f"{run}: run folder; an averaging network of 8, "
        f"{len(small_pieces)} pieces, at most 12 tokens, pooling mean" in said
    )
    assert f"{there}: sentence-transformers folder (StaticEmbedding)" in said


def test_training_starts_from_such_a_folder(tmp_path):
    """What a network without blocks does not use need not agree."""
    folder = tmp_path / "folder"
    folder_writer.write_folder(make_source(PIECES), str(folder))
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in PIECES))
    asked = {"max_positions": 500, "num_heads": 2, "activation": "gelu"}
    config = make_source(PIECES, 12, **asked).config
    assert open_init(str(folder), config, str(vocabulary)).kind

    other = make_source(PIECES, 12, pooling="mean_tanh").config
    with pytest.raises(InputError, match="Override encoder.pooling=mean"):
        open_init(str(folder), other, str(vocabulary))


def test_such_a_folder_is_pruned_and_grown(tmp_path, small_pieces):
    folder, pruned, grown = (str(tmp_path / name) for name in "fpg")
    folder_writer.write_folder(make_source(small_pieces, 48), folder)
    texts = [text for text in TEXTS[:9] if "\n" not in text]
    (tmp_path / "text.txt").write_text("\n".join(texts), "utf-8")
    (tmp_path / "pieces.txt").write_text("dear\n")

    resizing.prune_vocabulary(
        recognition.open_model(folder),
        Texts([str(tmp_path / "text.txt")], ReadOptions(language="xx")),
        pruned,
    )
    resizing.grow_vocabulary(
        recognition.open_model(pruned), str(tmp_path / "pieces.txt"), grown
    )

    before, smaller, larger = map(labse.load, (folder, pruned, grown))
    assert len(smaller.source.vocabulary) < len(before.source.vocabulary)
    assert larger.source.vocabulary.pieces[-1] == "dear"
    expected = before.encode(texts)
    np.testing.assert_array_equal(smaller.encode(texts), expected)
    np.testing.assert_array_equal(larger.encode(texts), expected)
    # One piece, whose row is the mean of the four before.
    pieces = larger.source.vocabulary.pieces
    table = larger.source.weights[weights.WORD_EMBEDDINGS].read()
    rows = [table[pieces.index(p)] for p in ("d", "##e", "##a", "##r")]
    special = [table[pieces.index(p)] for p in ("[CLS]", "[SEP]")]
    vector = np.mean(rows, axis=0) + sum(special)
    np.testing.assert_allclose(
        larger.encode(["dear"])[0], vector / np.linalg.norm(vector), atol=1e-6
    )


# Against the library itself.


@pytest.fixture(scope="module")
def library(torch):
    """sentence-transformers."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return pytest.importorskip(
        "sentence_transformers",
        reason="sentence-transformers is not installed: pip install "
        "'labse[parity]'",
    )


def open_in(library, path):
    return library.SentenceTransformer(str(path), device="cpu").float()


def assert_vectors_are_close(ours, theirs, limit=1e-6):
    # A model whose vectors are all alike would prove nothing.
    assert np.abs(theirs - theirs[0]).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=limit, rtol=0)


# Against float64 the library's sum of 800 pieces, one after another, is 1.4e-6
# off, ours 0.9e-6.
ROUNDING_OF_LONG_TEXTS = 3e-6


@pytest.mark.parametrize("max_length", [3, 12, 64])
@pytest.mark.parametrize("lower_case", [False, True])
def test_the_library_gives_our_vectors(
    lower_case, max_length, library, tmp_path, small_pieces
):
    pieces = lower_pieces(small_pieces) if lower_case else small_pieces
    run = make_run(
        tmp_path / "run", make_source(pieces, max_length, lower_case)
    )
    # Ordinary words, there too; nothing but space; a mark, which is taken out.
    texts = [*TEXTS, "a [MASK] b [SEP] c", " \n", "a \ue000b"]
    ours = labse.load(run).encode(texts)
    out = tmp_path / "out"

    folder_writer.write_folder(recognition.open_model(run), str(out))

    theirs = open_in(library, out)
    assert_vectors_are_close(ours, theirs.encode(texts))
    np.testing.assert_array_equal(theirs.encode(EMPTY), np.zeros([2, SIZE]))
    np.testing.assert_array_equal(
        labse.load(out).encode([*texts, *EMPTY]),
        labse.load(run).encode([*texts, *EMPTY]),
    )
    theirs.save(str(tmp_path / "again"), create_model_card=False)
    np.testing.assert_array_equal(
        labse.load(tmp_path / "again").encode(texts), ours
    )


def save_with(library, torch, tokenizer, path, dtype="float32", **settings):
    """A model of the library's own, random, saved by it; its vectors."""
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        StaticEmbedding,
    )

    torch.manual_seed(0)
    made = library.SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=SIZE), Normalize()],
        device="cpu",
    )
    made.to(getattr(torch, dtype))
    made.save(str(path), create_model_card=False, **settings)
    return open_in(library, path).encode(TEXTS)


def fast_tokenizer(pieces, lower_case):
    import transformers

    return transformers.BertTokenizerFast(
        vocab={piece: number for number, piece in enumerate(pieces)},
        do_lower_case=lower_case,
    )


@pytest.mark.parametrize("lower_case", [False, True])
@pytest.mark.parametrize("truncation", [None, 1, 10])
def test_what_the_library_saved_is_read(
    truncation, lower_case, library, torch, tmp_path, small_pieces
):
    pieces = lower_pieces(small_pieces) if lower_case else small_pieces
    tokenizer = fast_tokenizer(pieces, lower_case)
    if truncation:
        tokenizer._tokenizer.enable_truncation(truncation)
    theirs = save_with(library, torch, tokenizer, tmp_path / "made")

    # The longest text has 800 pieces.
    longest = None if truncation else 802
    model = labse.load(tmp_path / "made", max_length=longest)

    limit = 1e-6 if truncation else ROUNDING_OF_LONG_TEXTS
    assert_vectors_are_close(model.encode(TEXTS), theirs, limit)
    assert model.source.config.tokenizer.lower_case == lower_case
    if truncation is None:
        # Of the one text with more than 510 pieces the end is cut.
        short = labse.load(tmp_path / "made").encode(TEXTS)
        differ = np.abs(short - theirs).max(axis=1) > 1e-5
        assert list(np.flatnonzero(differ)) == [TEXTS.index("你好世界" * 200)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("safe", [False, True])
def test_every_type_and_both_files_are_read(
    safe, dtype, library, torch, tmp_path, small_pieces
):
    made = tmp_path / "made"
    theirs = save_with(
        *(library, torch, fast_tokenizer(small_pieces, False), made, dtype),
        safe_serialization=safe,
    )

    model = labse.load(made, max_length=1000)

    name = "model.safetensors" if safe else "pytorch_model.bin"
    assert (made / name).is_file()
    assert made / name in model.source.files
    assert_vectors_are_close(
        model.encode(TEXTS), theirs, ROUNDING_OF_LONG_TEXTS
    )
    notes = " ".join(model.source.notes)
    said = f"weights are stored as {dtype} and read as float32"
    assert (said in notes) == (dtype != "float32")


def test_a_bare_tokenizer_of_the_librarys_is_read(
    library, torch, tmp_path, small_pieces
):
    """Without post-processor and added tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    ids = {piece: number for number, piece in enumerate(small_pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_truncation(30)
    tokenizer.enable_padding()  # The library turns it off.
    theirs = save_with(library, torch, tokenizer, tmp_path / "made")
    model = labse.load(tmp_path / "made")
    assert_vectors_are_close(model.encode(TEXTS), theirs)


def test_other_models_of_the_librarys_are_refused(library, torch, tmp_path):
    from tokenizers import Tokenizer, models

    for model in (
        models.BPE({"a": 0, "[UNK]": 1}, [], unk_token="[UNK]"),
        models.Unigram([("[UNK]", 0.0), ("a", -1.0)], 0),
        models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"),
    ):
        made = tmp_path / type(model).__name__
        save_with(library, torch, Tokenizer(model), made)
        message = refusal(made)
        assert f"Received: '{type(model).__name__}'." in message
