"""The peer's side of `encode.py`: sentence-transformers, in its own process.

It is run by the interpreter of the peer's environment and imports nothing of
this project. It writes one JSON object a line to standard output.
"""

import argparse
import json
import sys
import time

import torch
from machine import peak_memory
from sentence_transformers import SentenceTransformer, models
from transformers import BertConfig, BertModel, BertTokenizerFast


def make(vocabulary: str, folder: str, max_length: int) -> None:
    """Saves BERT Base with random weights, as a SentenceTransformer."""
    with open(vocabulary, encoding="utf-8", newline="\n") as file:
        size = sum(1 for _ in file)
    torch.manual_seed(0)
    bert = folder + "/bert"
    BertModel(BertConfig(vocab_size=size)).save_pretrained(bert)
    BertTokenizerFast(vocabulary, do_lower_case=False).save_pretrained(bert)
    SentenceTransformer(
        modules=[
            models.Transformer(bert, max_seq_length=max_length),
            models.Pooling(BertConfig().hidden_size, pooling_mode="cls"),
            models.Normalize(),
        ],
        device="cpu",
    ).save(folder + "/model")


def serve(folder: str, sentences: list[str]) -> None:
    """Encodes all sentences once for each line of standard input.

    The line says in which dtype; the answer is the time in seconds.
    """
    asked = {
        "float32": SentenceTransformer(folder + "/model", device="cpu"),
        "bfloat16": SentenceTransformer(folder + "/model", device="cpu"),
    }
    asked["bfloat16"].bfloat16()
    for line in sys.stdin:
        model = asked[line.strip()]
        start = time.perf_counter()
        model.encode(sentences)
        print(json.dumps(time.perf_counter() - start), flush=True)


def measure_memory(folder: str, sentences: list[str]) -> None:
    """Loads and encodes; prints the peak before and after, in bytes."""
    before = peak_memory()
    SentenceTransformer(folder + "/model", device="cpu").encode(sentences)
    print(json.dumps([before, peak_memory()]))


def main() -> None:
    """Does one job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=["make", "serve", "memory"])
    parser.add_argument("--folder", required=True)
    parser.add_argument("--vocab")
    parser.add_argument("--sentences")
    parser.add_argument("--max_length", type=int)
    options = parser.parse_args()
    if options.job == "make":
        make(options.vocab, options.folder, options.max_length)
        return
    with open(options.sentences, encoding="utf-8") as file:
        sentences = json.load(file)
    job = {"serve": serve, "memory": measure_memory}[options.job]
    job(options.folder, sentences)


if __name__ == "__main__":
    main()
