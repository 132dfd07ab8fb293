"""Against Model Garden's head and NumPy, and replicas against one batch."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.nlp.modeling import layers

from labse.configs.pretraining import PretrainingConfig
from labse.configs.schema import EncoderConfig, TokenizerConfig, TrainingConfig
from labse.features import (
    BILINGUAL,
    MASKED_IDS,
    MASKED_POSITIONS,
    MASKED_WEIGHTS,
    MODEL_INPUTS,
)
from labse.losses import masked_lm_loss as loss_module
from labse.modeling import masked_lm as module
from labse.modeling.masked_lm import MaskedLanguageModel, tied_lookup
from labse.modeling.sentence_encoder import SentenceEncoder
from labse.training.optimizer import make_optimizer

ROWS, LENGTH, MASKED = 8, 6, 3
ENCODER = EncoderConfig(
    vocab_size=50,
    num_layers=1,
    num_heads=2,
    hidden_size=8,
    intermediate_size=16,
    max_positions=16,
    dropout=0.0,
    attention_dropout=0.0,
    initializer_range=0.3,
)
# Of each of the 8 sequences: 12 in all; of the two halves 8 and 4, of the four
# quarters 5, 3, 4 and 0.
NUM_MASKED = [3, 2, 1, 2, 1, 3, 0, 0]


def batch(seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(4, LENGTH + 1, size=(ROWS, 1))
    mask = (np.arange(LENGTH) < lengths).astype(np.int32)
    ids = random.integers(5, 50, size=mask.shape).astype(np.int32) * mask
    weights = np.arange(MASKED) < np.array(NUM_MASKED)[:, None]
    positions = np.array([random.permutation(4)[:MASKED] for _ in range(ROWS)])
    values = (ids, mask, np.zeros_like(ids))
    return {
        **dict(zip(MODEL_INPUTS, values, strict=True)),
        MASKED_POSITIONS: (positions * weights).astype(np.int32),
        MASKED_IDS: random.integers(5, 50, [ROWS, MASKED]).astype(np.int32)
        * weights,
        MASKED_WEIGHTS: weights.astype(np.float32),
        BILINGUAL: np.int32(np.arange(ROWS) % 2),
    }


def make_model(
    strategy=None,
    compute_dtype="float32",
    rematerialize=False,
    optimizer=None,
    **changes,
):
    """A model whose biases and layer norms are not zeros and ones."""
    tf_keras.utils.set_random_seed(3)
    strategy = strategy or tf.distribute.get_strategy()
    config = dataclasses.replace(ENCODER, **changes)
    with strategy.scope():
        encoder = SentenceEncoder(config, compute_dtype, rematerialize)
        model = MaskedLanguageModel(encoder)
        model.build()
        optimizer = (optimizer or (lambda: tf_keras.optimizers.SGD(1.0)))()
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer)
    random = np.random.default_rng(2)
    for variable in model.trainable_variables:
        noise = random.normal(0, 0.2, size=variable.shape)
        variable.assign(variable.numpy() + noise.astype(np.float32))
    return model


cached_model = functools.lru_cache(make_model)


@pytest.mark.parametrize("chunk", [50, 7])
def test_the_head_is_that_of_model_garden(chunk, monkeypatch, tmp_path):
    """Loss, correctness and gradients; a checkpoint of ours is theirs too."""
    monkeypatch.setattr(loss_module, "chunk_size", lambda rows, pieces: chunk)
    model, data = cached_model(), batch()
    head, table = model.head, model.encoder.transformer.word_table
    theirs = layers.MaskedLM(
        tf.Variable(table),
        activation=model.encoder.transformer.activation,
        name="cls/predictions",
    )
    random = np.random.default_rng(5)
    hidden = random.normal(size=[ROWS, LENGTH, 8]).astype(np.float32)
    positions = tf.constant(data[MASKED_POSITIONS])
    theirs(hidden, positions)
    pairs = {v.name: v for v in theirs.variables if "predictions" in v.name}
    assert {v.name for v in head.variables} == pairs.keys()
    # `BertPretrainerV2.checkpoint_items` has it under this name.
    saved = tf.train.Checkpoint(masked_lm=head).save(tmp_path / "head")
    status = tf.train.Checkpoint(masked_lm=theirs).restore(saved)
    status.assert_nontrivial_match().expect_partial()
    labels = data[MASKED_IDS].reshape(-1)
    with tf.GradientTape(persistent=True) as tape:
        sequences = tf.constant(hidden)
        tape.watch([sequences, table])
        rows = tf.gather(sequences, positions, batch_dims=1)
        rows = tf.reshape(rows, [-1, 8])
        loss, correct = head(rows, table, labels)
        logits = theirs(sequences, positions)  # [batch, masked, V]
        logits = tf.reshape(logits, [-1, 50])
        expected = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, logits
        )
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(correct, np.argmax(logits, axis=1) == labels)
    ours = {v.name: v for v in head.variables}
    for one, other in [
        (sequences, sequences),
        (table, theirs.embedding_table),
        *((ours[name], pairs[name]) for name in ours),
    ]:
        found, wanted = tape.gradient(loss, one), tape.gradient(expected, other)
        wanted = tf.convert_to_tensor(wanted)
        assert np.abs(wanted).max() > 1e-3
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_loss_is_that_of_numpy():
    model, data = cached_model(), batch()
    outputs = model.encoder.transformer(
        {name: tf.constant(data[name]) for name in MODEL_INPUTS}
    )["sequence_output"].numpy()
    weights = {v.name.split("predictions/")[1]: v for v in model.head.variables}
    weights = {name: v.numpy() for name, v in weights.items()}
    expected = np.zeros([ROWS, MASKED])
    for row in range(ROWS):
        for place, position in enumerate(data[MASKED_POSITIONS][row]):
            x = outputs[row, position] @ weights["transform/dense/kernel:0"]
            x = x + weights["transform/dense/bias:0"]
            inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
            x = x * 0.5 * (1 + np.tanh(inner))
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-12)
            x = x * weights["transform/LayerNorm/gamma:0"]
            x = x + weights["transform/LayerNorm/beta:0"]
            table = model.encoder.transformer.word_table.numpy()
            logits = table @ x + weights["output_bias/bias:0"]
            label = data[MASKED_IDS][row, place]
            expected[row, place] = np.log(np.exp(logits).sum()) - logits[label]
    found = model.predict_masked(data)
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5, atol=1e-5)


def test_the_table_has_the_gradient_of_both_its_uses():
    """Against TensorFlow's, of a table that is read twice; ids occur twice."""
    table = tf.constant(np.random.default_rng(0).normal(size=[6, 3]))
    ids = tf.constant([[1, 4], [4, 4]])

    def loss(rows, table):
        return tf.reduce_sum(rows**3) + tf.reduce_sum(tf.sin(table))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(table)
        ours = loss(*tied_lookup(table, ids))
        theirs = loss(tf.gather(table, ids), table)
    np.testing.assert_allclose(ours, theirs)
    np.testing.assert_allclose(
        tape.gradient(ours, table),
        tf.convert_to_tensor(tape.gradient(theirs, table)),
    )


