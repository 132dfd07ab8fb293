"""sentence-transformers' side of `gradient_cache.py`; run by its interpreter.

Reads numbers of seconds from stdin, takes training steps for so long and
answers with JSON: seconds a step and the peak of the process.
"""

import argparse
import json
import pathlib
import re
import sys
import tempfile
import time

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
)
from sentence_transformers.sentence_transformer.modules import (
    Pooling,
    Transformer,
)
from transformers import BertConfig, BertModel, BertTokenizerFast


def make_model(arguments):
    """A SentenceTransformer with random weights; [CLS], as ours."""
    config = BertConfig(
        vocab_size=arguments.vocab_size,
        num_hidden_layers=arguments.layers,
        max_position_embeddings=max(64, arguments.length),
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(config).save_pretrained(folder)
        vocabulary = pathlib.Path(folder, "vocab.txt")
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        pieces = [f"p{i}" for i in range(arguments.vocab_size - len(special))]
        vocabulary.write_text("".join(f"{p}\n" for p in special + pieces))
        BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
        transformer = Transformer(folder, max_seq_length=arguments.length)
    return SentenceTransformer(
        modules=[transformer, Pooling(config.hidden_size, "cls")], device="cpu"
    )


def make_step(arguments):
    """One whole training step: loss with its gradient cache, AdamW."""
    torch.manual_seed(0)
    model = make_model(arguments)
    model.train()
    # As many texts at once as ours: a chunk of it is of one side.
    loss_function = CachedMultipleNegativesRankingLoss(
        model, scale=10.0, mini_batch_size=2 * arguments.chunk
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def side():
        shape = (arguments.pairs, arguments.length)
        ids = torch.randint(5, arguments.vocab_size, shape)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    sides = [side(), side()]
    bfloat16 = arguments.compute_dtype == "bfloat16"

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = loss_function(map(dict, sides), None)
            # It embeds again in a hook of this call.
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def peak_memory() -> int:
    """The peak of this process' resident memory in bytes (Linux)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def main():
    """Answers requests until the end of stdin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    for name in ("pairs", "chunk", "length", "layers", "vocab_size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--compute_dtype", required=True)
    step = make_step(parser.parse_args())
    for line in sys.stdin:
        begun, cpu_begun, count = time.monotonic(), time.process_time(), 0
        while not count or time.monotonic() - begun < float(line):
            step()
            count += 1
        answer = {
            "seconds": (time.monotonic() - begun) / count,
            "cpu_seconds": (time.process_time() - cpu_begun) / count,
            "peak": peak_memory(),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
