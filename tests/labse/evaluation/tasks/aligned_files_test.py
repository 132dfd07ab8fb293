import pytest

from labse.errors import InputError
from labse.evaluation.tasks import aligned_files


def _touch(folder, *names):
    for name in names:
        (folder / name).write_text("a\n")


@pytest.mark.parametrize(
    "files, expected",
    [
        (
            ["UNv1.0.devset.ar", "UNv1.0.devset.en", "UNv1.0.devset.ids"],
            ["ar", "en"],
        ),
        (["eng_Latn.devtest", "zho_Hans.devtest"], ["eng_Latn", "zho_Hans"]),
        (["eng.dev", "fra.dev", "tsn.dev"], ["eng", "fra", "tsn"]),
        (
            [
                "newstest2019-src.eng.txt",
                "newstest2019-ref.fra-CA.txt",
                "newstest2019-ref.srp-Latn.txt",
            ],
            ["eng", "fra-CA", "srp-Latn"],
        ),
        (["en.txt", "en.tsv", "fr.txt", "notes.txt"], ["en", "fr"]),
    ],
)
def test_layouts(tmp_path, files, expected):
    _touch(tmp_path, *files, "README.txt", "README.md", ".en", "notes")
    found = aligned_files.find_files(tmp_path)
    assert list(found) == expected
    assert all(path.parent == tmp_path for path in found.values())


def test_a_folder_is_no_file(tmp_path):
    _touch(tmp_path, "test.en", "test.fr")
    (tmp_path / "test.de").mkdir()
    assert list(aligned_files.find_files(tmp_path)) == ["en", "fr"]


def test_no_set(tmp_path):
    rule = "An n-way set is a folder of aligned files.*Received: "
    with pytest.raises(InputError, match=f"{rule}.*without two such files"):
        aligned_files.find_files(tmp_path)
    _touch(tmp_path, "test.en")
    with pytest.raises(InputError, match=f"{rule}.*without two such files"):
        aligned_files.find_files(tmp_path)
    with pytest.raises(InputError, match=f"{rule}.*test.en, not a folder"):
        aligned_files.find_files(tmp_path / "test.en")


def test_several_sets_are_never_chosen_from_silently(tmp_path):
    _touch(tmp_path, "test.de", "test.en", "train.de", "train.en", "train.fr")
    with pytest.raises(
        InputError,
        match=r"several sets: test\.\* \(de, en\); train\.\* \(de, en, fr\)\. "
        r"Choose one with file_set, as in test\.\*",
    ):
        aligned_files.find_files(tmp_path)
    found = aligned_files.find_files(tmp_path, "test.*")
    assert {name: path.name for name, path in found.items()} == {
        "de": "test.de",
        "en": "test.en",
    }
    assert list(aligned_files.find_files(tmp_path, "train.*")) == [
        "de", "en", "fr",
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"Received: dev\.\*\. .*holds test\."):
        aligned_files.find_files(tmp_path, "dev.*")


def test_file_set_where_there_is_no_set(tmp_path):
    with pytest.raises(InputError, match="holds no set"):
        aligned_files.find_files(tmp_path, "test.*")


def test_parts_of_names_that_look_like_languages(tmp_path):
    # "dev" and "tst" have the form of a code: eng.* is no set of languages.
    names = [f"{name}.dev" for name in ("eng", "fra", "tsn")]
    _touch(tmp_path, *names, "eng.tst", "fra.tst", "tsn.tst")
    with pytest.raises(
        InputError, match=r"several sets: \*\.dev .*; \*\.tst .*"
    ):
        aligned_files.find_files(tmp_path)
    with pytest.raises(InputError) as error:
        aligned_files.find_files(tmp_path)
    assert "eng.*" not in str(error.value)


def test_an_original_and_a_translation_in_one_language(tmp_path):
    _touch(tmp_path, "set-src.eng.txt", "set-ref.eng.txt", "set-ref.fra.txt")
    with pytest.raises(InputError, match="one file a language.*-ref.eng.*-src"):
        aligned_files.find_files(tmp_path)


def test_misaligned_files_are_told_with_both_counts(tmp_path):
    paths = [tmp_path / name for name in ("t.de", "t.en", "t.fr")]
    for path, text in zip(paths, ("a\nb\n", "c\nd", "e\nf\ng\n"), strict=True):
        path.write_text(text)
    assert aligned_files.read_aligned(paths[:2]) == [["a", "b"], ["c", "d"]]
    with pytest.raises(
        InputError, match=r"t\.de has 2 lines and .*t\.fr has 3\."
    ):
        aligned_files.read_aligned(paths)


def test_lines(tmp_path):
    path = tmp_path / "t.de"
    path.write_bytes("\ufeffa\u2028b \r\n\x0bc\x85".encode())
    assert aligned_files.read_lines(path) == ["a\u2028b ", "\x0bc\x85"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "t.de is empty"),
        (b"\n", r"t.de:1: .* Received an empty line"),
        (b"a\n \t\nb\n", r"t.de:2: .* Received an empty line"),
        (b"ein\nf\xfcr\n", "t.de:2: text is UTF-8.*0xfc at byte 2"),
        (None, "t.de: there is no such file"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "t.de"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        aligned_files.read_lines(path)
