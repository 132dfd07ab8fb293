"""`labse_small_open` trained with sentence-transformers in the same time.

    python benchmarks/small_open_peer.py --run=RUN --train=TSV --out=PEER
    labse evaluate --model=PEER --task=tatoeba --data=DATA --out=PEER-tatoeba

RUN is our finished run. These are the same as in it: the encoder's shape,
activation, dropout and pooling, the vocabulary, the maximum lengths, the batch
size, AdamW's settings, the norm of gradient clipping (ours clips the rows of a
piece one by one, theirs their sum), the scale of the loss, the seed, the
training time and the file of pairs. An encoder without blocks is the library's
`StaticEmbedding`, which has no dropout. Everything else is as the library does
it:

- `MultipleNegativesRankingLoss` in both directions, without a margin, the mean
  of the two where ours is their sum;
- batches without duplicates (`NO_DUPLICATES_HASHED`), which the library
  recommends for this loss, where ours masks them;
- each pair as often as it occurs in the file, where ours balances languages
  (`data.language_exponent`) and corpora (`data.corpus_weights`); the library
  has neither for pairs;
- float32 or bfloat16 autocast, whichever makes the faster step on this machine
  in a short trial before the clock starts.

The learning rate follows the same schedule as ours, over time instead of steps,
because the number of steps is not known in advance. Reading the pairs, the
trial and the library's hashing are not counted.

Run it with the interpreter of the peer's environment; it imports nothing of
this project.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import datasets
import sentence_transformers
import torch
import yaml
from machine import machine
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses, modules
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    TrainerCallback,
    logging,
)

ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh"}
POOLINGS = ("mean", "cls")
TRIAL_STEPS = 4
LAST_LOSSES = 50
SAY_EVERY = 60.0  # seconds


@dataclasses.dataclass
class Clock:
    """Measures how much of the training is done, from the first step on."""

    seconds: float | None
    max_steps: int | None
    says: bool = True
    now: Callable[[], float] = time.perf_counter
    steps: int = 0
    elapsed: float = 0.0
    shortest: float = float("inf")  # of all steps

    def start(self) -> None:
        """To be called before the first step."""
        self._start = self._said = self.now()

    def tick(self) -> None:
        """To be called after each step."""
        self.steps += 1
        now = self.now()
        self.shortest = min(self.shortest, now - self._start - self.elapsed)
        self.elapsed = now - self._start
        if self.says and now - self._said > SAY_EVERY:
            self._said = now
            print(f"{self.elapsed:.0f} s: step {self.steps}", flush=True)

    def share(self, steps: int) -> float:
        """The share of the training that is done after `steps`, 0 to 1."""
        if self.max_steps:
            return min(steps / self.max_steps, 1.0)
        expected = self.elapsed * steps / self.steps if self.steps else 0.0
        return min(expected / self.seconds, 1.0)

    @property
    def is_over(self) -> bool:
        """Whether to stop."""
        return self.share(self.steps) >= 1.0


class Stop(TrainerCallback):
    """Stops training when the clock is over."""

    def __init__(self, clock: Clock):
        self._clock = clock

    def on_step_begin(self, args, state, control, **kwargs):
        """Starts the clock at the first step."""
        if state.global_step == 0:
            self._clock.start()

    def on_step_end(self, args, state, control, **kwargs):
        """Advances the clock."""
        self._clock.tick()
        control.should_training_stop = self._clock.is_over


class Trainer(SentenceTransformerTrainer):
    """The library's, with our schedule; remembers the last losses."""

    def __init__(self, clock: Clock, warmup_share: float, **kwargs):
        super().__init__(callbacks=[Stop(clock)], **kwargs)
        self._clock = clock
        self._warmup_share = warmup_share
        self.last_losses = collections.deque(maxlen=LAST_LOSSES)

    def create_scheduler(self, num_training_steps, optimizer=None):
        """Linear warm-up, linear decay to zero when the time is over."""

        def factor(step):
            done = self._clock.share(step)
            next_done = self._clock.share(step + 1)
            if not next_done:  # The first step: nothing is known yet.
                return 0.01
            warmup = next_done / max(self._warmup_share, 1e-9)
            return min(warmup, (1.0 - done) / (1.0 - self._warmup_share))

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, factor
        )
        return self.lr_scheduler

    def training_step(self, *args, **kwargs):
        """Remembers the loss."""
        loss = super().training_step(*args, **kwargs)
        self.last_losses.append(loss.detach())
        return loss


