"""sentence-transformers' training step of a configuration's shape, on the GPU.

    python -m benchmarks.gpu_step.peer FOLDER/base.json

The model is LaBSE's with random weights, the loss is
MultipleNegativesRankingLoss in both directions (CachedMultipleNegatives...
where the configuration has a gradient cache), autocast to bfloat16, gradients
clipped, PyTorch's fused AdamW.
"""

import argparse
import json
import pathlib
import time

import torch
from sentence_transformers import SentenceTransformer, losses, models
from transformers import BertConfig, BertModel


class Words(torch.nn.Module):
    """The first module of a SentenceTransformer: pieces to hidden states."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, features):
        """Adds `token_embeddings`."""
        states = self.bert(
            features["input_ids"], attention_mask=features["attention_mask"]
        )
        return {**features, "token_embeddings": states.last_hidden_state}


def main() -> None:
    """Prints pairs a second and the peak of memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("facts", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=8)
    options = parser.parse_args()
    facts = json.loads(options.facts.read_text())
    torch.manual_seed(0)
    bert = BertModel(
        BertConfig(
            vocab_size=facts["vocab_size"], num_hidden_layers=facts["layers"]
        ),
        add_pooling_layer=False,
    )
    model = SentenceTransformer(
        modules=[
            Words(bert),
            models.Pooling(bert.config.hidden_size, pooling_mode="cls"),
            models.Normalize(),
        ],
        device="cuda",
    )
    model.train()
    chunk = facts["gradient_cache_chunk"]
    both = {"directions": ("query_to_doc", "doc_to_query")}
    if chunk:
        loss = losses.CachedMultipleNegativesRankingLoss(
            model, scale=10.0, mini_batch_size=chunk, **both
        )
    else:
        loss = losses.MultipleNegativesRankingLoss(model, scale=10.0, **both)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    shape = (facts["pairs"], facts["length"])
    sides = [
        {
            "input_ids": torch.randint(5, facts["vocab_size"], shape).cuda(),
            "attention_mask": torch.ones(shape, dtype=torch.int64).cuda(),
        }
        for _ in range(2)
    ]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            # Backward too: the cached loss embeds once more in it.
            loss([dict(side) for side in sides], None).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(2):
        step()
    torch.cuda.synchronize()
    started, count = time.monotonic(), 0
    while time.monotonic() - started < options.seconds:
        step()
        torch.cuda.synchronize()
        count += 1
    elapsed = (time.monotonic() - started) / count
    print(
        json.dumps(
            {
                "milliseconds": round(1e3 * elapsed, 1),
                "pairs_per_second": round(facts["pairs"] / elapsed, 1),
                "peak_gb": torch.cuda.max_memory_allocated() / 1e9,
            }
        )
    )


if __name__ == "__main__":
    main()