def mirrored(replicas):
    if replicas == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        # CPU collectives keep one group for a process; groups of two and of
        # four cannot follow each other.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def step(replicas, data, **options):
    """Metrics, and the gradients by the variables' names: one step of SGD."""
    strategy = mirrored(replicas)
    model = make_model(strategy, **options)
    before = {w.name: w.numpy() for w in model.trainable_variables}

    def of_replica(value):
        parts = tf.split(tf.constant(value), replicas)
        if replicas == 1:
            return parts[0]
        return strategy.experimental_distribute_values_from_function(
            lambda replica: parts[replica.replica_id_in_sync_group]
        )

    data = tf.nest.map_structure(of_replica, data)
    tf.function(lambda: strategy.run(model.train_step, (data,)))()
    gradients = {
        w.name: before[w.name] - w.numpy() for w in model.trainable_variables
    }
    return {m.name: m.result().numpy() for m in model.metrics}, gradients


cached_step = functools.lru_cache(lambda: step(1, batch()))


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max(np.abs(one[name] - other[name]).max() for name in one)


@pytest.mark.parametrize("replicas, chunk", [(2, 50), (4, 7)])
def test_replicas_give_the_loss_and_gradients_of_one_batch(
    replicas, chunk, monkeypatch
):
    """Though they mask 8 and 4 tokens, or 5, 3, 4 and none."""
    metrics, gradients = cached_step()
    monkeypatch.setattr(loss_module, "chunk_size", lambda rows, pieces: chunk)
    spread_metrics, spread = step(replicas, batch())
    for name, value in metrics.items():
        assert spread_metrics[name] == pytest.approx(value, rel=1e-6), name
    assert max(np.abs(x).max() for x in gradients.values()) > 0.1
    assert largest_difference(spread, gradients) < 1e-6


def test_the_mean_of_the_replicas_means_is_another_loss(monkeypatch):
    """The negative control of the test above."""
    _, gradients = cached_step()
    monkeypatch.setattr(module, "cross_replica_sum", lambda x: 2 * x)
    _, spread = step(2, batch())
    assert largest_difference(spread, gradients) > 0.01


