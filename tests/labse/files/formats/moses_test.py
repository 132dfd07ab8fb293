import bz2
import gzip
import zipfile

import pytest

from labse.errors import InputError
from labse.files import lines
from labse.files.formats.moses import parse_name
from labse.files.kinds import find_files
from labse.files.pairs import PairFiles
from labse.files.reading import ReadOptions, Tally
from labse.files.texts import TextFile, Texts, open_texts

EN, DE = b"cat\ndog\n", b"Katze\r\nHund"
PAIRS = [("cat", "Katze", "en", "de"), ("dog", "Hund", "en", "de")]
SWAPPED = [("Katze", "cat", "de", "en"), ("Hund", "dog", "de", "en")]


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "c.en-de.en").write_bytes(EN)
    (tmp_path / "c.en-de.de").write_bytes(DE)
    (tmp_path / "c.en-de.ids").write_bytes(b"1\t1\n2\t2\n")
    return tmp_path / "c.en-de"


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "de-en.txt.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "about")
        archive.writestr("LICENSE", "free")
        archive.writestr("c.en-de.en", EN)
        archive.writestr("c.en-de.de", DE)
        archive.writestr("c.en-de.xml", "<xml/>")
    return path


def pairs(*paths, **options):
    return [
        (pair.source, pair.target, pair.source_language, pair.target_language)
        for pair in PairFiles(paths, ReadOptions(**options))
    ]


def texts(path, **options):
    file = TextFile(path, ReadOptions(**options), Tally())
    return [(text.number, text.language, text.text) for text in file]


@pytest.mark.parametrize(
    "path, languages",
    [
        ("a/c.en-de.en", ("en", "de")),
        ("en-de.de.gz", ("en", "de")),
        ("TED-x.v1.en-pt_BR.pt_BR", ("en", "pt_BR")),
        ("c.en-de.fr", None),
        ("c.en-en.en", None),
        ("c.en.de", None),
        ("a-b.txt", None),
    ],
)
def test_names(path, languages):
    found = parse_name(path)
    assert (found and found.languages) == languages


def test_any_of_the_names_is_the_corpus(corpus):
    for names in (
        [f"{corpus}.en"],
        [f"{corpus}.de"],
        [f"{corpus}.*"],
        [f"{corpus}"],
        [f"{corpus}.de", f"{corpus}.en", f"{corpus}.*"],
    ):
        assert pairs(*names) == PAIRS
    assert find_files([str(corpus)]) == [f"{corpus}.de", f"{corpus}.en"]


def test_flags_choose_the_source(corpus, packed):
    for path in (f"{corpus}.en", packed):
        assert pairs(path) == PAIRS
        assert pairs(path, source_language="de") == SWAPPED
        assert pairs(path, target_language="en") == SWAPPED
        with pytest.raises(
            InputError, match="no text in fr. Received .* de, en"
        ):
            pairs(path, source_language="fr")


@pytest.mark.parametrize("pack, ending", [(gzip, ".gz"), (bz2, ".bz2")])
def test_compressed_and_beside_it_plain(tmp_path, pack, ending):
    (tmp_path / f"c.en-de.en{ending}").write_bytes(pack.compress(EN))
    (tmp_path / "c.en-de.de").write_bytes(DE)
    assert pairs(tmp_path / f"c.en-de.en{ending}") == PAIRS
    assert pairs(tmp_path / "c.en-de.de") == PAIRS


def test_texts_of_one_language(corpus, packed):
    found = [(1, "de", "Katze"), (2, "de", "Hund")]
    assert texts(f"{corpus}.de") == texts(packed, language="de") == found
    assert list(open_texts(f"{corpus}.en")) == ["cat", "dog"]
    with pytest.raises(InputError, match="one language. Received en and de"):
        texts(packed)
    for path in (f"{corpus}.de", packed):
        with pytest.raises(InputError, match="no text in fr"):
            texts(path, language="fr")
        assert len(list(Texts([path]))) == 4


