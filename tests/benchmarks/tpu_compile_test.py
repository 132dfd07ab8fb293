"""The step that TPU's compiler gets is the step that is trained."""

import dataclasses
import importlib
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.compiler.xla.service import hlo_pb2

from labse.configs.schema import (
    DataConfig,
    EncoderConfig,
    ExperimentConfig,
    TokenizerConfig,
    TrainingConfig,
)
from labse.xla import float32_matmul

ROOT = pathlib.Path(__file__).parents[2]
LOWERING = ROOT / ".venv-tpu-lower/bin/python"
CONFIG = ExperimentConfig(
    encoder=EncoderConfig(
        vocab_size=50,
        num_layers=2,
        num_heads=2,
        hidden_size=8,
        intermediate_size=16,
        max_positions=16,
        initializer_range=0.3,
    ),
    tokenizer=TokenizerConfig(max_length=8),
    data=DataConfig(length_buckets=(4,), length_chunks=2),
    training=TrainingConfig(
        num_steps=10, warmup_steps=0, compute_dtype="mixed_bfloat16"
    ),
)


@pytest.fixture
def benchmark(monkeypatch):
    """A module of benchmarks/, which is no package of the project."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def values(specs):
    """Random pieces; the second half of each row is padding."""
    random = np.random.default_rng(0)
    pieces = {
        name: random.integers(5, 50, size=spec.shape)
        for name, spec in specs.items()
    }
    pieces["input_mask"] = np.ones_like(pieces["input_mask"])
    pieces["input_mask"][..., 6:] = 0
    pieces["input_type_ids"][:] = 0
    return {name: tf.constant(ids, tf.int32) for name, ids in pieces.items()}


def read(handles, specs):
    return [
        tf.raw_ops.ReadVariableOp(resource=handle, dtype=spec.dtype)
        for handle, spec in zip(handles, specs, strict=True)
    ]


@pytest.fixture
def as_traced():
    """TensorFlow runs graphs as they are.

    Its optimizer would fuse different operations of the two, and AdamW makes
    steps of equal size of gradients that are zero but for rounding.
    """
    options = {"disable_meta_optimizer": True}
    tf.config.optimizer.set_experimental_options(options)
    yield
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": False}
    )


@pytest.mark.parametrize("chunk", [0, 2], ids=["direct", "gradient_cache"])
def test_the_replayed_step_gives_the_weights_of_the_step(
    benchmark, as_traced, chunk
):
    """Two steps: buckets, hard negatives, dropout, clipping and AdamW."""
    lower = benchmark("tpu_compile.lower")
    replayed_step = benchmark("tpu_compile.replayed_step")
    tf_keras.utils.set_random_seed(0)
    training = dataclasses.replace(CONFIG.training, gradient_cache_chunk=chunk)
    model = lower.make_model(dataclasses.replace(CONFIG, training=training))
    specs = lower.batch_specs(CONFIG, 4, hard_negatives=2)
    batch = {
        name: values(side) if name != "truncated" else tf.zeros(4, tf.int32)
        for name, side in specs.items()
    }
    concrete = tf.function(
        lambda data: model.train_step((data,)), autograph=False
    ).get_concrete_function(specs)
    replayed = replayed_step.ReplayedStep(concrete)
    arguments = tf.nest.flatten(batch)
    value_specs = replayed.specs[len(arguments) :]
    function = tf.function(replayed, autograph=False)
    for _ in range(2):
        before = read(replayed.handles, value_specs)
        results = function(*arguments, *before)
        metrics = concrete(*arguments)
        after = read(replayed.handles, value_specs)
        new = dict(
            zip(
                replayed.updated,
                results[replayed.num_outputs :],
                strict=True,
            )
        )
        changed = 0
        for index, value in enumerate(after):
            moved = np.abs(value - before[index]).max() > 0
            changed += moved
            assert index in new or not moved
            if index in new:
                np.testing.assert_allclose(
                    new[index], value, rtol=1e-6, atol=1e-6
                )
        # 5 + 2 * 16 weights with two slots each, the step and the metrics.
        assert changed > 3 * 37
        np.testing.assert_allclose(
            results[: replayed.num_outputs],
            tf.nest.flatten(metrics),
            rtol=1e-6,
        )
    for (output, argument), index in zip(
        replayed.aliases(), replayed.updated, strict=True
    ):
        spec = replayed.specs[argument]
        assert spec == value_specs[index]
        assert results[output].shape == spec.shape


def test_products_are_listed_by_the_precision_that_they_ask_for(benchmark):
    lower = benchmark("tpu_compile.lower")

    @tf.function(jit_compile=True)
    def products(a, b):
        half = tf.cast(a, tf.bfloat16)
        return (
            tf.matmul(a, b),
            float32_matmul(b, a),
            tf.matmul(half, tf.cast(b, tf.bfloat16)),
        )

    arguments = tf.ones([2, 3]), tf.ones([3, 2])
    products(*arguments)
    data = products.experimental_get_compiler_ir(*arguments)(
        stage="hlo_serialized"
    )
    module = hlo_pb2.HloModuleProto.FromString(data)
    assert lower.float32_products(module) == {
        "default": ["[2, 3] x [3, 2]"],
        "highest": ["[3, 2] x [2, 3]"],
    }


# As libtpu prints it, shortened.
PROGRAM = """
  %a = f32[128,256]{1,0:T(8,128)} parameter(0)
  %b = f32[256,64]{1,0:T(8,128)} parameter(1)
  %half = bf16[256,64]{1,0:T(8,128)(2,1)} fusion(%b), kind=kLoop
  %one = f32[128,64]{1,0} convolution(%a, %b), dim_labels=bf_io->bf, \
