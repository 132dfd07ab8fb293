"""PyTorch's side of `train_step.py`; run by the peer's interpreter.

Reads lines of JSON from stdin ({"compute_dtype": ..., "seconds": ...}), runs
training steps for so long and answers with pairs a second.
"""

import argparse
import json
import sys
import time

import torch
from transformers import BertConfig, BertModel


def make_step(arguments, compute_dtype):
    """One whole training step: encode both sides, loss, backward, AdamW."""
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=arguments.vocab_size,
            num_hidden_layers=arguments.layers,
            max_position_embeddings=64,
        ),
        add_pooling_layer=False,
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    pairs, length = arguments.pairs, arguments.length
    ids = torch.randint(5, arguments.vocab_size, (2 * pairs, length))
    mask = torch.ones_like(ids)
    labels = torch.arange(pairs)
    margin = 0.3 * torch.eye(pairs)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(
            "cpu", torch.bfloat16, enabled=compute_dtype == "bfloat16"
        ):
            hidden = model(ids, attention_mask=mask).last_hidden_state[:, 0]
        vectors = torch.nn.functional.normalize(hidden.float(), dim=-1)
        source, target = vectors[:pairs], vectors[pairs:]
        logits = 10.0 * (source @ target.T - margin)
        loss = torch.nn.functional.cross_entropy(
            logits, labels
        ) + torch.nn.functional.cross_entropy(logits.T, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def main():
    """Answers requests until the end of stdin."""
    parser = argparse.ArgumentParser()
    for name in ("pairs", "length", "layers", "vocab_size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = parser.parse_args()
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        compute_dtype = request["compute_dtype"]
        if compute_dtype not in steps:
            steps[compute_dtype] = make_step(arguments, compute_dtype)
            steps[compute_dtype]()
        started, count = time.monotonic(), 0
        while time.monotonic() - started < request["seconds"]:
            steps[compute_dtype]()
            count += 1
        rate = arguments.pairs * count / (time.monotonic() - started)
        print(json.dumps({"rate": rate}), flush=True)


if __name__ == "__main__":
    main()