def test_metrics_are_means_over_masked_tokens():
    model, data = make_model(), batch()
    found = model.predict_masked(data)
    # Some pieces that the model would predict.
    best = np.argmin(found["loss"].numpy(), axis=1)
    for row in range(0, ROWS, 3):
        losses = []
        for piece in range(50):
            changed = data[MASKED_IDS].copy()
            changed[row, best[row]] = piece
            result = model.predict_masked({**data, MASKED_IDS: changed})
            losses.append(result["loss"].numpy()[row, best[row]])
        data[MASKED_IDS][row, best[row]] = np.argmin(losses)
    found = {name: x.numpy() for name, x in model.predict_masked(data).items()}
    result = model.test_on_batch(data, return_dict=True)
    weights = data[MASKED_WEIGHTS]
    for kind, rows in {
        "": slice(None),
        "mlm_": slice(0, None, 2),
        "tlm_": slice(1, None, 2),
    }.items():
        for name, key in (("loss", "loss"), ("accuracy", "correct")):
            expected = np.average(found[key][rows], weights=weights[rows])
            assert result[kind + name] == pytest.approx(expected, rel=1e-5)
    assert 0 < result["accuracy"] < 1
    assert result["tlm_accuracy"] != result["mlm_accuracy"]
    assert result["tokens"] == pytest.approx(data["input_mask"].sum() / ROWS)


def test_padding_among_the_masked_tokens_counts_for_nothing():
    metrics, gradients = cached_step()
    data = batch()
    padding = data[MASKED_WEIGHTS] == 0
    data[MASKED_POSITIONS][padding] = 2
    data[MASKED_IDS][padding] = 7
    changed_metrics, changed = step(1, data)
    assert changed_metrics == pytest.approx(metrics, rel=1e-6)
    assert largest_difference(changed, gradients) < 1e-6


def test_without_masked_tokens_nothing_is_learned_and_nothing_breaks():
    data = batch()
    data[MASKED_WEIGHTS][:] = 0
    metrics, gradients = step(1, data)
    assert metrics["loss"] == 0
    assert max(np.abs(x).max() for x in gradients.values()) == 0


def test_the_pooler_is_kept_and_not_trained():
    for pooling in ("cls", "cls_tanh"):
        model = cached_model(pooling=pooling)
        trained = {v.name for v in model.trainable_variables}
        names = {v.name for v in model.encoder.variables}
        assert {n for n in names if "pooler" in n} == names - trained
        assert len(names - trained) == 2
        assert len(trained) == 5 + 16 + 5


def test_dropout_follows_from_seed_and_step():
    options = {"dropout": 0.5, "attention_dropout": 0.5}
    one, other = (step(1, batch(), **options) for _ in range(2))
    assert largest_difference(one[1], other[1]) == 0
    model = make_model(**options)
    losses = []
    for seed, iteration in ((0, 0), (1, 0), (0, 1)):
        model.seed = seed
        model.optimizer.iterations.assign(iteration)
        losses.append(model.replica_loss(batch(), training=True).numpy())
    assert losses[0] == pytest.approx(one[0]["loss"], rel=1e-6)
    assert len(set(losses)) == 3
    # A later stage counts from 0 again.
    model.seed, model.first_step = 0, 1
    model.optimizer.iterations.assign(0)
    again = model.replica_loss(batch(), training=True).numpy()
    assert again == losses[2]


def test_replicas_drop_out_by_themselves():
    """Equal sequences on two replicas draw other masks."""
    data = {name: np.repeat(x[:1], 2, axis=0) for name, x in batch().items()}
    strategy = mirrored(2)
    model = make_model(strategy, dropout=0.5)

    def loss():
        return model.replica_loss(
            {name: tf.constant(x[:1]) for name, x in data.items()}, True
        )

    losses = strategy.experimental_local_results(
        tf.function(lambda: strategy.run(loss))()
    )
    assert losses[0].numpy() != losses[1].numpy()


def test_rematerialised_blocks_have_the_same_gradients():
    options = {"dropout": 0.3, "attention_dropout": 0.3}
    metrics, gradients = step(1, batch(), **options)
    again_metrics, again = step(1, batch(), rematerialize=True, **options)
    assert again_metrics == pytest.approx(metrics, rel=1e-6)
    assert largest_difference(again, gradients) < 1e-6


