import gzip

import pytest

from data_pipeline import extract_gettext
from labse.bin import program

GERMAN = 'msgid "dog"\nmsgstr "Hund"\n\nmsgid "cat"\nmsgstr "Katze"\n'
SWISS = 'msgid "cat"\nmsgstr "Büsi"\n'


@pytest.fixture
def folder(tmp_path):
    for locale, content in (("de", GERMAN), ("de_CH", SWISS)):
        path = tmp_path / "locale" / locale / "LC_MESSAGES" / "x.po"
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


def run(folder, *arguments, out="pairs.tsv"):
    return program.run(
        extract_gettext,
        [
            f"--input={folder / 'locale'}",
            *([f"--out={folder / out}"] if out else []),
            *arguments,
        ],
        "labse extract-gettext",
    )


def test_pairs_and_summary(folder, capsys):
    assert run(folder) == 0
    assert (folder / "pairs.tsv").read_text(encoding="utf-8") == (
        "source\ttarget\tsource_language\ttarget_language\n"
        "cat\tKatze\ten\tde\n"
        "dog\tHund\ten\tde\n"
        "cat\tBüsi\ten\tde-CH\n"
    )
    output = capsys.readouterr()
    assert "3  pairs_written: 2 languages, 2 different sources" in output.err
    assert output.out == ""


def test_flags(folder):
    other = folder / "fr.po"
    other.write_text(GERMAN.replace("Hund", "chien"), encoding="utf-8")
    code = run(
        folder,
        f"--input={other}",
        "--languages=de_CH,fr",
        "--source_language=en_US",
        "--max_characters=4",
        out="pairs.tsv.gz",
    )
    assert code == 0
    text = gzip.decompress((folder / "pairs.tsv.gz").read_bytes()).decode()
    assert text.splitlines()[1:] == ["cat\tBüsi\ten\tde-CH"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--languages=de,deutsch"], "--languages takes names such as de"),
        (["--source_language=?"], "--source_language takes names such as"),
        (["--languages=sv"], "Received: sv, of which there is none"),
        (["--max_characters=0"], "max_characters=0"),
        (["--out=pairs.csv"], "--out must end in .tsv or .tsv.gz"),
        (["--input=gone"], "Received: gone, which is not there"),
        (["--max_characters=2"], "at least one translation that can be kept"),
    ],
)
def test_wrong_flags_write_nothing(folder, capsys, arguments, message):
    out = "" if arguments[0].startswith("--out") else "pairs.tsv"
    assert run(folder, *arguments, out=out) == program.USAGE_EXIT_CODE
    assert message in capsys.readouterr().err
    assert not (folder / "pairs.tsv").exists()


def test_damaged_catalogue_stops_the_run(folder, capsys):
    path = folder / "locale" / "de" / "LC_MESSAGES" / "x.po"
    path.write_text(GERMAN + "msgid cow\n")
    assert run(folder) == program.USAGE_EXIT_CODE
    error = capsys.readouterr().err
    assert error.startswith(f"labse extract-gettext: {path} is not a sound")
    assert "line 6" in error
    assert not (folder / "pairs.tsv").exists()
