import random
import string
import unicodedata

import pytest

from data_pipeline import holdout
from labse.errors import InputError

HEADER = ("source", "target", "source_language", "target_language")


def write(path, rows, header=HEADER):
    lines = ["\t".join(row) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def read(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    return [tuple(line.split("\t")) for line in lines[1:]]


def split(folder, rows, share=0.3, seed=0, header=HEADER):
    result = holdout.split_pairs(
        [write(folder / "pairs.tsv", rows, header)],
        str(folder / "train.tsv"),
        str(folder / "heldout.tsv"),
        share,
        seed,
    )
    return read(folder / "train.tsv"), read(folder / "heldout.tsv"), result


def made_rows(count, seed=0):
    """Pairs of few words in many spellings, so that much hangs together."""
    rng = random.Random(seed)
    words = ["save", "open", "Öffnen", "straße", "फ़ाइल", "日本", "x1", "i̇"]
    marks = ["", " ", "...", "!", "_", "\u200b", " – ", "™"]
    changes = [str, str.upper, str.title, str.swapcase]

    def text():
        chosen = rng.choices(words, k=rng.randint(1, 3))
        text = rng.choice(marks).join(chosen) + rng.choice(marks)
        text = rng.choice(changes)(text)
        return unicodedata.normalize(rng.choice(["NFC", "NFD"]), text).strip()

    targets = ["de", "de-AT", "fr", "es-MX", "es"]
    return [(text(), text(), "en", rng.choice(targets)) for _ in range(count)]


def plain(text):
    """A form of a text made without the code that is tested."""
    text = unicodedata.normalize("NFKD", text.lower().upper().lower())
    for character in string.punctuation + string.whitespace + "–\u200b":
        text = text.replace(character, "")
    return text


class TestNoLeak:
    """What must hold, asked of the two files alone."""

    @pytest.mark.parametrize("seed", range(5))
    def test_no_held_out_text_is_trained_on(self, tmp_path, seed):
        rows = made_rows(2000, seed)
        train, heldout, result = split(tmp_path, rows, share=0.2, seed=seed)
        assert train and heldout
        assert result.dropped_rows > 0
        # A source is in no other row, whatever the language.
        assert not {plain(row[0]) for row in train} & {
            plain(row[0]) for row in heldout
        }
        # A target is in no other row of its language.
        assert not {(row[3][:2], plain(row[1])) for row in train} & {
            (row[3][:2], plain(row[1])) for row in heldout
        }
        # Nothing is lost but what is counted.
        assert result.train_rows == len(train)
        assert result.heldout_rows == len(heldout)
        assert len(rows) == len(train) + len(heldout) + result.dropped_rows
        assert set(train) | set(heldout) <= set(rows)

    def test_a_random_split_does_leak(self):
        # So the questions above can be answered with no.
        rows = made_rows(2000)
        train, heldout = rows[::2], rows[1::2]
        assert {plain(row[0]) for row in train} & {
            plain(row[0]) for row in heldout
        }

    def test_both_directions_in_one_file(self, tmp_path):
        rows = made_rows(500)
        rows += [(t, s, b, a) for s, t, a, b in rows]
        train, heldout, _ = split(tmp_path, rows, share=0.05)

        def texts(rows):
            return {(row[2][:2], plain(row[0])) for row in rows} | {
                (row[3][:2], plain(row[1])) for row in rows
            }

        assert train and heldout
        assert not texts(train) & texts(heldout)


def chosen(name, is_held_out, share=0.3, seed=0):
    """A text like `name` whose hash puts it on the side asked for."""
    return next(
        text
        for text in (f"{name}{number}" for number in range(1000))
        if holdout.is_held_out(holdout.text_key(text), share, seed)
        == is_held_out
    )


class TestRules:
    def test_train_row_with_a_held_out_target_is_dropped(self, tmp_path):
        save, store = chosen("save", True), chosen("store", False)
        rows = [
            (save, "Speichern", "en", "de"),
            (save, "guardar", "en", "es"),
            (store, "speichern!", "en", "de"),
            (store, "guardar", "en", "es-MX"),
            (store, "Speichern", "en", "nl"),
            (store, "Lagern", "en", "de"),
        ]
        train, heldout, result = split(tmp_path, rows)
        assert heldout == rows[:2]
        # Dropped for German and, its regions being one, Spanish; not for
        # another language that writes the word in the same way.
        assert train == rows[4:]
        assert result == holdout.Split(
            train_rows=2,
            heldout_rows=2,
            dropped_rows=2,
            train_sources=1,
            heldout_sources=1,
        )

    def test_train_row_with_a_held_out_source_as_its_target(self, tmp_path):
        save, other = chosen("save", True), chosen("sichern", False)
        keep = (other, "guardar", "de", "es")
        rows = [(save, "salvar", "en", "es"), (other, save, "de", "en"), keep]
        train, heldout, _ = split(tmp_path, rows)
        assert (train, heldout) == ([keep], rows[:1])

    def test_order_of_rows_changes_no_side(self, tmp_path):
        rows = made_rows(300)
        train, heldout, _ = split(tmp_path, rows)
        backwards = split(tmp_path, rows[::-1])
        assert backwards[0] == train[::-1]
        assert backwards[1] == heldout[::-1]

    def test_rows_added_later_leave_the_others_held_out(self, tmp_path):
        rows = made_rows(300)
        _, heldout, _ = split(tmp_path, rows[:100])
        _, more, _ = split(tmp_path, rows)
        assert set(heldout) <= set(more)

    def test_another_seed_holds_out_others(self, tmp_path):
        rows = [(f"text {n}", f"Text {n}", "en", "de") for n in range(200)]
        _, one, _ = split(tmp_path, rows, seed=1)
        _, again, _ = split(tmp_path, rows, seed=1)
        _, other, _ = split(tmp_path, rows, seed=2)
        assert one == again
        assert one != other

    def test_share_is_of_different_sources(self, tmp_path):
        rows = [
            (f"text {n}", f"{language} {n}", "en", language)
            for n in range(2000)
            for language in ("de", "fr")
        ]
        _, _, result = split(tmp_path, rows, share=0.1)
        # 2000 draws at 0.1: 200, give or take four times 13.4.
        assert 146 < result.heldout_sources < 254
        assert result.heldout_rows == 2 * result.heldout_sources

    def test_the_hash_is_the_same_on_every_machine(self):
        # Of `printf "0\\ttext5" | b2sum -l 64` and so on the first two digits:
        # b2 a7 f3 be 87 6b 04 d0; held out is what is below 80.
        sides = [holdout.is_held_out(f"text{n}", 0.5, 0) for n in range(8)]
        assert sides == [False] * 5 + [True, True, False]

    def test_other_columns_and_no_languages(self, tmp_path):
        save, store = chosen("save", True), chosen("store", False)
        rows = [
            ("0.5", "Speichern", save),
            ("0.7", "Speichern", store),
            ("0.9", "Lagern", store),
        ]
        header = ("score", "target", "source")
        train, heldout, _ = split(tmp_path, rows, header=header)
        assert (train, heldout) == (rows[2:], rows[:1])
        first_line = (tmp_path / "train.tsv").read_text().split("\n")[0]
        assert first_line == "score\ttarget\tsource"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Log in", "log-in…"),
        ("STRASSE", "straße"),
        ("ﬁle", "file"),
        ("Café", "cafe\u0301"),
        ("می‌خواهم", "میخواهم"),
        ("１２", "12"),
        ("ΌΣΟΣ", "όσος"),
    ],
)
def test_texts_that_are_the_same(one, other):
    assert holdout.text_key(one) == holdout.text_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("->", "<-"),
        ("cafe", "café"),
        ("कि", "की"),  # vowel signs are marks, not punctuation
        ("1", "2"),
    ],
)
def test_texts_that_differ(one, other):
    assert holdout.text_key(one) != holdout.text_key(other)


