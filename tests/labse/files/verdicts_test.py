"""One table of cases, put to every program that reads pairs or texts.

A file of 200 good rows and one more. What is to happen to that one does not
depend on the program.
"""

import gzip
import json
import re
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import zstandard

import labse
from data_pipeline import holdout
from data_pipeline.vocabulary import word_counts
from labse.bin import (
    build_vocab,
    convert,
    encode,
    evaluate,
    mine,
    mine_hard_negatives,
    prune_vocab,
    score,
    split_pairs,
    train,
)
from labse.bin import write_records as records_program
from labse.bin.flags import lazy_encoder, program
from labse.checkpoints.vocabulary import resizing
from labse.data.records import writer as record_writer
from labse.evaluation.tasks import pairs as evaluation_pairs
from labse.mining.hard_negatives import pair_files as negative_files
from labse.mining.job.corpus import open_corpus
from labse.training import dual_encoder_task, training_pairs

GOOD = 200
BAD_AT = 100  # rows before the one in question
NAMES = ("source", "target", "source_language", "target_language")


class Stop(Exception):
    """Raised when a program has read; holds how many rows it took."""


def stop(rows):
    raise Stop(sum(1 for _ in rows))


def fields(number, columns=NAMES):
    values = {
        **{"source": f"s {number}", "target": f"t {number}"},
        **{"source_language": "en", "target_language": "de"},
        **{"text": f"x {number}", "language": "en"},
    }
    return {name: values[name] for name in columns}


# How each program is run until it has read, and how many rows it took.


def run(module, arguments, **flags):
    arguments = [*arguments, *(f"--{n}={v}" for n, v in flags.items())]
    try:
        return program.run(module, arguments, "labse"), None
    except Stop as stopped:
        return 0, stopped.args[0]


def run_train(path, folder, monkeypatch, *arguments):
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")

    class Task:
        def __init__(self, config, reader, *_):
            stop(range(reader.manifest.num_records))

    monkeypatch.setattr(dual_encoder_task, "DualEncoderTask", Task)
    # It reads batches of what was taken; `train_test` tests it.
    monkeypatch.setattr(training_pairs, "check_negatives", lambda *_: None)
    arguments = [
        argument.replace("--max_malf", "--override=data.max_malf")
        for argument in arguments
    ]
    flags = {"train": path, "vocab": folder / "vocab.txt", "out": folder / "r"}
    return run(
        train,
        [
            *(*arguments, "--distribution=none", "--config=labse_tiny"),
            "--override=training.global_batch_size=2",
        ],
        **flags,
    )


def run_split_pairs(path, folder, monkeypatch, *arguments):
    split, results = holdout.split_pairs, []
    monkeypatch.setattr(
        holdout,
        "split_pairs",
        lambda *_: results.append(split(*_)) or results[0],
    )
    code, _ = run(
        split_pairs,
        [*arguments, "--share=0.5"],
        **{"input": path, "train_out": folder / "train.jsonl"},
        heldout_out=folder / "heldout.jsonl",
    )
    if code:
        return code, 0
    counts = results[0]
    rows = counts.train_rows + counts.heldout_rows + counts.dropped_rows
    return 0, rows


def run_score(path, folder, monkeypatch, *arguments):
    monkeypatch.setattr(lazy_encoder, "Encoder", lambda *_: lambda: (ones, "f"))
    code, _ = run(
        score, arguments, model="m", input=path, out=folder / "o.jsonl"
    )
    lines = 0
    if code == 0:
        content = (folder / "o.jsonl").read_text("utf-8")
        lines = sum(1 for line in content.split("\n") if line)
    return code, lines


def run_evaluate(path, folder, monkeypatch, *arguments):
    read = evaluation_pairs.read_pairs

    def read_and_stop(*given):
        stop(pair for pairs in read(*given).values() for pair in pairs)

    monkeypatch.setattr(evaluation_pairs, "read_pairs", read_and_stop)
    return run(
        evaluate, arguments, model="m", task="pairs", data=path, out=folder
    )


def run_hard_negatives(path, folder, monkeypatch, *arguments):
    monkeypatch.setattr(negative_files, "number_pairs", stop)
    return run(
        mine_hard_negatives,
        arguments,
        **{"model": "python:os.getcwd", "input": path, "out": folder / "o.tsv"},
    )


