import gzip
import json
import os
import subprocess
import sys
import zlib

import pytest

from data_pipeline.corpora import archives
from data_pipeline.corpora.archives import (
    CUT,
    DAMAGED,
    NO_LENGTH,
    REST,
    TOO_LARGE,
    TRUNCATED,
    WRONG_LENGTH,
    read_records,
)
from tests.data_pipeline.corpora.conftest import record

GOOD = record(b"good")


def contents(tmp_path, drops, data):
    path = tmp_path / "a.warc"
    path.write_bytes(data)
    return [each.content for each in read_records(str(path), drops)]


def test_a_record(tmp_path, drops):
    path = tmp_path / "a.wet"
    head = (
        b"WARC/1.1\r\nwarc-type: conversion\r\nWARC-Target-URI: <http://a/>\r\n"
        b"Content-Type: Text/Plain\r\nContent-Length: 3\r\n"
        b"WARC-Identified-Content-Language: eng\r\n\r\n"
    )
    path.write_bytes(record(b"x", "warcinfo") + head + b"abc\r\n\r\n")
    assert list(read_records(str(path), drops)) == [
        ("conversion", "http://a/", "text/plain", "eng", b"abc", f"{path}:2")
    ]
    assert not drops.reasons


@pytest.mark.parametrize(
    "data",
    [
        GOOD * 3,
        gzip.compress(GOOD) * 3,
        gzip.compress(GOOD * 3),
        b"\r\n" * 1000 + GOOD * 3,
        (GOOD * 3).replace(b"\r\n", b"\n"),
        gzip.compress((GOOD * 3).replace(b"\r\n", b"\n")),
        gzip.compress(GOOD.replace(b"\r\n", b"\n")) * 3,
    ],
)
def test_whole_files(tmp_path, drops, data):
    assert contents(tmp_path, drops, data) == [b"good"] * 3
    assert not drops.reasons


def damaged_member():
    member = bytearray(gzip.compress(record(os.urandom(5000))))
    member[900:904] = b"\0\0\0\0"
    return bytes(member)


def packed(*records):
    return b"".join(map(gzip.compress, records))


@pytest.mark.parametrize(
    "data, expected, reasons",
    [
        (record(b"abc", length="") + GOOD * 2, 2, [(NO_LENGTH, "1")]),
        (record(b"abc", length="x") + GOOD * 2, 2, [(WRONG_LENGTH, "1")]),
        (record(b"abc", length=-3) + GOOD * 2, 2, [(WRONG_LENGTH, "1")]),
        (record(b"abc", length=2) + GOOD * 2, 2, [(WRONG_LENGTH, "1")]),
        # It swallows a part of the next record, which is read nevertheless.
        (record(b"abc", length=50) + GOOD * 2, 2, [(WRONG_LENGTH, "1")]),
        (record(b"abc", length=9**9) + GOOD * 2, 2, [(TOO_LARGE, "1")]),
        (record(b"abc", length=9**7) + GOOD * 2, 2, [(TRUNCATED, "1")]),
        (GOOD + record(b"abc" * 9)[:-20], 1, [(TRUNCATED, "2")]),
        (packed(GOOD, record(os.urandom(999)))[:-300], 1, [(TRUNCATED, "2")]),
        (packed(GOOD) + damaged_member() + packed(GOOD), 2, [(DAMAGED, "2")]),
        (b"WARC/1.0\r\nX: " + b"a" * 10**6 + b"\r\n\r\n" + GOOD, 1, None),
        (b"garbage" * 10**6, 0, [(DAMAGED, "1"), (REST, "1")]),
        (b"\0" * 10**6, 0, [(DAMAGED, "1"), (REST, "1")]),
        # Cut in the head of a record.
        (gzip.compress(GOOD) + gzip.compress(GOOD)[:9], 1, [(CUT, "2")]),
        (gzip.compress(GOOD * 9)[:-4], 9, [(CUT, "10")]),
    ],
)
def test_damages_are_counted(tmp_path, drops, data, expected, reasons):
    assert contents(tmp_path, drops, data) == [b"good"] * expected
    assert drops.reasons == (reasons or [(DAMAGED, "1")])


@pytest.mark.parametrize("before", range(1, 12))
def test_a_head_across_blocks(tmp_path, drops, monkeypatch, before):
    """The block in which a record is looked for ends within its head."""
    monkeypatch.setattr(archives, "_SCAN_BYTES", 1024)
    damage = record(b"abc", length=2)
    for blocks in (1, 2, 3):
        # Of the second search, which begins with the line feed before byte 1.
        data = damage.ljust(1024 * blocks - before, b"x") + b"\n" + GOOD
        assert contents(tmp_path, drops, data) == [b"good"]


def test_zstandard_after_damage(tmp_path, drops):
    zstandard = pytest.importorskip("zstandard")
    member = zstandard.compress(GOOD)
    damaged = zstandard.compress(record(bytes(range(256)) * 9))
    data = member + damaged[:9] + b"\xff" * 9 + damaged[18:] + member
    assert contents(tmp_path, drops, data) == [b"good"] * 2
    assert drops.reasons == [(DAMAGED, "2")]


def test_damages_of_a_file_have_a_limit(tmp_path, drops, monkeypatch):
    monkeypatch.setattr(archives, "MAX_DAMAGES", 3)
    data = record(b"abc", length=10**12) * 10
    assert contents(tmp_path, drops, data) == []
    # The file, and once more after each of three damages.
    reasons = [reason for reason, _ in drops.reasons]
    assert reasons == [TOO_LARGE] * 4 + [archives.TOO_MANY]


@pytest.mark.parametrize("data", [gzip.compress(b""), GOOD[:0] + b"\r\n"])
def test_no_record(tmp_path, drops, data):
    assert not contents(tmp_path, drops, data)
    assert drops.reasons == [(archives.EMPTY, "1")]


def test_a_revisit_is_counted(tmp_path, drops):
    assert contents(tmp_path, drops, record(b"", "revisit") + GOOD) == [b"good"]
    assert drops.reasons == [("a revisit of a page", "1")]


def bomb(content, times):
    """Gzip of `content` so many times over, in little memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(content) for _ in range(times)]
    return b"".join([*parts, packer.flush()])


def test_memory_is_bounded(tmp_path):
    """256 MiB in one record, and as much in another's header."""
    zeros = b"\0" * 2**20
    head = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 268435456\r\n"
    data = gzip.compress(head + b"\r\n") + bomb(zeros, 256)
    data += gzip.compress(b"\r\n\r\n") + gzip.compress(GOOD)
    data += gzip.compress(b"WARC/1.0\r\nX: ") + bomb(zeros, 256)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(data)
    code = f"""
import json, re
from data_pipeline.corpora.archives import read_records
from data_pipeline.jobs.drops import Drops
drops = Drops()
found = [each.content.decode() for each in read_records({str(path)!r}, drops)]
peak = re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]
print(json.dumps([found, drops.to_json(), int(peak) // 1024]))
"""
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE
    ).stdout
    found, counts, peak = json.loads(output)
    assert found == ["good"]
    assert {row[2] for row in counts} == {TOO_LARGE, DAMAGED, REST}
    assert peak < 150  # MiB, most of them the interpreter's