def test_encoded_texts_keep_their_lines(tmp_path):
    (tmp_path / "c.en-de.en").write_bytes(b"a\n\nb\n")
    path = f"{tmp_path}/c.en-de.en"
    assert list(open_texts(path)) == ["a", "", "b"]
    with pytest.raises(InputError, match="no text in de"):
        list(open_texts(path, ReadOptions(language="de")))


def test_blank_and_malformed_lines(corpus, caplog):
    (corpus.with_name("c.en-de.en")).write_bytes(b"a\n \nb\n\xff\nc\x00\x0c\n")
    (corpus.with_name("c.en-de.de")).write_bytes(b"x\n\n\ny\nz\xe2\x80\xa8\n")
    files = PairFiles([f"{corpus}.de"], ReadOptions(max_malformed_share=0.5))
    assert [(pair.source, pair.target) for pair in files] == [
        ("a", "x"),
        ("c\x00\x0c", "z\u2028"),
    ]
    assert (files.tally.num_blank, files.tally.num_malformed) == (1, 2)
    assert f"{corpus}.de:3: target is empty" in caplog.text
    assert (
        f"{corpus}.de:4: text is UTF-8. Received the byte 0xff" in caplog.text
    )


@pytest.mark.parametrize("extra", [0, 1])
def test_different_numbers_of_lines(corpus, extra):
    corpus.with_name("c.en-de.en").write_bytes(b"a\n" * (3 + 2 * extra))
    corpus.with_name("c.en-de.de").write_bytes(b"b\n" * 4)
    counts = f"{3 + 2 * extra} lines in en and 4 lines in de"
    with pytest.raises(InputError, match=f"Received {counts}"):
        pairs(f"{corpus}.en")


def test_one_file_alone(corpus):
    corpus.with_name("c.en-de.de").unlink()
    with pytest.raises(
        InputError, match=r"There is no .*c\.en-de\.de\. Put it"
    ):
        pairs(f"{corpus}.en")
    assert texts(f"{corpus}.en")[1] == (2, "en", "dog")
    corpus.with_name("c.en-de.de").write_bytes(b"")
    with pytest.raises(InputError, match=r"c\.en-de\.de: the file is empty"):
        pairs(f"{corpus}.en")


def test_zip_files_without_one_corpus(tmp_path, packed):
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("d.en-fr.en", EN)
        archive.writestr("d.en-fr.fr", EN)
    with pytest.raises(
        InputError, match="Received several: c.en-de.en, c.en-de"
    ):
        pairs(packed)
    other = tmp_path / "b.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("c.en-de.en", EN)
        archive.writestr("x.xml", EN)
    with pytest.raises(InputError, match="Received none: c.en-de.en, x.xml"):
        pairs(other)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_file_with_a_name_twice(packed):
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("c.en-de.en", EN)
    with pytest.raises(InputError, match=r"zip: .*twice: c\.en-de\.en"):
        pairs(packed)


def test_damaged_zip_files(packed):
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="zip: .*damaged or truncated"):
        pairs(packed)
    with zipfile.ZipFile(packed, "w") as archive:  # not compressed
        archive.writestr("c.en-de.en", EN)
        archive.writestr("c.en-de.de", DE)
    packed.write_bytes(packed.read_bytes().replace(b"dog\n", b"dot\n"))
    with pytest.raises(InputError, match="zip: .*damaged or truncated.*CRC"):
        pairs(packed)


def test_an_encrypted_zip_file(packed):
    content = bytearray(packed.read_bytes())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1  # flag bit 0 of the central directory
        at = content.find(b"PK\x01\x02", at + 1)
    packed.write_bytes(content)
    with pytest.raises(InputError, match="c.en-de.en in it is encrypted"):
        pairs(packed)


def test_a_zip_bomb_meets_the_limit_of_lines(packed, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2**16)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c.en-de.en", b"a\n" + b"0" * 2**22)
        archive.writestr("c.en-de.de", b"a\nb")
    with pytest.raises(
        InputError, match=r"zip/c\.en-de\.en:2: a line has at m"
    ):
        pairs(packed)