def make_model(config: dict, vocabulary: pathlib.Path) -> SentenceTransformer:
    """The run's encoder with fresh weights."""
    encoder = config["encoder"]
    if encoder["pooling"] not in POOLINGS:
        sys.exit(f"The peer pools by {POOLINGS}, not {encoder['pooling']}.")
    torch.manual_seed(config["training"]["seed"])
    tokenizer = BertTokenizerFast(
        str(vocabulary), do_lower_case=config["tokenizer"]["lower_case"]
    )
    make = make_bert if encoder["num_layers"] else make_static_embedding
    return SentenceTransformer(
        modules=[*make(config, tokenizer), modules.Normalize()], device="cpu"
    )


def make_static_embedding(
    config: dict, tokenizer: BertTokenizerFast
) -> list[torch.nn.Module]:
    """The library's averaging network, initialised as ours."""
    encoder = config["encoder"]
    table = torch.empty(encoder["vocab_size"], encoder["hidden_size"])
    torch.nn.init.trunc_normal_(table, std=encoder["initializer_range"])
    fast = tokenizer.backend_tokenizer
    cut(fast, training_length(config))
    return [modules.StaticEmbedding(fast, embedding_weights=table)]


def training_length(config: dict) -> int:
    """The longest text while training, with [CLS] and [SEP]."""
    longest = config["tokenizer"]["max_length"]
    return config["data"].get("max_length") or longest


def cut(tokenizer, max_length: int) -> None:
    """Truncates texts where ours are; these have no [CLS] and no [SEP]."""
    tokenizer.enable_truncation(max_length - 2)


def make_bert(
    config: dict, tokenizer: BertTokenizerFast
) -> list[torch.nn.Module]:
    """BERT and its pooling."""
    encoder = config["encoder"]
    bert = BertConfig(
        vocab_size=encoder["vocab_size"],
        hidden_size=encoder["hidden_size"],
        num_hidden_layers=encoder["num_layers"],
        num_attention_heads=encoder["num_heads"],
        intermediate_size=encoder["intermediate_size"],
        max_position_embeddings=encoder["max_positions"],
        type_vocab_size=encoder["type_vocab_size"],
        hidden_act=ACTIVATIONS[encoder["activation"]],
        hidden_dropout_prob=encoder["dropout"],
        attention_probs_dropout_prob=encoder["attention_dropout"],
        initializer_range=encoder["initializer_range"],
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(bert, add_pooling_layer=False).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        transformer = modules.Transformer(
            folder, max_seq_length=training_length(config)
        )
    size = encoder["hidden_size"]
    return [
        transformer,
        modules.Pooling(size, pooling_mode=encoder["pooling"]),
    ]


def read_pairs(path: pathlib.Path) -> datasets.Dataset:
    """The source and target of every line of a TSV file with a header."""
    with open(path, encoding="utf-8", newline="\n") as file:
        names = next(file).rstrip("\n").split("\t")
        places = names.index("source"), names.index("target")
        rows = [line.rstrip("\n").split("\t") for line in file]
    return datasets.Dataset.from_dict(
        {
            name: [row[place] for row in rows]
            for name, place in zip(("anchor", "positive"), places, strict=True)
        }
    )


def train(
    model: SentenceTransformer,
    pairs: datasets.Dataset,
    config: dict,
    compute_dtype: str,
    clock: Clock,
) -> float:
    """Trains until the clock is over; returns the mean of the last losses."""
    training = config["training"]
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            max_steps=clock.max_steps or 10**9,
            per_device_train_batch_size=training["global_batch_size"],
            learning_rate=training["learning_rate"],
            weight_decay=training["weight_decay"],
            adam_beta1=training["adam_beta_1"],
            adam_beta2=training["adam_beta_2"],
            adam_epsilon=training["adam_epsilon"],
            max_grad_norm=training["gradient_clip_norm"],
            seed=training["seed"],
            bf16=compute_dtype == "bfloat16",
            use_cpu=True,
            batch_sampler="no_duplicates_hashed",
            dataloader_drop_last=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            clock,
            training["warmup_steps"] / training["num_steps"],
            model=model,
            args=arguments,
            train_dataset=pairs,
            loss=losses.MultipleNegativesRankingLoss(
                model,
                scale=config["loss"]["logit_scale"],
                directions=("query_to_doc", "doc_to_query"),
                partition_mode="per_direction",
            ),
        )
        trainer.train()
    return float(torch.stack(list(trainer.last_losses)).mean())


