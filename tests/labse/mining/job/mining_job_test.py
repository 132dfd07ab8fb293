"""Mining from files to pairs, by an encoder of hashed words."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from labse.errors import InputError
from labse.files.reading import ReadOptions
from labse.mining.candidates import (
    CandidatePairs,
    paraphrase_pairs,
    read_candidates,
)
from labse.mining.job.mining_job import MiningJob
from labse.mining.job.settings import (
    SOURCE,
    STEPS,
    TARGET,
    Settings,
    TextSource,
)
from labse.mining.job.steps import run_step
from labse.mining.margin import Neighbours
from labse.mining.select_pairs import select, select_all, write

ROOT = pathlib.Path(__file__).parents[4]
NUM_LINES = 600
ENCODER = textwrap.dedent(
    '''
    """An encoder for tests: a sentence is the sum of its words' vectors."""
    import functools, time, zlib
    import numpy as np

    PAUSE = 0.0

    @functools.lru_cache(None)
    def word(text):
        seed = zlib.crc32(text.lower().encode())
        return np.random.default_rng(seed).normal(size=24)

    def encode(texts):
        time.sleep(PAUSE)
        return np.stack(
            [sum(map(word, t.split()), word("")) for t in texts]
        ).astype(np.float32)

    def encode_slowly(texts):
        time.sleep(0.05)
        return encode(texts)
    '''
)


@pytest.fixture
def folder(tmp_path):
    """Two files: line i of one and its translation in a shuffled other."""
    generator = random.Random(0)
    words = [
        f"{a}{b}o"
        for a in "bcdfghklmnprstvwxyzq"
        for b in "aeiouäëïöüáéíóúàèìòù"
    ]
    source = [" ".join(generator.choices(words, k=8)) for _ in range(NUM_LINES)]
    target = [
        " ".join([*line.split()[:7], generator.choice(words) + "n"])
        for line in source
    ]
    source[10] = source[3]  # the same text again
    source[20] = "  "
    target[30] = source[30]  # was never translated
    order = list(range(NUM_LINES))
    generator.shuffle(order)
    (tmp_path / "a.txt").write_text("\n".join(source) + "\n")
    (tmp_path / "b.txt").write_text("\n".join(target[i] for i in order) + "\n")
    (tmp_path / "order.json").write_text(json.dumps(order))
    (tmp_path / "hashed_words.py").write_text(ENCODER)
    return tmp_path


@pytest.fixture
def encoder(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop("hashed_words", None)
    import hashed_words

    return hashed_words.encode


def job_of(folder, encode, work="work", target=True, fingerprint="m", **kind):
    return MiningJob(
        folder / work,
        TextSource((str(folder / "a.txt"),), ReadOptions(language="aa")),
        TextSource((str(folder / "b.txt"),), ReadOptions(language="bb"))
        if target
        else None,
        Settings(chunk=64, **kind),
        lambda: (encode, fingerprint),
    )


def run_all(job):
    for step in STEPS:
        run_step(job, step)
    return read_candidates(job.work.path(job.candidates_name))[0]


def test_finds_the_translations(folder, encoder):
    job = job_of(folder, encoder)
    found = run_all(job)
    source, target = job.corpus(SOURCE), job.corpus(TARGET)
    assert (source.num_read, source.num_blank, source.num_duplicates) == (
        NUM_LINES,
        1,
        1,
    )
    order = json.loads((folder / "order.json").read_text())
    hits = 0
    for one, other in zip(found.sources, found.targets, strict=True):
        line = source.place(int(one)).line - 1
        hits += order[target.place(int(other)).line - 1] == line
    assert hits >= 0.97 * NUM_LINES
    # One to one, and no sentence twice.
    assert len(set(found.sources.tolist())) == len(found)
    assert len(set(found.targets.tolist())) == len(found)
    assert np.all(np.diff(found.scores) <= 0)


@pytest.mark.parametrize("retrieval", ["forward", "union", "max"])
def test_scores_are_those_of_plain_numpy(folder, encoder, retrieval):
    job = job_of(folder, encoder, retrieval=retrieval, k=3, num_shards=3)
    found = run_all(job)
    sides = []
    for side in (SOURCE, TARGET):
        corpus = job.corpus(side)
        vectors = encoder(corpus.texts(0, len(corpus))).astype(np.float64)
        sides.append(vectors / np.linalg.norm(vectors, axis=1)[:, None])
    cosines = sides[0] @ sides[1].T
    means = [
        np.sort(matrix, axis=1)[:, -3:].mean(axis=1)
        for matrix in (cosines, cosines.T)
    ]
    margins = cosines / ((means[0][:, None] + means[1]) / 2)
    expected = margins[found.sources, found.targets]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)
    np.testing.assert_allclose(found.margins, expected, rtol=1e-6)
    np.testing.assert_allclose(
        found.cosines, cosines[found.sources, found.targets], rtol=1e-6
    )
    if retrieval == "forward":
        nearest = np.argsort(-cosines, axis=1)[:, :3]
        best = np.take_along_axis(margins, nearest, 1).max(axis=1)
        order = np.argsort(found.sources)
        np.testing.assert_allclose(found.scores[order], best, rtol=1e-6)


@pytest.mark.parametrize("shards", [3, 8])
@pytest.mark.parametrize("vector_type", ["float32", "float16"])
@pytest.mark.parametrize("retrieval", ["max", "all"])
def test_shards_change_nothing(folder, encoder, shards, vector_type, retrieval):
    contents = []
    for number in (1, shards):
        job = job_of(
            folder,
            encoder,
            f"work{number}",
            num_shards=number,
            vector_type=vector_type,
            retrieval=retrieval,
        )
        run_all(job)
        contents.append(job.work.path(job.candidates_name).read_bytes())
    assert contents[0] == contents[1]


def test_another_model_is_noticed(folder, encoder):
    run_all(job_of(folder, encoder))
    with pytest.raises(InputError, match='model was "m" and is "n"'):
        run_all(job_of(folder, encoder, fingerprint="n"))


def test_another_input_is_noticed(folder, encoder):
    run_all(job_of(folder, encoder))
    with open(folder / "a.txt", "a") as file:
        file.write("one line more\n")
    with pytest.raises(InputError, match="sentences was .* and is"):
        run_all(job_of(folder, encoder))


def test_a_file_that_was_only_touched_is_no_other_input(folder, encoder):
    run_all(job_of(folder, encoder))
    os.utime(folder / "a.txt", (1, 1))

    def refuse(texts):
        raise AssertionError("encoded again")

    run_all(job_of(folder, refuse))


def test_a_step_alone_needs_those_before(folder, encoder):
    job = job_of(folder, encoder)
    with pytest.raises(InputError, match="Run the step 'read' first"):
        run_step(job, "embed")
    run_step(job, "read")
    with pytest.raises(InputError, match="Run the step 'embed' first"):
        run_step(job, "search")


def test_more_neighbours_than_sentences(folder, encoder, capsys):
    (folder / "b.txt").write_text("one\ntwo\n")
    job = job_of(folder, encoder)
    assert len(run_all(job)) == 2
    assert job.settings.k == 2
    told = capsys.readouterr().err
    assert told.count("k is lowered") == 1
    assert "k is lowered from 4 to 2: the target side has 2 sent" in told
    names = {path.name for path in (folder / "work").iterdir()}
    assert not [name for name in names if ".k4" in name]
    # The files are those of a job with that k from the beginning.
    again = job_of(folder, None, k=2)
    run_step(again, "search")
    assert again.candidates() == job.candidates()


def test_k_is_lowered_before_anything_is_encoded(folder, encoder, capsys):
    (folder / "b.txt").write_text("one\ntwo\n")

    def refuse(texts):
        raise AssertionError("encoded")

    job = job_of(folder, refuse)
    run_step(job, "read")
    with pytest.raises(AssertionError, match="encoded"):
        run_step(job, "embed")
    assert "k is lowered from 4 to 2" in capsys.readouterr().err


def test_a_side_that_is_searched_for_itself(folder, encoder, capsys):
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    job = job_of(folder, encoder, target=False)
    assert len(run_all(job)) == 3  # pairs of three sentences
    assert job.settings.k == 2
    assert "from 4 to 2: the source side has 3" in capsys.readouterr().err
    (folder / "a.txt").write_text("one\n")
    job = job_of(folder, encoder, work="other", target=False)
    with pytest.raises(InputError, match="Received: one sentence"):
        run_all(job)


def test_what_is_written_adds_up(folder, encoder):
    job = job_of(folder, encoder)
    found = run_all(job)
    source, target = job.corpus(SOURCE), job.corpus(TARGET)
    kept, counts = select(found, source, target, 1.06)
    assert counts.identical == 1
    assert counts.candidates == len(found)
    assert (
        counts.written
        == len(kept)
        == counts.candidates
        - (counts.below_min_score + counts.identical + counts.near_duplicates)
    )
    with_it, counts = select(found, source, target, 1.06, keep_identical=True)
    assert counts.identical == 0 and len(with_it) == len(kept) + 1
    write(folder / "out.jsonl", kept, source, target)
    rows = list(
        map(json.loads, (folder / "out.jsonl").read_text().splitlines())
    )
    assert len(rows) == len(kept)
    lines = (folder / "a.txt").read_text().split("\n")
    for row in rows:
        assert lines[row["source_line"] - 1] == row["source"]
        assert (row["source_language"], row["target_language"]) == ("aa", "bb")
        assert row["margin"] >= 1.06 and row["source"] != row["target"]


def test_all_candidates_by_source_and_rank():
    candidates = CandidatePairs(
        sources=np.array([1, 0, 0, 1, 0]),
        targets=np.array([4, 3, 2, 5, 7]),
        scores=np.array([1.2, 1.1, 1.1, 0.9, 1.3]),
        cosines=np.array([0.5, 0.9, 0.8, 0.7, 0.6], np.float32),
        margins=np.array([1.2, 1.1, 1.1, 0.9, 1.3]),
    )
    kept, ranks, counts = select_all(candidates, None)
    # By score, not by cosine; of equal scores the lower target.
    assert list(zip(kept.sources, kept.targets, ranks, strict=True)) == [
        (0, 7, 1),
        (0, 2, 2),
        (0, 3, 3),
        (1, 4, 1),
        (1, 5, 2),
    ]
    np.testing.assert_array_equal(
        kept.cosines, np.array([0.6, 0.8, 0.9, 0.5, 0.7], np.float32)
    )
    assert (counts.candidates, counts.written) == (5, 5)
    kept, ranks, counts = select_all(candidates, 1.1)
    assert kept.targets.tolist() == [7, 2, 3, 4]
    assert ranks.tolist() == [1, 2, 3, 1]
    assert (counts.below_min_score, counts.written) == (1, 4)
    best = kept.taken(ranks == 1).sorted()
    assert best.targets.tolist() == [7, 4]


def test_paraphrases_leave_out_the_sentence_itself(folder, encoder):
    lines = (folder / "a.txt").read_text().splitlines()
    lines[100] = " ".join(reversed(lines[99].split()))  # the same words
    (folder / "a.txt").write_text("\n".join(lines))
    job = job_of(
        folder, encoder, target=False, k=2, num_shards=3, scoring="absolute"
    )
    found = run_all(job)
    assert np.all(found.sources < found.targets)
    corpus = job.corpus(SOURCE)
    best = (
        corpus.text(int(found.sources[0])),
        corpus.text(int(found.targets[0])),
    )
    assert best == (lines[99], lines[100])
    assert found.scores[0] == pytest.approx(1)
    pairs = list(zip(found.sources, found.targets, strict=True))
    assert len(set(pairs)) == len(pairs)


def test_each_paraphrase_once_with_its_higher_score():
    forward = Neighbours(
        np.array([[1], [0], [1]]), np.array([[0.9], [0.9], [0.5]])
    )
    pairs = paraphrase_pairs(forward, "absolute")
    assert pairs.sources.tolist() == [0, 1]
    assert pairs.targets.tolist() == [1, 2]
    np.testing.assert_allclose(pairs.scores, [0.9, 0.5])


def command(folder, out, *flags):
    return [
        *(sys.executable, "-m", "labse.bin.cli", "mine"),
        "--chunk=64",
        "--model=python:hashed_words.encode_slowly",
        "--source=a.txt",
        "--target=b.txt",
        f"--out={out}",
        *flags,
    ]


@pytest.mark.parametrize(
    ("shards", "flags"),
    [
        pytest.param(1, [], marks=pytest.mark.slow),
        (3, []),
        pytest.param(8, [], marks=pytest.mark.slow),
        pytest.param(3, ["--retrieval=all"], marks=pytest.mark.slow),
        pytest.param(3, ["--k=1000"], marks=pytest.mark.slow),  # is lowered
    ],
)
def test_killed_at_any_moment_the_output_is_the_same(folder, shards, flags):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        command(folder, "whole.tsv", *flags),
        cwd=folder,
        env=environment,
        check=True,
    )
    generator = random.Random(shards)
    kills = 0
    while True:
        process = subprocess.Popen(
            command(folder, "killed.tsv", f"--shards={shards}", *flags),
            cwd=folder,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        # Longer each time, so that it ends on any machine.
        time.sleep(generator.uniform(0.2, 0.6 + 0.2 * kills))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        assert not (folder / "killed.tsv").exists() or process.returncode
    assert process.returncode == 0 and kills > 0
    assert (folder / "killed.tsv").read_bytes() == (
        folder / "whole.tsv"
    ).read_bytes()
