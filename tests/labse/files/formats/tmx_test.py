import gzip
import tracemalloc

import pytest

from labse.errors import InputError
from labse.files.formats import tmx
from labse.files.pairs import PairFiles
from labse.files.reading import ReadOptions, Tally
from labse.files.texts import TextFile, Texts, open_texts

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4">\n'
    '<header srclang="{}" segtype="sentence"><prop type="p">h</prop></header>\n'
    "<body>\n"
)
TAIL = "</body>\n</tmx>\n"


def tuv(language, text, name="xml:lang"):
    return f'<tuv {name}="{language}"><seg>{text}</seg></tuv>'


def unit(*tuvs, attributes="", props=""):
    return f"<tu{attributes}>{props}{''.join(tuvs)}</tu>\n"


EN_DE = unit(tuv("en", "cat"), tuv("de", "Katze"))


def write(folder, *units, source="en", name="a.tmx"):
    path = folder / name
    path.write_text(HEAD.format(source) + "".join(units) + TAIL, "utf-8")
    return path


def pairs(path, **options):
    return [
        (pair.source, pair.target, pair.source_language, pair.target_language)
        for pair in PairFiles([path], ReadOptions(**options))
    ]


def texts(path, **options):
    file = TextFile(path, ReadOptions(**options), Tally())
    return [(text.language, text.text) for text in file]


@pytest.mark.parametrize("source", ["en", "EN", "*all*", "fr"])
def test_pairs_of_two_languages(tmp_path, source):
    """The third unit has them in the other order; fr is in no unit."""
    path = write(
        tmp_path,
        EN_DE,
        unit(tuv("de", "Hund"), tuv("en", "dog")),
        source=source,
    )
    assert pairs(path) == [
        ("cat", "Katze", "en", "de"),
        ("dog", "Hund", "en", "de"),
    ]


def test_the_source_of_the_header_and_of_the_unit(tmp_path):
    other = unit(
        tuv("de", "Maus"), tuv("en", "mouse"), attributes=' srclang="en"'
    )
    path = write(tmp_path, EN_DE, other, source="de")
    assert pairs(path) == [
        ("Katze", "cat", "de", "en"),
        ("mouse", "Maus", "en", "de"),
    ]


def test_flags_choose_the_languages_and_name_them(tmp_path, caplog):
    three = unit(tuv("en-US", "cat"), tuv("de_AT", "Katze"), tuv("fr", "chat"))
    path = write(tmp_path, three, unit(tuv("en", "x"), tuv("fr", "y")))
    found = pairs(path, source_language="de", target_language="EN")
    assert found == [("Katze", "cat", "de", "EN")]
    assert "1 rows have no text in the languages to read" in caplog.text
    # The header's language is that of the first unit too, exactly.
    found = pairs(path, source_language="fr", target_language="en-us")
    assert found == [("chat", "cat", "fr", "en-us")]


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {},
            r"a\.tmx:6: a pair has two languages. Received texts in en, de, f",
        ),
        ({"target_language": "de"}, "Choose two of them with source_language"),
        (
            {"source_language": "de", "target_language": "it"},
            r"no text in de and it. Received texts in de, en, fr",
        ),
    ],
)
def test_three_languages_of_which_none_is_chosen(tmp_path, options, message):
    three = unit(tuv("en", "cat"), tuv("de", "Katze"), tuv("fr", "chat"))
    with pytest.raises(InputError, match=message):
        pairs(write(tmp_path, three), **options)


def test_one_of_two_languages_is_chosen(tmp_path):
    path = write(tmp_path, EN_DE)
    assert pairs(path, source_language="de") == [("Katze", "cat", "de", "en")]
    assert pairs(path, target_language="en") == [("Katze", "cat", "de", "en")]


def test_lang_of_tmx_1_1_and_two_texts_of_a_language(tmp_path):
    path = write(
        tmp_path,
        unit(tuv("EN", "cat", "lang"), tuv("DE", "Katze", "lang")),
        unit(tuv("en", "a"), tuv("en", "b")),
    )
    assert pairs(path) == [("cat", "Katze", "EN", "DE"), ("a", "b", "en", "en")]


def test_code_is_left_out_and_highlighted_text_stays(tmp_path):
    text = (
        '<bpt i="1">&lt;b&gt;</bpt>Press <hi>Save</hi><ept i="1">&lt;/b&gt;'
        '</ept> <ph>img <sub>a <hi>cat</hi></sub></ph>&amp; <it pos="begin">x'
        "</it><ut>y</ut><g>go</g>"
    )
    path = write(tmp_path, unit(tuv("en", text), tuv("de", "x\n y&#13;")))
    assert pairs(path) == [("Press Save & go", "x\n y\r", "en", "de")]


def test_properties_are_fields(tmp_path):
    props = "".join(
        f'<prop type="{name}">{text}</prop>'
        for name, text in [("score", "0.5"), ("note", "a"), ("note", "b")]
    )
    path = write(tmp_path, unit(tuv("en", "a"), tuv("de", "b"), props=props))
    (pair,) = PairFiles([path])
    assert pair.fields["score"] == "0.5"
    assert pair.fields["note"] == ["a", "b"]
    assert pair.number == 6