def run_build_vocab(path, folder, monkeypatch, *arguments):
    monkeypatch.setattr(word_counts, "count_words", stop)
    return run(
        build_vocab,
        arguments,
        **{"input": path, "out": folder / "v.txt", "vocab_size": 10},
    )


def run_prune_vocab(path, folder, monkeypatch, *arguments):
    monkeypatch.setattr(convert, "open_model", lambda *_: None)
    monkeypatch.setattr(
        resizing, "prune_vocabulary", lambda source, texts, *_: stop(texts)
    )
    return run(prune_vocab, arguments, model="m", text=path, out=folder / "r")


def run_mine(path, folder, monkeypatch, *arguments):
    (folder / "other.txt").write_text("one\ntwo\n")
    code, _ = run(
        mine,
        [*arguments, "--steps=read"],
        **{"model": "python:os.getcwd", "source": path},
        **{"target": folder / "other.txt", "out": folder / "o.tsv"},
    )
    if code:
        return code, 0
    return 0, len(open_corpus(folder / "o.tsv.work/source.corpus"))


def run_write_records(path, folder, monkeypatch, *arguments):
    monkeypatch.setattr(
        record_writer,
        "write_shards",
        lambda job, read: stop(range(sum(count for count, _ in read.spools))),
    )
    return run(records_program, arguments, input=path, out=folder / "r")


def run_write_texts(path, folder, monkeypatch, *arguments):
    arguments = [*arguments, "--monolingual"]
    return run_write_records(path, folder, monkeypatch, *arguments)


def ones(texts):
    return np.ones([len(texts), 2], np.float32)


PAIR_PROGRAMS = {
    "train": (run_train, 1),
    "split-pairs": (run_split_pairs, 1),
    "score": (run_score, 1),
    "evaluate": (run_evaluate, 1),
    "mine-hard-negatives": (run_hard_negatives, 1),
    "build-vocab": (run_build_vocab, 2),  # Both sides of a pair.
    "prune-vocab": (run_prune_vocab, 2),
    "write-records": (run_write_records, 1),
    "write-records --monolingual": (run_write_texts, 2),
}
TEXT_PROGRAMS = {
    "mine": (run_mine, 1),
    "build-vocab": (run_build_vocab, 1),
    "prune-vocab": (run_prune_vocab, 1),
    "write-records --monolingual": (run_write_texts, 1),
}


# The files.


def tsv(extra, columns=NAMES, end=b"\n"):
    lines = ["\t".join(columns).encode()]
    lines += [
        "\t".join(fields(i, columns).values()).encode() for i in range(GOOD)
    ]
    if extra is not None:
        lines.insert(1 + BAD_AT, extra)
    return end.join([*lines, b""])


def jsonl(extra, columns=NAMES):
    lines = [json.dumps(fields(i, columns)).encode() for i in range(GOOD)]
    lines.insert(BAD_AT, extra)
    return b"\n".join([*lines, b""])


def changed(columns=NAMES, **values):
    """A row as JSON; ... stands for a field that is not there."""
    row = {**fields(999, columns), **values}
    return json.dumps({k: v for k, v in row.items() if v is not ...}).encode()


def write_parquet(path, columns, **values):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [fields(i, columns) for i in range(GOOD)]
    rows.insert(BAD_AT, {**fields(999, columns), **values})
    binary = any(isinstance(value, bytes) for value in values.values())
    if binary:
        rows = [
            {k: v.encode() if isinstance(v, str) else v for k, v in row.items()}
            for row in rows
        ]
    parquet.write_table(arrow.Table.from_pylist(rows), path)


def example(row):
    features = tf.train.Features(
        feature={
            name: tf.train.Feature(
                bytes_list=tf.train.BytesList(
                    value=[v if isinstance(v, bytes) else v.encode()]
                )
            )
            for name, v in row.items()
        }
    )
    return tf.train.Example(features=features).SerializeToString()


def write_records(path, columns, extra):
    records = [example(fields(i, columns)) for i in range(GOOD)]
    records.insert(BAD_AT, extra)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


def without(name, columns=NAMES):
    row = fields(999, columns)
    del row[name]
    return row


def unit(number, **values):
    row = {**fields(number), **values}
    return (
        f'<tu><tuv xml:lang="en"><seg>{row["source"]}</seg></tuv><tuv '
        f'xml:lang="de"><seg>{row["target"]}</seg></tuv></tu>\n'
    )


