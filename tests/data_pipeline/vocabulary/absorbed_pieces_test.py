from data_pipeline.vocabulary import absorbed_pieces, word_table

LETTERS = "acehilmnorstu"
FIXED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FIXED += [*LETTERS, *(f"##{letter}" for letter in LETTERS)]


def choose(fixed, longer, words, room):
    counts = {"x": {word.encode(): 1 for word in words}}
    table = word_table.table_of_counts(counts, 1.0)
    return absorbed_pieces.choose(fixed, longer, table, room)


def test_steps_on_the_way_to_a_longer_piece_are_left_out():
    longer = ["mi", "##nu", "minu", "##te", "minute", "##rs"]
    words = ["minute", "minuters"]
    # "minute" and "##rs" are given; the room that is left gets the first.
    chosen = choose(FIXED, longer, words, 3)
    assert chosen == ["mi", "minute", "##rs"]


def test_what_stands_between_different_neighbours_stays():
    # "##cha" is in no word any more, but has been in three: ro|n, li|t, mi|.
    longer = ["##cha", "rochan", "lichat", "micha", "##chan", "rocha"]
    words = ["rochan", "lichat", "micha"]
    chosen = choose(FIXED, longer, words, 4)
    assert chosen == ["##cha", "rochan", "lichat", "micha"]


def test_pieces_come_from_as_far_down_as_it_takes():
    longer = ["ra", "rat", "ca", "cat", "ha", "hat"]
    words = ["rat", "cat", "hat"]
    chosen = choose(FIXED, longer, words, 3)
    # "ca" is left out only once "cat" is there, and "hat" is one too many.
    assert chosen == ["rat", "cat", "ha"]


def test_room_that_is_left_gets_the_others_in_order():
    longer = ["mi", "minu", "minute", "ra", "rat"]
    words = ["minute", "rat"]
    assert choose(FIXED, longer, words, 3) == ["mi", "minute", "rat"]
    assert choose(FIXED, longer, words, 9) == longer
    assert choose(FIXED, [], words, 9) == []