def test_mixed_bfloat16_is_close_and_nothing_falls_back(monkeypatch):
    metrics, gradients = cached_step()
    for chunk in (50, 7):
        monkeypatch.setattr(
            loss_module, "chunk_size", lambda rows, pieces, chunk=chunk: chunk
        )
        found, rounded = step(1, batch(), compute_dtype="mixed_bfloat16")
        assert found["loss"] == pytest.approx(metrics["loss"], rel=0.02)
        assert found["loss"] != metrics["loss"]
        for name, gradient in gradients.items():
            if "key/bias" in name:  # Zero, but for rounding.
                continue
            scale = np.abs(gradient).max()
            assert np.abs(rounded[name] - gradient).max() < 0.1 * scale, name
    model = make_model(compute_dtype="mixed_bfloat16")
    assert all(w.dtype == tf.float32 for w in model.trainable_variables)
    graph = (
        tf.function(lambda inputs: model.train_step((inputs,)))
        .get_concrete_function(tf.nest.map_structure(tf.constant, batch()))
        .graph
    )
    types = {operation.type for operation in graph.get_operations()}
    # MatMul of a float32 and a bfloat16 argument becomes SparseMatMul.
    assert "SparseMatMul" not in types


def adamw():
    return make_optimizer(TrainingConfig(warmup_steps=1))


def test_a_step_with_adamw_compiled_by_xla(monkeypatch):
    monkeypatch.setattr(loss_module, "chunk_size", lambda rows, pieces: 7)
    results = []
    for compiled in (False, True):
        model = make_model(optimizer=adamw)
        data = tf.nest.map_structure(tf.constant, batch())
        function = tf.function(
            lambda data, model=model: model.loss_and_gradients(data),
            jit_compile=compiled,
        )
        loss, gradients = function(data)
        model.optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        weights = {v.name: v.numpy() for v in model.trainable_variables}
        gradients = dict(zip(weights, map(np.asarray, gradients), strict=True))
        results.append((loss, weights, gradients))
    (loss, _, gradients), (compiled_loss, _, compiled) = results
    np.testing.assert_allclose(compiled_loss, loss, rtol=1e-6)
    assert largest_difference(compiled, gradients) < 1e-6


def test_the_step_obeys_tpu_rules(monkeypatch):
    """Static shapes, no strings, and no `tf.IndexedSlices` for the table."""
    monkeypatch.setattr(loss_module, "chunk_size", lambda rows, pieces: 7)
    model = make_model(optimizer=adamw)
    function = tf.function(lambda inputs: model.train_step((inputs,)))
    graph = function.get_concrete_function(
        tf.nest.map_structure(tf.constant, batch())
    ).graph
    for operation in graph.get_operations():
        for output in operation.outputs:
            assert output.dtype != tf.string, operation.name
            if output.dtype.is_floating:
                assert output.shape.is_fully_defined(), operation

    def kinds(inputs):
        _, gradients = model.loss_and_gradients(inputs)
        assert all(isinstance(x, tf.Tensor) for x in gradients)
        return gradients[0]

    tf.function(kinds).get_concrete_function(
        tf.nest.map_structure(tf.constant, batch())
    )


def test_of_an_experiment():
    config = PretrainingConfig(
        encoder=ENCODER,
        tokenizer=TokenizerConfig(max_length=16),
        training=TrainingConfig(
            seed=4, compute_dtype="mixed_bfloat16", rematerialize=True
        ),
    )
    model = MaskedLanguageModel.of_experiment(config)
    assert model.seed == 4
    assert model.encoder.config == ENCODER
    assert model.encoder.transformer.compute_dtype == "bfloat16"
    assert model.encoder.rematerialize
    stage = MaskedLanguageModel.of_experiment(config, num_layers=2)
    assert len(stage.encoder.transformer.transformer_layers) == 2
    assert len(model.encoder.transformer.transformer_layers) == 1
    kernel = model.head.dense.kernel.numpy()
    # As the encoder's: a normal distribution cut at two standard deviations.
    assert 0.4 < np.abs(kernel).max() <= 0.6


def test_plain_keras_fit_learns(monkeypatch):
    """In chunks, and several steps in one call of the graph."""
    monkeypatch.setattr(loss_module, "chunk_size", lambda rows, pieces: 7)
    model = make_model(optimizer=lambda: tf_keras.optimizers.Adam(0.02))
    model.compile(optimizer=model.optimizer, steps_per_execution=5)
    dataset = tf.data.Dataset.from_tensors(batch()).repeat()
    history = model.fit(dataset, steps_per_epoch=20, epochs=2, verbose=0)
    first, last = history.history["loss"]
    assert last < first / 2
    assert history.history["accuracy"][1] > 0.9
