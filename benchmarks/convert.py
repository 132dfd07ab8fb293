"""Time and memory of `labse convert` at LaBSE's real size.

    python benchmarks/convert.py [--large]

Creates a model with random weights (501,153 pieces; BERT Base, or Large with
--large, whose files are over 3 GB) and converts it, each time in a process of
its own: run folder -> sentence-transformers folder -> run folder,
and a SavedModel of the google/LaBSE/2 kind -> run folder. The table of word
embeddings must come back bit-identical.

Then each is loaded with labse.load and encodes a sentence.

Needs about four times the model's size on the disk of --scratch.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from machine import machine, peak_memory

LABSE_PIECES = 501_153  # Section 3.2 of the paper.
# Limits: seconds of a conversion, and memory as a share of the model's size.
MAX_SECONDS, MAX_SHARE = 120, 1.3
ROWS = 8192


class RandomWeight:
    """Random numbers, drawn a block of rows at a time."""

    def __init__(self, shape: tuple[int, ...], seed: int):
        self.shape = shape
        self._seed = seed

    def row_blocks(self):
        """Float32 blocks of rows."""
        generator = np.random.default_rng(self._seed)
        for start in range(0, self.shape[0], ROWS):
            rows = min(ROWS, self.shape[0] - start)
            block = generator.standard_normal(
                [rows, *self.shape[1:]], np.float32
            )
            yield block * np.float32(0.02)


def make_run(out: str, large: bool) -> None:
    """A run folder with random weights."""
    from labse.checkpoints import converted_run
    from labse.checkpoints.weights import weight_names
    from labse.configs import loading
    from labse.preprocessing.vocabulary import SPECIAL_PIECES, Vocabulary

    config = loading.load(
        "labse_large" if large else "labse_base",
        [f"encoder.vocab_size={LABSE_PIECES}", "encoder.pooling=cls_tanh"],
    )
    letters = [chr(code) for code in range(ord("A"), ord("z") + 1)]
    pieces = [*SPECIAL_PIECES, *letters]
    pieces += [f"##{i}" for i in range(LABSE_PIECES - len(pieces))]
    weights = {
        row.name: RandomWeight(row.shape, seed)
        for seed, row in enumerate(weight_names(config.encoder))
    }
    converted_run.write_run(out, config, Vocabulary(pieces), weights, {})


def make_saved_model(run: str, out: str) -> None:
    """A SavedModel as Model Garden's exporter, which made LaBSE/2, writes it.

    A tiny one is exported; its variables are then replaced by the weights of
    `run`, because the exporter would hold them several times.
    """
    import tensorflow as tf
    from official.nlp.configs import encoders
    from official.nlp.tools import export_tfhub_lib

    from labse.checkpoints import run_folder
    from labse.formats import tensor_bundle

    model = run_folder.open_run(run)
    config = encoders.EncoderConfig(
        type="bert",
        bert=encoders.BertEncoderConfig(
            vocab_size=1,
            hidden_size=1,
            num_layers=model.config.encoder.num_layers,
            num_attention_heads=1,
            intermediate_size=1,
            max_position_embeddings=3,
            type_vocab_size=1,
        ),
    )
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = tf.train.Checkpoint(encoder=encoders.build_encoder(config))
        export_tfhub_lib.export_model(
            out,
            encoder_config=config,
            model_checkpoint_path=checkpoint.save(f"{scratch}/ckpt"),
            with_mlm=False,
            vocab_file=f"{run}/vocab.txt",
            do_lower_case=False,
        )
        shutil.copytree(f"{out}/variables", f"{scratch}/variables")
        template = f"{scratch}/variables/variables"
        keys = tensor_bundle.read_variables(template)
        tensor_bundle.write_checkpoint(
            f"{out}/variables/variables",
            {keys[name][0]: weight for name, weight in model.weights.items()},
            template,
        )


def run_job(job: str, *arguments: str) -> dict:
    """Runs a job of this file in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, __file__, f"--job={job}", *arguments]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result = json.loads(output.strip().split("\n")[-1])
    return {"seconds": time.perf_counter() - start, **result}


