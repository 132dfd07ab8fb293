import json

import pytest

from labse.bin import estimate
from labse.bin.flags import program
from labse.data.records.writer import write_records


def run(capsys, *arguments):
    code = program.run(estimate, list(arguments), "labse estimate")
    shown, errors = capsys.readouterr()
    return code, shown, errors


def test_tables(capsys):
    code, shown, errors = run(
        capsys,
        "--config=labse_base",
        "--hardware=a100-40-32",
        "--pairs=1000000",
    )
    assert (code, errors) == (0, "")
    assert "470,926,848" in shown
    assert "epochs over the pairs                    205" in shown


def test_json(capsys):
    code, shown, _ = run(
        capsys, "--hardware=h100-32", "--json", "--utilization=0.5"
    )
    values = json.loads(shown)
    assert code == 0
    assert values["fits"] is True
    assert values["utilization"] == 0.5
    assert "mining" not in values


def test_what_does_not_fit_is_refused(capsys):
    code, shown, errors = run(capsys, "--hardware=a100-40-8", "--json")
    assert code == 2
    values = json.loads(shown)
    assert values["fits"] is False
    assert errors.count("\n") == 1
    assert errors.startswith(
        "labse estimate: A training step must fit into the memory of a device."
    )
    for change in values["what_would_fit"]:
        assert change in errors


def test_the_vocabulary_counts(capsys, tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    vocabulary.write_text("\n".join(pieces) + "\n")
    code, shown, _ = run(
        capsys, "--hardware=h100-32", f"--vocab={vocabulary}", "--json"
    )
    assert code == 0
    assert json.loads(shown)["parameters"]["word embeddings"] == 6 * 768


def test_records_give_the_pairs_and_their_bytes(capsys, tmp_path):
    """640 pairs; the run takes 4096 x 50,000."""
    pairs = tmp_path / "pairs.tsv"
    rows = [f"source {i}\ttarget {i}\n" for i in range(640)]
    pairs.write_text("source\ttarget\n" + "".join(rows))
    folder = tmp_path / "records"
    write_records([pairs], folder)
    code, shown, _ = run(
        capsys, "--hardware=h100-32", f"--train={folder}", "--json"
    )
    values = json.loads(shown)
    assert code == 0
    sizes = [path.stat().st_size for path in folder.glob("*.tfrecord")]
    assert values["records_bytes"] == sum(sizes) > 640 * 16
    assert values["epochs"] == 4096 * 50_000 / 640


def test_mining_is_planned_by_the_planner(capsys):
    """1e9 and 2e9 sentences; too many for exact search."""
    code, shown, _ = run(capsys, "--hardware=h100-32", "--mine=1e9x2e9")
    assert code == 0
    assert "Mining 1000000000 x 2000000000 sentences with 768 dim" in shown
    assert "Search: approximate" in shown
    code, shown, _ = run(
        capsys, "--hardware=h100-32", "--mine=1000x2000", "--json"
    )
    plan = json.loads(shown)["mining"]
    assert plan["kind"] == "exact"
    assert plan["size"]["num_target"] == 2000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hardware=tpu"], "hardware must have one of the forms"),
        (["--hardware=cpu", "--mine=2x3"], "needs the hardware's flops"),
        (
            ["--hardware=h100", "--mine=1e6"],
            "--mine has the form SOURCESxTARGETS, e.g. 1e6x2e6, each from 1 "
            "to 1e+15. Received: '1e6'.",
        ),
        (["--hardware=h100", "--mine=0x3"], "--mine has the form"),
        (["--hardware=h100", "--mine=1e400x1"], "--mine has the form"),
        (["--hardware=h100", "--mine=1x1e300"], "--mine has the form"),
        (["--hardware=memory=1e999GiB"], "hardware must have one of"),
        (
            ["--config=labse_dan", "--hardware=tpu-v3-8", "--mine=2x3"],
            "The time to encode is unknown for an averaging network",
        ),
        (
            ["--hardware=h100", "--pairs=3", "--train=X"],
            "--train and --pairs both give the number of pairs. Received: X "
            "and 3. Leave one out.",
        ),
        (["--hardware=h100", "--train=X"], "there is no such file"),
        (["--hardware=h100-7"], "must be a multiple of the number of devices"),
    ],
)
def test_bad_flags(capsys, arguments, message):
    code, shown, errors = run(capsys, *arguments)
    assert (code, shown) == (2, "")
    assert errors.startswith("labse estimate: ")
    assert message in errors


def test_pretraining(capsys):
    code, shown, errors = run(
        capsys, "--config=pretrain_base", "--hardware=tpu-v3-512"
    )
    assert (code, errors) == (0, "")
    assert "masked-LM head" in shown
    assert "sequences of a device" in shown


@pytest.mark.parametrize("flag", ["--train=X", "--pairs=3", "--mine=2x3"])
def test_pretraining_has_no_pairs(capsys, flag):
    code, shown, errors = run(
        capsys, "--config=pretrain_base", "--hardware=tpu-v3-512", flag
    )
    assert (code, shown) == (2, "")
    assert f"Received: {flag} and --config=pretrain_base." in errors