def tmx(extra, tail="</body></tmx>"):
    units = [unit(i) for i in range(GOOD)]
    units.insert(BAD_AT, extra)
    # The units begin in the first line.
    head = '<tmx version="1.4"><header srclang="en"/><body>'
    return (head + "".join(units) + tail).encode()


def moses(source, target, zipped=False):
    """Writes a corpus of which one pair is given, as bytes."""

    def write(path):
        sides = []
        for bad, letter in ((source, "s"), (target, "t")):
            lines = [b"%s %d" % (letter.encode(), i) for i in range(GOOD)]
            lines.insert(BAD_AT, bad)
            sides.append(b"\n".join([*lines, b""]))
        if zipped:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("a.en-de.en", sides[0])
                archive.writestr("a.en-de.de", sides[1])
            return
        path.write_bytes(sides[0])
        path.with_name("a.en-de.de").write_bytes(sides[1])

    return write


def zst(content):
    return zstandard.ZstdCompressor().compress(content)


SURROGATE = changed(target="x").replace(b'"x"', rb'"\ud800"')
TWICE = b'{"source": "a", "source": "b", "target": "c"}'

# Name, content or how it is written, what is said of the row.
MALFORMED_PAIRS = {
    "too few columns": ("a.tsv", tsv(b"a\tb\ten"), "columns .* 4. Received 3"),
    "too many columns": ("a.tsv", tsv(b"a\tb\ten\tde\tx"), "4. Received 5"),
    "no tab": ("a.tsv", tsv(b"a"), "4. Received 1"),
    "empty source": ("a.tsv", tsv(b"\tb\ten\tde"), "source is empty"),
    "blank target": (
        "a.tsv",
        tsv(b"a\t \xe3\x80\x80\ten\tde"),
        "target is emp",
    ),
    "nothing but tabs": ("a.tsv", tsv(b"\t\t\t"), "source is empty"),
    "empty language": ("a.tsv", tsv(b"a\tb\t\tde"), "source_language is empty"),
    "latin-1": ("a.tsv", tsv(b"a\tb\xe4\ten\tde"), "UTF-8.*0xe4 at byte 4"),
    "packed": ("a.tsv.gz", gzip.compress(tsv(b"a\tb\t\tde")), "_language is"),
    "bad JSON": ("a.jsonl", jsonl(b'{"source": '), "JSON object"),
    "a JSON list": ("a.jsonl", jsonl(b'["a", "b"]'), "JSON object"),
    "a JSON number": ("a.jsonl", jsonl(b"17"), "JSON object"),
    "deep JSON": ("a.jsonl", jsonl(b"[" * 100_000), "JSON object"),
    "missing": ("a.jsonl", jsonl(changed(target=...)), "the field 'target'"),
    "null": ("a.jsonl", jsonl(changed(target=None)), "'target' is null"),
    "number": ("a.jsonl", jsonl(changed(target=1)), "'target' is text.*int"),
    "object": ("a.jsonl", jsonl(changed(source={"a": 1})), "is text.*dict"),
    "empty": ("a.jsonl", jsonl(changed(source="")), "source is empty"),
    "null language": (
        *("a.jsonl", jsonl(changed(source_language=None))),
        "source_language is empty",
    ),
    "half a character": ("a.jsonl", jsonl(SURROGATE), "surrogate"),
    "a key twice": ("a.jsonl", jsonl(TWICE), "'source' twice"),
    "JSON in latin-1": ("a.jsonl", jsonl(b'{"source": "\xe4"}'), "0xe4"),
    "null in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, NAMES, target=None),
        "'target' is null",
    ),
    "empty in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, NAMES, source=" "),
        "source is empty",
    ),
    "null language in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, NAMES, target_language=None),
        "target_language is empty",
    ),
    "bytes in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, NAMES, source=b"\xff"),
        "UTF-8.*0xff",
    ),
    "missing in a record": (
        "a.tfrecord",
        lambda path: write_records(path, NAMES, example(without("target"))),
        "the field 'target'",
    ),
    "bytes in a record": (
        "a.tfrecord",
        lambda path: write_records(
            path, NAMES, example({**fields(1), "target": b"\xff"})
        ),
        "UTF-8.*0xff",
    ),
    "no example": (
        "a-00000-of-00001",
        lambda path: write_records(path, NAMES, b"\xff\xff"),
        r"tf\.train\.Example",
    ),
    "packed with zstd": ("a.tsv.zst", zst(tsv(b"a\tb\t\tde")), "_language is"),
    "empty in TMX": ("a.tmx", tmx(unit(9, target="")), "target is empty"),
    "packed TMX": (
        *("a.tmx.gz", gzip.compress(tmx(unit(9, source=" ")))),
        "source is empty",
    ),
    "one text in TMX": (
        *("a.tmx", tmx('<tu><tuv xml:lang="en"><seg>a</seg></tuv></tu>\n')),
        "two languages. Received: en",
    ),
    "no language in TMX": (
        *("a.tmx", tmx("<tu><tuv><seg>a</seg></tuv></tu>\n")),
        "xml:lang",
    ),
    "empty in Moses": ("a.en-de.en", moses(b"", b"b"), "source is empty"),
    "latin-1 in Moses": ("a.en-de.en", moses(b"a", b"\xe4"), "0xe4 at byte 1"),
    "empty in a zip": ("a.zip", moses(b"a", b" ", True), "target is empty"),
}
MONO = ("text", "language")
MALFORMED_TEXTS = {
    "a txt in latin-1": (
        "a.txt",
        b"\n".join(
            [*[b"x %d" % i for i in range(BAD_AT)], b"\xe4"]
            + [b"y %d" % i for i in range(GOOD - BAD_AT)]
        ),
        "0xe4 at byte 1",
    ),
    "too few columns": ("a.tsv", tsv(b"a", MONO), "2. Received 1"),
    "empty text": ("a.tsv", tsv(b" \ten", MONO), "text is empty"),
    "empty language": ("a.tsv", tsv(b"a\t", MONO), "language is empty"),
    "null": ("a.jsonl", jsonl(changed(MONO, text=None), MONO), "is null"),
    "missing": ("a.jsonl", jsonl(changed(MONO, text=...), MONO), "'text'"),
    "number": ("a.jsonl", jsonl(changed(MONO, text=1), MONO), "is text"),
    "bad JSON": ("a.jsonl", jsonl(b"{", MONO), "JSON object"),
    "null in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, MONO, text=None),
        "'text' is null",
    ),
    "missing in a record": (
        "a.tfrecord",
        lambda path: write_records(path, MONO, example({"language": "en"})),
        "the field 'text'",
    ),
}