class TestErrors:
    def test_nothing_to_hold_out(self, tmp_path):
        rows = [(chosen("save", False), "Speichern", "en", "de")]
        with pytest.raises(
            InputError, match=r"one source text must be held out.*of 0\.3"
        ):
            split(tmp_path, rows)
        assert not (tmp_path / "train.tsv").exists()

    def test_nothing_left_to_train_on(self, tmp_path):
        rows = [
            (chosen("save", True), "Speichern", "en", "de"),
            (chosen("store", False), "Speichern", "en", "de"),
        ]
        with pytest.raises(InputError, match=r"pair must be left.*of 0\.3"):
            split(tmp_path, rows)
        assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]

    @pytest.mark.parametrize(
        "names",
        [
            ("a.tsv", "a.tsv", "b.tsv"),
            ("a.tsv", "b.tsv", "b.tsv"),
            ("a.tsv", "b.tsv", "x/../a.tsv"),
        ],
    )
    def test_the_same_file_twice(self, tmp_path, names):
        (tmp_path / "x").mkdir()
        paths = [str(tmp_path / name) for name in names]
        write(tmp_path / "a.tsv", [("dog", "Hund", "en", "de")])
        with pytest.raises(InputError, match="be different files. Received"):
            holdout.split_pairs(paths[:1], *paths[1:], share=0.1, seed=0)
