import gzip

from labse.files.pairs import PairFiles

LINES = [f"source {n}\ttarget {n}\n".encode() for n in range(100)]
CONTENT = b"source\ttarget\n" + b"".join(LINES)


def test_how_far_files_have_been_read(tmp_path):
    (tmp_path / "1.tsv").write_bytes(CONTENT)
    packed = gzip.compress(CONTENT)
    (tmp_path / "2.tsv.gz").write_bytes(packed)
    lines = [each.split(b"\t") for each in LINES]
    sides = [
        b"".join(line[0] + b"\n" for line in lines),
        b"".join(line[1] for line in lines),
    ]
    (tmp_path / "3.en-de.en").write_bytes(sides[0])
    (tmp_path / "3.en-de.de").write_bytes(sides[1])
    pairs = PairFiles([tmp_path / "*"])
    assert pairs.position == 0
    total = len(CONTENT) + len(packed) + sum(map(len, sides))
    assert pairs.num_bytes == total
    found = [pairs.position for _ in pairs]
    # Behind the line, but for its line feed.
    end = len(CONTENT) - len(b"".join(LINES))
    for number, line in enumerate(LINES):
        end += len(line)
        assert found[number] == end - 1
    # Files whose rows have no place count when they have been read.
    assert set(found[100:200]) == {len(CONTENT)}
    assert set(found[200:]) == {len(CONTENT) + len(packed)}
    assert pairs.position == total