def make(folder, name, content):
    path = folder / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content)
    return path


def check_left_out(programs, case, program_name, request):
    tmp_path, monkeypatch, capfd, caplog = map(
        request.getfixturevalue, ("tmp_path", "monkeypatch", "capfd", "caplog")
    )
    name, content, said = case
    path = make(tmp_path, name, content)
    execute, each = programs[program_name]
    header = path.name.startswith("a.tsv")
    place = f"{re.escape(str(path))}:{BAD_AT + 1 + header}: "
    # 1 of 201 rows is less than 0.01.
    code, taken = execute(path, tmp_path, monkeypatch)
    assert (code, taken) == (0, GOOD * each)
    found = [m for m in caplog.messages if "1 of 201 rows are malformed" in m]
    assert len(found) == 1
    assert re.search(place + ".*" + said, found[0]), found[0]
    monkeypatch.undo()
    folder = tmp_path / "again"
    folder.mkdir()
    capfd.readouterr()
    code, _ = execute(path, folder, monkeypatch, "--max_malformed_share=0.004")
    assert code == 2
    shown = capfd.readouterr().err
    assert re.search(place + ".*" + said, shown), shown
    assert "At most a share of 0.004 is left out" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("program_name", PAIR_PROGRAMS)
@pytest.mark.parametrize("case", MALFORMED_PAIRS)
def test_a_malformed_pair_is_left_out_or_refused(case, program_name, request):
    check_left_out(PAIR_PROGRAMS, MALFORMED_PAIRS[case], program_name, request)


@pytest.mark.parametrize("program_name", TEXT_PROGRAMS)
@pytest.mark.parametrize("case", MALFORMED_TEXTS)
def test_a_malformed_text_is_left_out_or_refused(case, program_name, request):
    check_left_out(TEXT_PROGRAMS, MALFORMED_TEXTS[case], program_name, request)


