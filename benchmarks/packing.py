"""Packed sequences against padded ones: tokens/s, fill, loss, pipeline.

    python benchmarks/packing.py units --texts 'lingua_sentences/??.txt' \
        --vocab=vocab.txt
    python benchmarks/packing.py speed --texts ... --vocab=vocab.txt
    python benchmarks/packing.py loss --texts ... --vocab=vocab.txt

Tokens are real ones, without padding; every contender's batch has about
`--tokens` of them, but at most `--most_rows` sequences. A fifth of a sequence
is predicted, at most 80 tokens; the head is computed for as many in any case.

`units`: for sequences of 512 and 128 tokens and several sizes of a unit, the
sentences a sequence, and the shares of padding and of sentences left out: of
all, of the shortest tenth and of the longest.

`speed`: a training step (a transformer of `--layers` of `--hidden`, batches
from memory), and the input pipeline by itself. They take turns; the best step
counts. CPU time is that of all threads: on a busy machine the steadier figure.

`loss`: the same model trained on `--train_tokens` in all, and its loss on
held-out texts at each quarter of them, with the same masks. A contender whose
batches have fewer tokens takes more steps; with a large `--most_rows` all take
about as many. (Padding to 512 gives what padding to 128 does, but for the few
texts that are longer.)
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from absl import logging
from machine import machine

from labse.configs.pretraining import (
    UNIT_ROWS,
    MaskingConfig,
    PretrainingConfig,
    PretrainingDataConfig,
)
from labse.configs.schema import EncoderConfig, TokenizerConfig, TrainingConfig
from labse.data.packed_records import SAMPLE_RECORDS
from labse.data.pretraining_reader import PretrainingReader, unpacked_batch
from labse.data.records.groups import TEXT
from labse.data.records.manifest import Manifest
from labse.data.records.writer import write_records
from labse.files.texts import Texts
from labse.modeling.masked_lm import MaskedLanguageModel
from labse.preprocessing import sentence_packing as packing
from labse.preprocessing.tokenizer import WordPieceTokenizer
from labse.preprocessing.vocabulary import Vocabulary
from labse.training.optimizer import make_optimizer

HELD_OUT = 512
# Name: length, whether packed.
CONTENDERS = {
    "packed 512": (512, True),
    "packed 128": (128, True),
    "padded 128": (128, False),
    "padded 512": (512, False),
}


class Setup:
    """Texts as records, the tokenizer, and the configurations."""

    def __init__(self, options, folder: str):
        """Reads the texts, in random order, and holds some out."""
        self.options = options
        texts = [text.decode() for _, text in Texts(options.texts)]
        order = np.random.default_rng(0).permutation(len(texts))
        texts = [texts[place] for place in order]
        self.held_out, self.texts = texts[:HELD_OUT], texts[HELD_OUT:]
        path = f"{folder}/texts.txt"
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in self.texts)
        write_records([path], f"{folder}/records", kind=TEXT)
        self.records = f"{folder}/records"
        vocabulary = Vocabulary.read(options.vocab)
        if options.used_pieces:
            vocabulary = used_pieces(vocabulary, texts)
        self.tokenizer = WordPieceTokenizer(vocabulary)
        sample = self.tokenizer.tokenize(self.texts[:SAMPLE_RECORDS])
        self.lengths = sample.row_lengths().numpy() + 2

    def config(self, name: str, seed: int = 0) -> PretrainingConfig:
        """That of a contender, with steps for `--train_tokens`."""
        length, packed = CONTENDERS[name]
        options = self.options
        fill = np.mean(np.minimum(self.lengths, length))
        if packed:
            choice = packing.sentences_per_unit(
                np.minimum(self.lengths, length), UNIT_ROWS, length
            )
            fill = (1 - choice.padding) * length
        rows = options.tokens / fill
        if packed:
            rows = UNIT_ROWS * round(rows / UNIT_ROWS)
        rows = min(round(rows), options.most_rows)
        steps = max(round(options.train_tokens / (rows * fill)), 1)
        return PretrainingConfig(
            encoder=EncoderConfig(
                vocab_size=len(self.tokenizer.vocabulary),
                num_layers=options.layers,
                num_heads=options.hidden // 64,
                hidden_size=options.hidden,
                intermediate_size=4 * options.hidden,
            ),
            tokenizer=TokenizerConfig(max_length=length),
            masking=MaskingConfig(max_masked=min(80, length // 5 + 1)),
            data=PretrainingDataConfig(bilingual_share=0.0, packed=packed),
            training=TrainingConfig(
                global_batch_size=rows,
                num_steps=steps,
                warmup_steps=max(steps // 10, 1),
                learning_rate=1e-3,
                seed=seed,
            ),
        )

    def reader(self, config: PretrainingConfig) -> PretrainingReader:
        """Of the records."""
        records = self.records, Manifest.open(self.records, TEXT)
        return PretrainingReader(records, None, self.tokenizer, config)


def used_pieces(vocabulary: Vocabulary, texts: list[str]) -> Vocabulary:
    """Only the pieces that the texts have, which keep their pieces."""
    ids = WordPieceTokenizer(vocabulary).tokenize(tf.constant(texts))
    ids = {*ids.flat_values.numpy().tolist(), *vocabulary.reserved_ids}
    return Vocabulary([vocabulary.pieces[each] for each in sorted(ids)])


def make_model(config: PretrainingConfig) -> MaskedLanguageModel:
    """A compiled model."""
    tf.random.set_seed(config.training.seed)
    model = MaskedLanguageModel.of_experiment(config)
    model.compile(optimizer=make_optimizer(config.training))
    return model


def real_tokens(batch) -> int:
    """The tokens of a batch without padding."""
    return int(tf.reduce_sum(batch["input_mask"]))


def units(setup: Setup) -> None:
    """Prints what each size of a unit gives."""
    for length in (512, 128):
        lengths = np.minimum(setup.lengths, length)
        padding = 1 - lengths.mean() / length
        print(f"{length} tokens; unpacked: {100 * padding:.1f} % padding")
        for rows in (1, 2, 4, 8, 16):
            found = packing.sentences_per_unit(lengths, rows, length)
            shares = left_out(lengths, found.sentences, rows, length)
            print(
                f"  units of {rows:2}: {found.sentences / rows:5.2f} sentences "
                f"a sequence, {100 * found.padding:4.1f} % padding; left out: "
                + ", ".join(f"{100 * each:.2f} %" for each in shares)
            )


def left_out(
    lengths: np.ndarray, sentences: int, rows: int, length: int
) -> list[float]:
    """The shares left out: of all, the shortest tenth and the longest."""
    count = len(lengths) // sentences
    units = np.reshape(lengths[: count * sentences], [count, sentences])
    units = units.astype(np.int32)
    is_out = packing.find_places(units, rows, length).row.numpy() < 0
    low, high = np.percentile(units, [10, 90])
    return [
        float(is_out[chosen].mean())
        for chosen in (units > 0, units <= low, units >= high)
    ]


def measure_pipeline(dataset, batches: int) -> dict[str, float]:
    """Tokens, seconds and CPU seconds of all batches after the first."""
    iterator = iter(dataset)
    next(iterator)
    started, cpu_started = time.perf_counter(), time.process_time()
    tokens = sum(real_tokens(next(iterator)) for _ in range(batches))
    return {
        "tokens": tokens,
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu_started,
    }


def speed(setup: Setup) -> None:
    """Prints tokens/s of step and pipeline for each contender."""
    steps, found = {}, {}
    for name in setup.options.contenders:
        config = setup.config(name)
        dataset = setup.reader(config).batches(
            range(1000), config.training.global_batch_size
        )
        batch = next(iter(dataset))
        model = make_model(config)
        function = tf.function(model.train_step, autograph=False)
        function((batch,))
        steps[name] = function, batch, dataset
        found[name] = {"seconds": [], "cpu": [], "pipeline": []}
    for _ in range(setup.options.rounds):
        for name, (function, batch, dataset) in steps.items():
            started, cpu_started = time.perf_counter(), time.process_time()
            function((batch,))["loss"].numpy()
            found[name]["seconds"].append(time.perf_counter() - started)
            found[name]["cpu"].append(time.process_time() - cpu_started)
            found[name]["pipeline"].append(measure_pipeline(dataset, 20))
    for name, (_, batch, _) in steps.items():
        report(name, batch, found[name])


def report(name: str, batch, found: dict[str, list]) -> None:
    """Prints a contender's best figures."""
    tokens, mask = real_tokens(batch), batch["input_mask"]
    seconds, cpu = min(found["seconds"]), min(found["cpu"])
    rates = [
        max(each["tokens"] / each[clock] for each in found["pipeline"])
        for clock in ("seconds", "cpu")
    ]
    print(
        f"{name}: {mask.shape[0]:3} sequences, {tokens} tokens, fill "
        f"{100 * tokens / np.prod(mask.shape):4.1f} %; step {seconds:.2f} s, "
        f"{tokens / seconds:6,.0f} tokens/s, {tokens / cpu:6,.0f} a CPU "
        f"second; pipeline {rates[0]:,.0f} tokens/s, {rates[1]:,.0f} a CPU "
        "second",
        flush=True,
    )


