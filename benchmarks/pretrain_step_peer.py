"""Hugging Face's side of `pretrain_step.py`; run by the peer's interpreter.

Prints a line of JSON: seconds and CPU seconds of a step, and the peak.
"""

import json

import torch
from pretrain_step import measure, parse_arguments
from transformers import BertConfig, BertForMaskedLM

IGNORED = -100  # A label that does not count, by PyTorch's default.


def make_step(arguments):
    """One whole training step: encode, head, loss, backward, clip, AdamW."""
    torch.manual_seed(0)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=arguments.vocab_size,
            num_hidden_layers=arguments.layers,
            max_position_embeddings=512,
            hidden_act="gelu_pytorch_tanh",  # EncoderConfig's gelu_tanh.
        )
    )
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, weight_decay=0.01, fused=True
    )
    batch, length = arguments.batch, arguments.length
    ids = torch.randint(5, arguments.vocab_size, (batch, length))
    mask = torch.ones_like(ids)
    positions = torch.stack(
        [torch.randperm(length)[: arguments.masked] for _ in range(batch)]
    )
    labels = torch.full_like(ids, IGNORED)
    labels.scatter_(1, positions, ids.gather(1, positions))

    def loss_at_all():
        return model(ids, attention_mask=mask, labels=labels).loss

    def loss_at_masked():
        hidden = model.bert(ids, attention_mask=mask).last_hidden_state
        logits = model.cls(hidden[labels != IGNORED])
        return torch.nn.functional.cross_entropy(
            logits.float(), labels[labels != IGNORED]
        )

    compute = loss_at_all if arguments.variant == "all" else loss_at_masked

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = compute()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    options = parse_arguments()
    print(json.dumps(measure(make_step(options), options.steps)))