# Of these all rows are taken, one more than GOOD unless it is blank.
TWO = ("source", "target")
TAKEN = {
    "blank line": ("a.tsv", tsv(b""), GOOD),
    "line of spaces": ("a.tsv", tsv("  \u3000".encode()), GOOD),
    "blank line in JSON": ("a.jsonl", jsonl(b" "), GOOD),
    "CRLF": ("a.tsv", tsv(b"a\tb\ten\tde", end=b"\r\n"), GOOD + 1),
    "blank CRLF": ("a.tsv", tsv(b"", end=b"\r\n"), GOOD),
    "mark": ("a.tsv", b"\xef\xbb\xbf" + tsv(b"a\tb\ten\tde"), GOOD + 1),
    "mark in JSON": ("a.jsonl", b"\xef\xbb\xbf" + jsonl(changed()), GOOD + 1),
    "U+2028": ("a.tsv", tsv("a\u2028\x0c\x85\tb\ten\tde".encode()), GOOD + 1),
    "NUL": ("a.tsv", tsv(b"a\x00\tb\ten\tde"), GOOD + 1),
    "lone CR": ("a.tsv", tsv(b"a\rc\tb\ten\tde"), GOOD + 1),
    "no last LF": ("a.tsv", tsv(b"a\tb\ten\tde")[:-1], GOOD + 1),
    "quotes": ("a.tsv", tsv(b'"a" said\t"b"\ten\tde'), GOOD + 1),
    "no languages": ("a.tsv", tsv(b"a\tb", TWO), GOOD + 1),
    "other columns": (
        "a.tsv",
        tsv(b"a\tb\ten", ("target", "source", "language")),
        GOOD + 1,
    ),
    "two gzip files": (
        "a.tsv.gz",
        gzip.compress(tsv(None)) + gzip.compress(b"a\tb\ten\tde\n"),
        GOOD + 1,
    ),
    "blank in Moses": ("a.en-de.en", moses(b" ", b""), GOOD),
    "CRLF in Moses": ("a.en-de.en", moses(b"a\r", b"b\r"), GOOD + 1),
    "NUL in a zip": ("a.zip", moses(b"a\x00", b"b\x0c", True), GOOD + 1),
    "mark in TMX": ("a.tmx", b"\xef\xbb\xbf" + tmx(unit(9)), GOOD + 1),
    "line feeds in TMX": ("a.tmx", tmx(unit(9, target="a\r\nb")), GOOD + 1),
    "two zstd files": (
        "a.tsv.zst",
        zst(tsv(None)) + zst(b"a\tb\ten\tde\n"),
        GOOD + 1,
    ),
    "null beside": ("a.jsonl", jsonl(changed(note=None)), GOOD + 1),
    "a list beside": ("a.jsonl", jsonl(changed(note=["a"])), GOOD + 1),
    "bytes in Parquet": (
        "a.parquet",
        lambda path: write_parquet(path, NAMES, source="\u00e4".encode()),
        GOOD + 1,
    ),
}


@pytest.mark.parametrize("program_name", PAIR_PROGRAMS)
@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken(case, program_name, tmp_path, monkeypatch, caplog):
    name, content, count = TAKEN[case]
    path = make(tmp_path, name, content)
    execute, each = PAIR_PROGRAMS[program_name]
    share = "--max_malformed_share=0"
    code, taken = execute(path, tmp_path, monkeypatch, share)
    assert (code, taken) == (0, count * each)
    assert "malformed" not in caplog.text
    is_said = caplog.text.count("(undetermined)")
    assert is_said == (case in ("no languages", "other columns"))


