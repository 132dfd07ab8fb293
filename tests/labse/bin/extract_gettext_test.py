import gzip

import pytest

from labse.bin import extract_gettext
from labse.bin.flags import program

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


def test_inputs_may_be_globs(folder):
    for name, text in (("fr", "chien"), ("it", "cane"), ("[x]-nl", "hond")):
        path = folder / f"app-{name}.po"
        path.write_text(f'msgid "dog"\nmsgstr "{text}"\n')
    arguments = [f"--input={folder}/app-??.po", f"--input={path}"]
    assert run(folder, *arguments, "--languages=fr,it,nl") == 0
    lines = (folder / "pairs.tsv").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == [
        "chien",
        "cane",
        "hond",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--languages=de,deutsch"], "--languages takes names such as de"),
        (["--source_language=?"], "--source_language takes names such as"),
        (["--target_language=German"], "--target_language takes names such"),
        (["--exclude=*/fr/*"], "Received: */fr/*, which match none"),
        (["--max_malformed_share=2"], "max_malformed_share=2"),
        (["--languages=sv"], "Received: sv, which have none"),
        (["--max_characters=0"], "max_characters=0"),
        (["--out=pairs.csv"], "--out: A file of pairs ends in .tsv, .jsonl"),
        (["--input=gone"], "Received: gone, which is missing"),
        (["--max_characters=2"], "at least one translation that can be kept"),
    ],
)
def test_wrong_flags_write_nothing(folder, capsys, arguments, message):
    out = "" if arguments[0].startswith("--out") else "pairs.tsv"
    assert run(folder, *arguments, out=out) == program.USAGE_EXIT_CODE
    assert message in capsys.readouterr().err
    assert not (folder / "pairs.tsv").exists()


def damage(folder):
    path = folder / "locale" / "de" / "LC_MESSAGES" / "x.po"
    path.write_text(GERMAN + "msgid cow\n")
    return path


def test_damaged_catalogues_above_the_share_stop_the_run(folder, capsys):
    path = damage(folder)
    assert run(folder) == program.USAGE_EXIT_CODE
    error = capsys.readouterr().err
    assert f"Received: 1 of 2: {path}:6: " in error
    assert "--max_malformed_share" in error and "--exclude" in error
    assert not (folder / "pairs.tsv").exists()


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--max_malformed_share=0.5", "1  catalogues_malformed"),
        ("--exclude=de/*", "1  catalogues_excluded"),
    ],
)
def test_damaged_catalogues_left_out(folder, capsys, flag, line):
    path = damage(folder)
    assert run(folder, flag) == 0
    assert (folder / "pairs.tsv").read_text("utf-8").splitlines()[1:] == [
        "cat\tB\u00fcsi\ten\tde-CH"
    ]
    error = capsys.readouterr().err
    assert line in error
    assert (str(path) in error) == ("malformed" in line)


def test_language_that_is_unclear(folder, capsys):
    path = folder / "locale" / "app.po"
    path.write_text('msgid "dog"\nmsgstr "chien"\n')
    assert run(folder) == 0
    error = capsys.readouterr().err
    assert f"{path}: neither its name nor its header" in error
    assert "give it with --target_language=de, rename them" in error
    assert run(folder, "--target_language=fr") == 0
    assert "dog\tchien\ten\tfr\n" in (folder / "pairs.tsv").read_text("utf-8")
    assert "give it with" not in capsys.readouterr().err


def test_the_only_catalogue_is_unclear(folder, capsys):
    path = folder / "locale" / "app.po"
    path.write_text('msgid "dog"\nmsgstr "chien"\n')
    arguments = ["--exclude=*/x.po", "--input", str(path)]
    assert run(folder, *arguments) == program.USAGE_EXIT_CODE
    assert "--target_language=de" in capsys.readouterr().err