def validation_loss(setup: Setup, model) -> float:
    """The mean loss of the masked tokens of the held-out texts."""
    total, count = 0.0, 0.0
    for start in range(0, HELD_OUT, 64):
        batch = unpacked_batch(
            tf.constant(setup.held_out[start : start + 64]),
            setup.tokenizer,
            128,
            MaskingConfig(max_masked=26),
            0,
            tf.range(start, start + 64),
        )
        weights = batch["masked_lm_weights"]
        loss = setup.predict(model, batch)["loss"]
        total += float(tf.reduce_sum(loss * weights))
        count += float(tf.reduce_sum(weights))
    return total / count


def loss(setup: Setup) -> None:
    """Prints the loss on held-out texts after equal tokens."""
    for name in setup.options.contenders:
        for seed in range(setup.options.seeds):
            train(setup, name, seed)


def train(setup: Setup, name: str, seed: int) -> None:
    """Trains a contender, and prints its loss at each quarter of the steps."""
    config = setup.config(name, seed)
    steps = config.training.num_steps
    model = make_model(config)
    function = tf.function(model.train_step, autograph=False)
    setup.predict = tf.function(
        lambda model, batch: model.predict_masked(batch), autograph=False
    )
    dataset = setup.reader(config).batches(
        range(steps), config.training.global_batch_size
    )
    quarters = {-(-steps * quarter // 4) for quarter in range(1, 5)}
    tokens = masked = 0
    for step, batch in enumerate(dataset, 1):
        function((batch,))
        tokens += real_tokens(batch)
        masked += int(tf.reduce_sum(batch["masked_lm_weights"]))
        if step in quarters:
            print(
                f"{name}, seed {seed}, step {step} of {steps}: {tokens:,} "
                f"tokens, {masked:,} of them predicted; held-out loss "
                f"{validation_loss(setup, model):.4f}",
                flush=True,
            )


def main() -> None:
    """Runs one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    programs = {each.__name__: each for each in (units, speed, loss)}
    parser.add_argument("program", choices=programs)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--vocab", required=True, help="vocab.txt")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS)
    )
    parser.add_argument("--tokens", type=int, default=4000, help="of a batch")
    parser.add_argument("--most_rows", type=int, default=32)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument(
        "--used_pieces", action="store_true", help="only pieces of the texts"
    )
    parser.add_argument("--train_tokens", type=int, default=1_600_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    logging.set_verbosity(logging.ERROR)
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        programs[options.program](Setup(options, folder))


if __name__ == "__main__":
    main()