THIRD = '<tuv xml:lang="fr"><seg>a</seg></tuv></tu>'
CUT = gzip.compress(tsv(None) * 50)[:-20]
CUT_TEXT = gzip.compress(b"a b\n" * 5000)[:-20]
QUOTED = tsv(b'"Press ""Save"" now"\tb\ten\tde')
REFUSED = {
    "a column twice": ("a.tsv", tsv(b"", (*TWO, "source")), "a.tsv:1: .*twice"),
    "one column": ("a.tsv", b"source,target\na,b\n", "a.tsv:1: .*header"),
    "no header": ("a.tsv", b"a\tb\na\tb\n", "a.tsv:1: .*header"),
    "half a header": ("a.tsv", b"source\tx\na\tb\n", "a.tsv:1: .*header"),
    "header in latin-1": ("a.tsv", b"source\ttarget\t\xe4\n", "tsv:1: .*UTF-8"),
    "a quoted line feed": (
        "a.tsv",
        tsv(b'b\t"a\n a"\ten\tde'),
        f"a.tsv:{BAD_AT + 2}: a cell looks quoted",
    ),
    "a quoted comma": (
        "a.tsv",
        tsv(b'b\t"a, a"\ten\tde'),
        f"a.tsv:{BAD_AT + 2}: a cell looks quoted",
    ),
    "gzip cut off": ("a.tsv.gz", CUT, "damaged or truncated"),
    "no gzip": ("a.tsv.gz", tsv(None), "rename it to .*a.tsv"),
    "gzip by another name": ("a.tsv", gzip.compress(tsv(None)), "a.tsv.gz"),
    "empty": ("a.tsv", b"", "the file is empty"),
    "UTF-16": ("a.tsv", tsv(None).decode().encode("utf-16"), "UTF-16"),
    "quoted": ("a.tsv", QUOTED, f"a.tsv:{BAD_AT + 2}: a cell looks quoted"),
    "quoted header": ("a.tsv", b'"source"\t"target"\n', "a.tsv:1: .*quoted"),
    "csv": ("a.csv", b"source,target\na,b\n", r"\.csv files are not read"),
    "no ending": ("a", tsv(None), "tab-separated text.*rename it to .*a.tsv"),
    "zstd cut off": ("a.tsv.zst", zst(tsv(None))[:-9], "damaged or truncated"),
    "TMX cut off": ("a.tmx", tmx("", "<tu>"), "a.tmx:201: .*truncated"),
    "an entity": (
        "a.tmx",
        b"<!DOCTYPE tmx [<!ENTITY a 'b'>]>" + tmx(unit(9, source="&a;")),
        "a.tmx:1: .*entities",
    ),
    "three languages": (
        "a.tmx",
        tmx(unit(9).replace("</tu>", THIRD)),
        "a.tmx:101: a pair has two languages. Received texts in en, de, fr",
    ),
    "XLIFF": ("a.tmx", b"<?xml version='1.0'?><xliff/>", "only TMX is read"),
    "more lines": (
        *("a.en-de.en", moses(b"a\nb", b"c")),
        "Received 202 lines in en and 201 lines in de",
    ),
    "one file alone": ("a.en-de.en", b"a\n", "There is no .*a.en-de.de"),
    "no corpus in it": ("a.zip", b"PK\x03\x04", "damaged or truncated"),
    "cut record": ("a.tfrecord", example(fields(1)), "a.tfrecord"),
}  # fmt: skip


@pytest.mark.parametrize("program_name", PAIR_PROGRAMS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case, program_name, tmp_path, monkeypatch, capfd):
    name, content, said = REFUSED[case]
    path = make(tmp_path, name, content)
    execute, _ = PAIR_PROGRAMS[program_name]
    code, _ = execute(path, tmp_path, monkeypatch, "--max_malformed_share=1")
    assert code == 2
    shown = capfd.readouterr().err
    assert re.search(said, shown.replace("\n", " ")), shown
    assert "Traceback" not in shown


EMPTY_PAIRS = {
    "a-2.tsv": b"source\ttarget\n\n",
    "a-2.jsonl": b"\n \n",
    "a-2.tsv.gz": gzip.compress(tsv(None)[:0]),
}
EMPTY_TEXTS = {
    "a-2.tsv": b"text\tlanguage\n",
    "a-2.txt": b"\n \n",
    "a-2.txt.gz": gzip.compress(b""),
    "a-2.jsonl.zst": zst(b"\n"),
}


def check_empty(programs, name, content, program_name, request):
    tmp_path, monkeypatch, capfd = map(
        request.getfixturevalue, ("tmp_path", "monkeypatch", "capfd")
    )
    good = tsv(None, MONO if programs is TEXT_PROGRAMS else NAMES)
    make(tmp_path, "a-1.tsv", good)
    path = make(tmp_path, name, content)
    execute, _ = programs[program_name]
    code, _ = execute(tmp_path / "a-*", tmp_path, monkeypatch)
    assert code == 2
    shown = capfd.readouterr().err.replace("\n", " ")
    assert f"{path}: the file has no rows." in shown or (
        f"{path}:1: the columns are named in a header" in shown
    )
    assert "Traceback" not in shown


# `evaluate` reads each file by itself.
@pytest.mark.parametrize(
    "program_name", [name for name in PAIR_PROGRAMS if name != "evaluate"]
)
@pytest.mark.parametrize("name", EMPTY_PAIRS)
def test_a_file_without_pairs_beside_others_is_named(
    name, program_name, request
):
    check_empty(PAIR_PROGRAMS, name, EMPTY_PAIRS[name], program_name, request)


