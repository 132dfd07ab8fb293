from labse.files.chunks import chunked


def test_a_chunk_ends_with_its_last_item_or_its_size():
    words = ["a", "bb", "c", "dddd", "e", "f"]
    # Sizes 1 + 2, 1 + 4 (reaches 4), 1 + 1.
    assert list(chunked(words, len, 2, 4)) == [
        ["a", "bb"],
        ["c", "dddd"],
        ["e", "f"],
    ]
    # Sizes 1 + 2 + 1, 4, 1 + 1; a stream as well as a list.
    assert list(chunked(iter(words), len, 10, 4)) == [
        ["a", "bb", "c"],
        ["dddd"],
        ["e", "f"],
    ]


def test_nothing_has_no_chunk():
    assert list(chunked([], len, 2, 4)) == []