def choose_compute_dtype(
    config: dict, vocabulary: pathlib.Path, pairs: datasets.Dataset
) -> str:
    """The one with the shorter step on this machine."""
    batch = config["training"]["global_batch_size"]
    some = pairs.select(range(min(len(pairs), 2 * TRIAL_STEPS * batch)))
    seconds = {}
    for compute_dtype in ("float32", "bfloat16"):
        model = make_model(config, vocabulary)
        train(model, some, config, compute_dtype, Clock(None, 1, says=False))
        clock = Clock(None, TRIAL_STEPS, says=False)
        train(model, some, config, compute_dtype, clock)
        seconds[compute_dtype] = clock.shortest
    print(
        "trial:",
        *(f"{name} {value:.2f} s a step" for name, value in seconds.items()),
        flush=True,
    )
    return min(seconds, key=seconds.get)


def time_of(run: pathlib.Path, batch_size: int) -> tuple[float, int]:
    """The training time of our run in seconds, and its number of steps."""
    seconds, last = 0.0, 0
    for line in (run / "history.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "pairs_per_second" in record:
            pairs = (record["step"] - last) * batch_size
            seconds += pairs / record["pairs_per_second"]
            last = record["step"]
    return seconds, last


def main() -> None:
    """Trains, saves and prints a line to paste."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=pathlib.Path, required=True)
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, help="default: as the run")
    parser.add_argument(
        "--cpu_minutes",
        type=float,
        help="of all cores together: for a machine that has other work too",
    )
    parser.add_argument("--steps", type=int, help="stop by steps, not by time")
    parser.add_argument("--compute_dtype", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    config = yaml.safe_load((options.run / "config.yaml").read_text())
    vocabulary = options.run / "vocab.txt"
    batch_size = config["training"]["global_batch_size"]
    seconds, run_steps = time_of(options.run, batch_size)
    if options.minutes:
        seconds = 60 * options.minutes
    now = time.perf_counter
    if options.cpu_minutes:
        seconds, now = 60 * options.cpu_minutes, time.process_time
    print(machine(), flush=True)
    pairs = read_pairs(options.train)
    compute_dtype = options.compute_dtype or choose_compute_dtype(
        config, vocabulary, pairs
    )
    model = make_model(config, vocabulary)
    clock = Clock(seconds, options.steps, now=now)
    loss = train(model, pairs, config, compute_dtype, clock)
    longest = config["tokenizer"]["max_length"]
    if config["encoder"]["num_layers"]:
        model.max_seq_length = longest
    else:
        cut(model[0].tokenizer, longest)
    model.save(str(options.out), create_model_card=False)
    done = clock.steps * batch_size
    print(
        f"At the end: {machine()}\n"
        f"our run: {run_steps} steps of {batch_size}\n"
        f"sentence-transformers {sentence_transformers.__version__} "
        f"({compute_dtype}): {clock.elapsed / 60:.1f} "
        f"{'CPU ' if options.cpu_minutes else ''}minutes, {clock.steps} steps "
        f"of {batch_size}, {done / len(pairs):.2f} epochs, "
        f"{done / clock.elapsed:.0f} pairs/s, loss {loss:.3f}"
    )


if __name__ == "__main__":
    main()