@pytest.mark.parametrize(
    "program_name", [name for name in TEXT_PROGRAMS if name != "mine"]
)
@pytest.mark.parametrize("name", EMPTY_TEXTS)
def test_a_file_without_texts_beside_others_is_named(
    name, program_name, request
):
    check_empty(TEXT_PROGRAMS, name, EMPTY_TEXTS[name], program_name, request)


REFUSED_TEXTS = {
    "zstd cut off": ("a.txt.zst", zst(b"a b\n" * 9)[:-2], "damaged or trunc"),
    "a column twice": ("a.tsv", b"text\ttext\na\tb\n", "a.tsv:1: .*twice"),
    "no text": ("a.tsv", b"a\tb\na\tb\n", "a.tsv:1: .*header.* text"),
    "quoted": ("a.tsv", b'text\n"a ""b"" c"\n', "a.tsv:2: a cell looks quoted"),
    "gzip cut off": ("a.txt.gz", CUT_TEXT, "damaged or truncated"),
    "JSON lines": ("a.txt", jsonl(b""), "rename it to .*a.jsonl"),
    "a table": ("a.txt", tsv(b""), "rename it to .*a.tsv"),
    "gzip by another name": ("a.txt", CUT, "rename it to .*a.tsv.gz"),
    "csv": ("a.csv", b"text,id\na,b\n", r"\.csv files are not read"),
    "JSON": ("a.json", b'[{"text": "a"}]', "a JSON document"),
    "no ending": ("a", b"text\n", "text in UTF-8.*rename it to .*a.txt"),
    "UTF-16": ("a.txt", "text\n".encode("utf-16"), "UTF-16"),
    "nothing": ("a.txt", b" \n\n", "[Nn]o text"),
}


@pytest.mark.parametrize("program_name", TEXT_PROGRAMS)
@pytest.mark.parametrize("case", REFUSED_TEXTS)
def test_texts_that_are_refused(
    case, program_name, tmp_path, monkeypatch, capfd
):
    name, content, said = REFUSED_TEXTS[case]
    path = make(tmp_path, name, content)
    execute, _ = TEXT_PROGRAMS[program_name]
    code, _ = execute(path, tmp_path, monkeypatch, "--max_malformed_share=1")
    assert code == 2
    shown = capfd.readouterr().err
    assert re.search(said, shown.replace("\n", " ")), shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("program_name", TEXT_PROGRAMS)
def test_texts_of_another_column_without_a_language(
    program_name, tmp_path, monkeypatch, caplog
):
    path = make(tmp_path, "a.tsv", b"id\tsentence\n1\ta\n2\tb\n")
    execute, _ = TEXT_PROGRAMS[program_name]
    column = "--text_column=sentence"
    assert execute(path, tmp_path, monkeypatch, column) == (0, 2)
    assert f"Rows of {path} have no language: it is taken as" in caplog.text


@pytest.mark.parametrize("program_name", PAIR_PROGRAMS)
def test_quotes_that_are_said_to_be_text(program_name, tmp_path, monkeypatch):
    path = make(tmp_path, "a.tsv", QUOTED)
    execute, each = PAIR_PROGRAMS[program_name]
    code, taken = execute(path, tmp_path, monkeypatch, "--tsv_quotes=text")
    assert (code, taken) == (0, (GOOD + 1) * each)


@pytest.mark.parametrize("program_name", PAIR_PROGRAMS)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_nested_fields(program_name, ending, tmp_path, monkeypatch):
    rows = [{"translation": {"en": f"s {i}", "de": f"t {i}"}} for i in range(3)]
    path = tmp_path / f"a.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        arrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(arrow.Table.from_pylist(rows), path)
    execute, each = PAIR_PROGRAMS[program_name]
    code, taken = execute(
        *(path, tmp_path, monkeypatch, "--source_column=translation.en"),
        *("--target_column=translation.de", "--source_language=en"),
    )
    assert (code, taken) == (0, 3 * each)