def job_convert(arguments: list[str]) -> dict:
    """`labse convert` with these flags."""
    from labse.bin import convert
    from labse.bin.flags import program

    code = program.run(convert, arguments, "labse convert")
    if code:
        sys.exit(code)
    return {}


def job_load(arguments: list[str]) -> dict:
    """Loads a model and encodes sentences; returns a vector."""
    import labse

    start = time.perf_counter()
    model = labse.load(arguments[0])
    loaded = time.perf_counter() - start
    vector = model.encode(["Hello World"] * 3)[0]
    return {"loading": loaded, "vector": [float(x) for x in vector[:8]]}


def files_size(folder: str) -> int:
    """Bytes of all files in a folder."""
    return sum(f.stat().st_size for f in pathlib.Path(folder).rglob("*"))


def table_digest(path: str) -> bytes:
    """SHA-256 of a table of word embeddings."""
    import hashlib

    from labse.checkpoints import recognition
    from labse.checkpoints.weights import WORD_EMBEDDINGS

    digest = hashlib.sha256()
    weight = recognition.open_model(path).weights[WORD_EMBEDDINGS]
    for block in weight.row_blocks():
        digest.update(np.ascontiguousarray(block).tobytes())
    return digest.digest()


def measure(scratch: str, large: bool) -> bool:
    """Creates, converts, loads; prints a table; returns whether all is good."""
    run, folder, back, saved, from_saved = (
        f"{scratch}/{name}"
        for name in ("run", "folder", "back", "saved_model", "from_saved")
    )
    make_run(run, large)
    make_saved_model(run, saved)
    print(machine())
    print(f"{'move':<38}{'GB':>6}{'seconds':>9}{'peak GB':>9}{'share':>7}")
    moves = [
        ("run -> sentence-transformers", run, folder, "huggingface"),
        ("sentence-transformers -> run", folder, back, "labse"),
        ("SavedModel (LaBSE/2) -> run", saved, from_saved, "labse"),
    ]
    good = True
    for name, source, out, kind in moves:
        flags = [f"--input={source}", f"--out={out}", f"--to={kind}"]
        result = run_job("convert", *flags)
        size = max(files_size(source), files_size(out))
        share = result["peak"] / size
        good &= result["seconds"] <= MAX_SECONDS and share <= MAX_SHARE
        print(
            f"{name:<38}{size / 1e9:6.2f}{result['seconds']:9.1f}"
            f"{result['peak'] / 1e9:9.2f}{share:7.2f}"
        )
    digests = {table_digest(path) for path in (run, folder, back, from_saved)}
    good &= len(digests) == 1
    print(f"tables equal, bit by bit: {len(digests) == 1}")
    vectors = []
    for path in (run, folder, saved):
        result = run_job("load", path)
        vectors.append(result["vector"])
        good &= result["peak"] <= MAX_SHARE * files_size(path)
        print(
            f"{'labse.load(' + pathlib.Path(path).name + ')':<38}"
            f"{files_size(path) / 1e9:6.2f}{result['loading']:9.1f}"
            f"{result['peak'] / 1e9:9.2f}"
            f"{result['peak'] / files_size(path):7.2f}"
        )
    spread = float(np.ptp(np.array(vectors), axis=0).max())
    print(f"largest difference of their vectors: {spread:.1e}")
    good &= spread < 1e-5
    print(f"within {MAX_SECONDS} s and {MAX_SHARE} of the size: {good}")
    return good


def main() -> None:
    """Parses the command line; a job prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--scratch", help="folder for the files of the model")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options, rest = parser.parse_known_args()
    if options.job:
        result = {"convert": job_convert, "load": job_load}[options.job](rest)
        print(json.dumps({**result, "peak": peak_memory()}))
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        if not measure(scratch, options.large):
            sys.exit(1)


if __name__ == "__main__":
    main()