def test_texts_of_a_language(tmp_path):
    path = write(tmp_path, EN_DE, unit(tuv("de-CH", "Hund")))
    assert texts(path, language="de") == [("de", "Katze"), ("de", "Hund")]
    with pytest.raises(InputError, match=r":6: .*one language. Received en, d"):
        texts(path)
    with pytest.raises(
        InputError, match="no text in fr. Received .* de, de-CH"
    ):
        texts(path, language="fr")
    one = write(tmp_path, unit(tuv("de", "Katze")), name="b.tmx")
    assert texts(one) == [("de", "Katze")]
    options = ReadOptions(language="en", max_malformed_share=0)
    assert list(open_texts(str(path), options)) == ["cat"]
    assert list(Texts([write(tmp_path, EN_DE)])) == [
        ("en", b"cat"),
        ("de", b"Katze"),
    ]


@pytest.mark.parametrize(
    "bad, what",
    [
        (unit(tuv("en", "a")), "texts in two languages. Received: en"),
        (unit(tuv("en", " "), tuv("de", "b")), "source is empty"),
        (unit(tuv("en", "a"), "<tuv><seg>b</seg></tuv>"), "xml:lang names"),
        (unit(), "xml:lang names"),
    ],
)
def test_a_malformed_unit(tmp_path, caplog, bad, what):
    path = write(tmp_path, EN_DE, bad)
    assert len(pairs(path, max_malformed_share=0.5)) == 1
    assert f"{path}:7: " in caplog.text and what in caplog.text


BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE tmx [\n<!ENTITY a "aaaaaaaaaa">\n'
    '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">\n]>\n'
    f"<tmx>{unit(tuv('en', '&b;'), tuv('de', 'x'))}</tmx>"
)
FILE = (
    '<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]>\n'
    f"<tmx>{unit(tuv('en', '&a;'), tuv('de', 'x'))}</tmx>"
)
UNDECLARED = (
    '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
    f"<tmx>{unit(tuv('en', '&nbsp;'), tuv('de', 'x'))}</tmx>"
)


@pytest.mark.parametrize(
    "content, message",
    [
        (BOMB, r"a\.tmx:3: a TMX file declares no entities.*Received 'a'"),
        (FILE, r"a\.tmx:1: a TMX file declares no entities"),
        (UNDECLARED, r"a\.tmx:2: .*Received 'nbsp'"),
        (HEAD + EN_DE, r"a\.tmx:7: the XML is malformed or truncated \(no el"),
        (HEAD + EN_DE + "<tu", r"a\.tmx:7: the XML is malformed or truncated"),
        (HEAD + EN_DE + "</tu>", r"a\.tmx:7: .*mismatched tag"),
        (HEAD + EN_DE + "a & b" + TAIL, r"a\.tmx:7: .*not well-formed"),
        (HEAD + EN_DE + "\0" + TAIL, r"a\.tmx:7: .*not well-formed"),
        ("<tmx><tu><tu></tu></tu></tmx>", r"a\.tmx:1: a tu has no tu inside"),
        *(
            (HEAD.replace("UTF-8", name) + EN_DE, r"a\.tmx:\d: the encoding is")
            for name in ("klingon", "Shift_JIS", "rot13", "idna")
        ),
        (
            f"<!DOCTYPE tmx SYSTEM 'x'><!--{'x' * 5000}-->\n<xliff/>",
            r"a\.tmx:2: the root of a TMX file is tmx. Received xliff",
        ),
    ],
)
def test_xml_that_is_refused(tmp_path, content, message):
    path = tmp_path / "a.tmx"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        pairs(path)


def test_another_encoding_that_the_file_declares(tmp_path):
    path = tmp_path / "a.tmx"
    content = HEAD.format("en").replace("UTF-8", "UTF-16")
    content += unit(tuv("en", "cat"), tuv("de", "Kätzchen")) + TAIL
    path.write_bytes(content.encode("utf-16"))
    assert pairs(path) == [("cat", "Kätzchen", "en", "de")]
    path.write_bytes((HEAD + EN_DE + "\xe4 " + TAIL).encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.tmx:7: .*invalid token"):
        pairs(path)


def test_a_truncated_gzip_file(tmp_path):
    path = write(tmp_path, *[EN_DE] * 1000)
    packed = tmp_path / "b.tmx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(pairs(packed)) == 1000
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InputError, match="b.tmx.gz: .*damaged or truncated"):
        pairs(packed)


@pytest.mark.parametrize("inside", ["<seg>{}", "<!-- {}", '<tuv a="{}', "{}"])
def test_a_unit_without_end_does_not_fill_the_memory(
    tmp_path, monkeypatch, inside
):
    monkeypatch.setattr(tmx, "MAX_LINE_BYTES", 2**18)
    path = write(tmp_path, EN_DE, "<tu>", inside.format("x" * 2**20))
    with pytest.raises(InputError, match=r"a\.tmx:\d+: .*at most 262,144 byt"):
        pairs(path)


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = write(tmp_path, *[EN_DE] * 40_000)
    assert path.stat().st_size > 2**21
    tracemalloc.start()
    count = sum(1 for _ in PairFiles([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 2**20