@pytest.mark.parametrize("program_name", TEXT_PROGRAMS)
@pytest.mark.parametrize("name", ["a.tmx", "a.en-de.en", "a.zip"])
def test_texts_of_a_file_of_pairs(
    program_name, name, tmp_path, monkeypatch, capfd
):
    """Programs that read texts or pairs read both sides."""
    content = (
        tmx(unit(999)) if name == "a.tmx" else moses(b"x", b"y", "z" in name)
    )
    path = make(tmp_path, name, content)
    execute, _ = TEXT_PROGRAMS[program_name]
    is_text = program_name == "mine"
    if is_text and name != "a.en-de.en":
        (tmp_path / "without").mkdir()
        assert execute(path, tmp_path / "without", monkeypatch) == (2, 0)
        shown = capfd.readouterr().err
        assert "texts are in one language. Received en" in shown
    language = ["--source_language=en"] if is_text else []
    code, taken = execute(path, tmp_path, monkeypatch, *language)
    assert (code, taken) == (0, (GOOD + 1) * (1 if is_text else 2))


# Vector N is that of row N.


class Model:
    """Counts characters."""

    fingerprint = "f"
    dimension = 2
    max_length = 8

    def encode(self, texts, batch_size=None, **_):
        return np.array([[len(text), 0] for text in texts], np.float32)


@pytest.fixture
def encode_lengths(tmp_path, monkeypatch, capfd):
    """Runs `labse encode`: the texts' lengths, or the error."""
    monkeypatch.setattr(labse, "load", lambda *_, **__: Model(), raising=False)

    def run_encode(path, *arguments):
        out = tmp_path / "v.npy"
        code, _ = run(encode, arguments, model="m", input=path, out=out)
        shown = capfd.readouterr().err
        assert "Traceback" not in shown
        return np.load(out)[:, 0].tolist() if code == 0 else shown

    return run_encode


@pytest.mark.parametrize(
    "name, content, lengths",
    [
        ("a.txt", b"abc\r\n\n \nd", [3, 0, 1, 1]),
        ("a.txt", b"", []),
        ("a.txt", b'{"text": "a"} b\n', [15]),
        ("a.tsv", b"id\ttext\n1\tab\n\n2\tc\n", [2, 1]),
        ("a.jsonl", b'{"text": "ab"}\n\n{"text": "c\\nd"}\n', [2, 3]),
        ("a.jsonl.gz", gzip.compress(b'{"text": "ab"}'), [2]),
        ("a.txt.zst", zst(b"ab\n\nc"), [2, 0, 1]),
        ("a.en-de.en", b"ab\n\nc\n", [2, 0, 1]),
    ],
)
def test_encode_reads_the_texts(
    tmp_path, encode_lengths, name, content, lengths
):
    assert encode_lengths(make(tmp_path, name, content)) == lengths


def test_encode_reads_another_column_and_globs(tmp_path, encode_lengths):
    make(tmp_path, "a-1.tsv", b"id\tsentence\n1\tab\n")
    make(tmp_path, "a-2.jsonl", b'{"sentence": "abc"}\n')
    found = encode_lengths(tmp_path / "a-*", "--text_column=sentence")
    assert found == [2, 3]


@pytest.mark.parametrize(
    "case", sorted(MALFORMED_TEXTS.keys() - {"empty language"})
)
def test_encode_leaves_no_row_out(case, tmp_path, encode_lengths):
    name, content, said = MALFORMED_TEXTS[case]
    path = make(tmp_path, name, content)
    header = path.name.startswith("a.tsv")
    place = f"{re.escape(str(path))}:{BAD_AT + 1 + header}: "
    assert re.search(place + ".*" + said, encode_lengths(path))


def test_encode_leaves_rows_out_where_it_is_told_to(tmp_path, encode_lengths):
    table = make(tmp_path, "a.tsv", b"text\tid\nab\t1\n\t2\nabc\t3\n")
    shares = "--max_malformed_share=0.5", "--max_malformed_share=0.2"
    assert "At most a share of 0.2" in encode_lengths(table, shares[1])
    assert encode_lengths(table, shares[0]) == [2, 3]
    lines = make(tmp_path, "a.txt", b"a\n\xff\n")
    (tmp_path / "v.npy").unlink()
    assert f"{lines}:2: text is UTF-8" in encode_lengths(lines, shares[0])


def test_encode_reads_a_language_of_a_tmx(tmp_path, encode_lengths):
    path = make(tmp_path, "a.tmx", tmx(unit(1000, target="abc")))
    assert f"{path}:1: " in encode_lengths(path)
    assert encode_lengths(path, "--language=de")[BAD_AT] == 3


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a"])
def test_encode_refuses_what_is_no_file_of_texts(
    tmp_path, encode_lengths, name
):
    path = make(tmp_path, name, b"text,id\nx,1\n")
    assert f"{path}: " in encode_lengths(path)