operand_precision={highest,highest}, backend_config={"estimated_cycles":"20"}
  ROOT %two = f32[128,64]{1,0} convolution(%a, %b), dim_labels=bf_io->bf
  %three = bf16[128,64]{1,0} convolution(%a, %half), dim_labels=bf_io->bf
  %all-reduce.1 = (f32[32,64]{1,0}, s32[32,2]{1,0}) all-reduce(%x, %y)
  %all-reduce.2 = f32[2]{0} all-reduce(%z), \
backend_config={"estimated_cycles":"3"}
"""


def test_a_compiled_program_is_described_by_its_text(benchmark):
    describe = benchmark("tpu_compile.compiled_program").describe
    assert describe(PROGRAM) == {
        # 32 * 64 + 2 floats of 4 bytes, and 32 * 2 integers of 4.
        "all_reduced_mib": {"f32": 0.008, "s32": 0.0},
        "low_precision_products": [
            "f32[128,64]{1,0} = f32[128,256]{1,0:T(8,128)}, "
            "f32[256,64]{1,0:T(8,128)}"
        ],
        "estimated_cycles": 23,
    }


def test_the_table_has_what_is_known(benchmark):
    main = benchmark("tpu_compile.__main__")
    fits = {"fits": True, "gib": {"total": 14.44}, "flops": 1.73e13}
    too_large = {"fits": False, "gib": {"total": 17.27}, "reason": "..."}
    text = main.table(
        {"base": {"v3": fits}, "base_256": {"v3": too_large, "v5p": fits}}
    )
    assert text.splitlines()[2:] == [
        "| `labse_base` | 14.4 |  |  |  |  | 17.3 |",
        "| ... 256 pairs | no: 17.3 |  |  | 14.4 |  | 17.3 |",
    ]


@pytest.fixture
def code(benchmark, tmp_path):
    """A copy of the code that a fingerprint covers."""
    module = benchmark("tpu_compile.fingerprint")
    for source in module._SOURCES:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / source, tmp_path / source)
    base = benchmark("tpu_compile.configurations").CONFIGURATIONS["base"]
    return lambda change=base: module.fingerprint(change, tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("labse/losses/block_size.py", "2**22", "2**21"),
        ("labse/xla.py", "HIGHEST", "DEFAULT"),
        ("labse/modeling/dual_encoder.py", "import tensorflow as tf\n", ""),
        ("labse/configs/labse_base.yaml", "\n", "\n\n"),
        ("benchmarks/tpu_compile/lower.py", "build(", "call("),
    ],
)
def test_other_code_has_another_fingerprint(code, tmp_path, name, old, new):
    before = code()
    path = tmp_path / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert code() != before


def test_what_is_said_about_code_has_no_fingerprint(code, tmp_path, benchmark):
    before = code()
    path = tmp_path / "labse/losses/block_size.py"
    path.write_text(
        "# Other words.\n" + path.read_text().replace("How", "W", 1)
    )
    preset = tmp_path / "labse/configs/labse_large.yaml"
    preset.write_text("another: preset\n")
    assert code() == before
    base = benchmark("tpu_compile.configurations").CONFIGURATIONS["base"]
    assert code(dataclasses.replace(base, title="Other")) == before
    assert code(dataclasses.replace(base, rows=64)) != before


def test_results_of_other_code_are_kept_apart(benchmark):
    main = benchmark("tpu_compile.__main__")
    own = main.fingerprint(main.CONFIGURATIONS["base"])
    results = {"base": {own: {"v3": "new"}, "0": {"v3": "old", "v4": "old"}}}
    found = main.of_this_code(results)
    assert found["base"] == {"v3": "new"}
    assert set().union(*found.values()) == {"v3"}


# With everything that a step may contain.
STEPS = {
    "direct": ("labse_tiny", 1000, "--hard_negatives=1"),
    "gradient_cache": (
        "labse_tiny",
        1000,
        "--hard_negatives=1",
        "--override=training.gradient_cache_chunk=8",
    ),
    # Logits in chunks of the pieces.
    "pretraining": ("pretrain_tiny", 300_000),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [pytest.param(STEPS[name], id=name) for name in STEPS]
)
def test_every_operation_of_the_step_has_a_kernel_for_tpu(tmp_path, arguments):
    if not LOWERING.exists():
        pytest.skip(
            "TensorFlow's build for TPU is not there: "
            "make tpu-compile-environments"
        )
    out = tmp_path / "step.hlo"
    preset, pieces, *flags = arguments
    subprocess.run(
        [
            LOWERING,
            *("-m", "benchmarks.tpu_compile.lower"),
            *(f"--preset={preset}", f"--out={out}"),
            "--override=training.rematerialize=true",
            "--override=training.compute_dtype=mixed_bfloat16",
            "--override=encoder.pooling=cls_tanh",
            f"--override=encoder.vocab_size={pieces}",
            *flags,
        ],
        cwd=ROOT,
        check=True,
    )
    assert out.stat().st_size > 10_000
