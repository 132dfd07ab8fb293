r"""What `msgfmt` 0.21 makes of the same files stands beside each case."""

import shutil
import struct
import subprocess

import pytest

from data_pipeline.gettext.catalogue_entries import parse_mo_file, parse_po_file
from data_pipeline.gettext.po_parser import Entry, MalformedCatalogue

HEADER = b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'


def entries(content, header=HEADER):
    return parse_po_file(header + content)[1]


def translations(content, header=HEADER):
    return [(entry.msgid, *entry.msgstr) for entry in entries(content, header)]


# The file after the header, and what msgfmt writes into the .mo.
LEGAL = {
    "no space": (b'msgid"x"msgstr"y"', [("x", "y")]),
    "several on a line": (
        b'msgid "a" "b"\nmsgstr "c""d"\n"e" msgid "q"msgstr"r"',
        [("ab", "cde"), ("q", "r")],
    ),
    "escaped bytes": (
        rb'msgid "x" msgstr "\101\x41\303\244\xc3\xa4 \x41g \1012 \x00041z"',
        [("x", "AA\u00e4\u00e4 Ag A2 Az")],
    ),
    # C takes all digits; the last two count.
    "many hexadecimal digits": (rb'msgid "x" msgstr "\x141b"', [("x", "\x1b")]),
    "control characters": (
        rb'msgid "x" msgstr "\a\b\f\n\r\t\v\\\"q"',
        [("x", '\a\b\f\n\r\t\v\\"q')],
    ),
    "joined lines": (b'msgid "x\\\ny"\n\\\nmsgstr "a\\\nb"', [("xy", "ab")]),
    "other white space": (
        b'\x0cmsgid "x\ty"\n\x0bmsgstr "a\x0cb\xe2\x80\xa8\xc2\x85c\rd"',
        [("x\ty", "a\x0cb\u2028\u0085c\rd")],
    ),
    "nul ends a text": (rb'msgid "x" msgstr "a\0b"', [("x", "a")]),
    "domain": (b'domain "foo"\nmsgid "x"\nmsgstr "y"', [("x", "y")]),
    "plural": (
        b'msgid "x"\nmsgid_plural "xs"\nmsgstr[0]"y"\nmsgstr [\n01 ] "z"',
        [("x", "y", "z")],
    ),
    "other bytes in a comment": (
        b'# \xe4\nmsgid "x"\nmsgstr "y"',
        [("x", "y")],
    ),
    "previous": (
        b'#| msgctxt "o"\n#| msgid "old"\n#| "more"\nmsgid "x"\nmsgstr "y"\n',
        [("x", "y")],
    ),
    "a mark of fuzziness at the end": (
        b'msgid "a"\nmsgstr "b"\n#, fuzzy\n',
        [("a", "b")],
    ),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_legal_forms(name, line_end):
    content, expected = LEGAL[name]
    content = (HEADER + content).replace(b"\n", line_end)
    assert translations(content, b"") == expected


def test_carriage_returns_alone():
    content = b'# comment\n#, fuzzy\nmsgid "x"\nmsgstr "y"\nmsgid "z"msgstr "w"'
    content = (HEADER + content).replace(b"\n", b"\r")
    found = entries(content, b"")
    # msgfmt takes all after the first # for a comment, without a word.
    assert [(one.msgid, one.fuzzy) for one in found] == [
        ("x", True),
        ("z", False),
    ]


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="needs gettext")
@pytest.mark.parametrize("name", LEGAL)
def test_msgfmt_agrees(name, tmp_path):
    content, expected = LEGAL[name]
    content = content.replace(b"domain", b"#")
    (tmp_path / "x.po").write_bytes(HEADER + content)
    subprocess.run(
        ["msgfmt", "x.po", "-o", "x.mo"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    found = []
    if (tmp_path / "x.mo").exists():  # not of an empty catalogue
        _, found = parse_mo_file((tmp_path / "x.mo").read_bytes())
    assert sorted((one.msgid, *one.msgstr) for one in found) == sorted(expected)


def test_fields_of_an_entry():
    content = (
        b'msgctxt "month"\nmsgid "May"\nmsgid_plural "Mays"\nmsgstr[0] "Mai"\n'
        b'msgstr[1] "Maie"\n\n#,c-format,fuzzy\nmsgid "a"\nmsgstr "b"\n'
        b'#, fuzzy\n\n# another comment\nmsgid "c"\nmsgstr "d"\n'
        b'#, fuzzyx, no-fuzzy\nmsgid "e"\nmsgstr "f"\n#= fuzzy\n'
        b'#~| msgid "old"\n#~msgid "g"\n#~ "h"\n#~ msgstr "i"\n'
        b'msgctxt ""\nmsgid "j"\nmsgstr ""'
    )
    assert entries(content) == [
        Entry("May", ("Mai", "Maie"), "month", "Mays"),
        Entry("a", ("b",), fuzzy=True),
        Entry("c", ("d",), fuzzy=True),
        Entry("e", ("f",)),
        Entry("gh", ("i",), fuzzy=True, obsolete=True),
        Entry("j", ("",), ""),
    ]


def test_two_entries_for_one_msgid():
    content = b'msgid "x"\nmsgstr "y"\nmsgid "x"\nmsgstr "z"\n'
    assert translations(content) == [("x", "y"), ("x", "z")]


def test_marks_of_conflicts():
    content = (
        b'msgid "a"\nmsgstr ""\n"#-#-#-#-#  a.po (p 1.0)  #-#-#-#-#\\n"\n'
        b'"x\\n"\n'
        b'"#-#-#-#-#  b.po  #-#-#-#-#\\n"\n"y"\nmsgid "b"\nmsgstr "#-# c"\n'
        b'#. #-#-#-#-#  a.po  #-#-#-#-#\nmsgid "d"\nmsgid_plural "e"\n'
        b'msgstr[0] "f"\nmsgstr[1] "#-#-#-#-#  a.po  #-#-#-#-#\\ng"\n'
    )
    found = [(one.msgid, one.in_conflict) for one in entries(content)]
    assert found == [("a", True), ("b", False), ("d", True)]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"msgid house", 4, "expected. Received: 'msgid house'"),
        (b'\nmsgid "hou', 5, "Received: 'msgid \"hou'"),
        (b'msgid "hou\nse"', 4, "Received: 'msgid \"hou'"),
        (b"<html>", 4, "'<html>'"),
        (b'msg "a"', 4, "'msg \"a\"'"),
        (b'MSGID "a"', 4, "'MSGID \"a\"'"),
        (b"msgid 'x'", 4, "\"msgid 'x'\""),
        (b'#\n"x"', 5, 'must follow a keyword such as msgid. Received: "x"'),
        (
            b'#\nmsgstr "x"',
            5,
            "msgstr must follow msgid. Received: it after no other field",
        ),
        (b'msgid "a"\nmsgid "b"\nmsgstr "c"', 4, "one whose msgstr is missing"),
        (b'msgid "a"', 4, "one whose msgstr is missing"),
        (b'msgid\nmsgstr "a"', 4, "one whose msgid is missing"),
        (b'msgid "a"\nmsgctxt "b"', 4, "one whose msgstr is missing"),
        (b'msgid "a"\n#, fuzzy\nmsgstr "b"', 4, "one whose msgstr is missing"),
        (
            b'msgid "a"\nmsgid_plural "b"\nmsgstr "c"',
            6,
            "msgstr must follow msgid. Received: it after msgid_plural",
        ),
        (
            b'msgid "a"\nmsgid_plural "b"\nmsgstr[1] "c"',
            6,
            "msgstr[1] must follow msgstr[0]",
        ),
        (
            b'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[2] "d"',
            7,
            "msgstr[2] must follow msgstr[1]. Received: it after msgstr[0]",
        ),
        (b'#~ msgid "a"\nmsgstr "b"', 5, "must begin with #~"),
        (b'#~ msgid "a"\n"b"\n#~ msgstr "b"', 5, "must begin with #~"),
        (rb'msgid "\q"', 4, "Received: '\\\\q'"),
        (rb'msgid "\x"', 4, "Received: '\\\\x'"),
        (
            b'msgid "a"\nmsgstr "\xe4"',
            5,
            "must be utf-8. Received: the byte 0x",
        ),
        (rb'msgid "a" msgstr "\344"', 4, "must be utf-8. Received:"),
    ],
)
def test_damage(content, line, message):
    with pytest.raises(MalformedCatalogue) as caught:
        entries(content)
    assert caught.value.line == line
    assert message in str(caught.value)


class TestCharset:
    def of(self, charset, content, header=b"text/plain; charset="):
        return translations(
            content,
            b'msgid ""\nmsgstr "Content-Type: '
            + header
            + charset.encode()
            + b'\\n"\n',
        )

    def test_declared(self):
        text = 'msgid "x"\nmsgstr "\u00e4\\344"'.encode("latin-1")
        expected = [("x", "\u00e4\u00e4")]
        assert self.of("ISO-8859-1", text) == expected
        # In two strings, and after a comment that tells another.
        header = b'text/plain; "\n"charset='
        assert self.of("iso-8859-1", text, header) == expected
        header = (
            b'# charset=UTF-8\nmsgid ""\nmsgstr "Content-Type: a/b; charset='
        )
        assert translations(text, header + b'latin1\\n"\n') == expected

    def test_a_backslash_may_be_half_a_character(self):
        text = "\u8868\u793a"  # The second byte of the first one is 0x5c.
        content = b'msgid "x"\nmsgstr "' + text.encode("shift_jis") + b'"'
        assert self.of("SHIFT_JIS", content) == [("x", text)]

    @pytest.mark.parametrize("charset", ["CHARSET", "UTF-8"])
    def test_utf_8_is_taken_where_a_template_s_charset_was_left(self, charset):
        content = 'msgid "x"\nmsgstr "\u00e4"'.encode()
        assert self.of(charset, content) == [("x", "\u00e4")]
        assert translations(content, b"") == [("x", "\u00e4")]
        assert translations(content, b"\xef\xbb\xbf" + HEADER) == [
            ("x", "\u00e4")
        ]

    @pytest.mark.parametrize("charset", ["x-unknown", "hex"])
    def test_none(self, charset):
        with pytest.raises(MalformedCatalogue, match=charset):
            self.of(charset, b"")


def test_header():
    header = b'msgid ""\nmsgstr "Language: de\\nplural-forms: nplurals=1;\\n"\n'
    expected = {"language": "de", "plural-forms": "nplurals=1;"}
    assert parse_po_file(header)[0] == expected
    fields, found = parse_po_file(b'msgid "a"\nmsgstr "b"\n\n' + header)
    assert fields == expected and found == [Entry("a", ("b",))]
    # An entry of some context is none, and neither is what is obsolete.
    others = b'#~ msgid ""\n#~ msgstr "Language: fr\\n"\nmsgctxt "c"\n' + header
    assert parse_po_file(others) == ({}, [])


def test_headers_that_msgcat_joined():
    header = (
        b'#, fuzzy\nmsgid ""\nmsgstr "#-#-#-#-#  a.po  #-#-#-#-#\\n"\n'
        b'"Language: de\\n"\n"X-A: 1\\n"\n"#-#-#-#-#  b.po  #-#-#-#-#\\n"\n'
        b'"Language: fr\\n"\n"X-A: 1\\n"\n'
    )
    assert parse_po_file(header)[0] == {"language": "", "x-a": "1"}


class TestCompiled:
    # Two strings, "" and "a" -> "b": seven numbers, two tables, the strings.
    def content(self, order="<", message=b"a", translation=b"b"):
        header = b"Content-Type: a/b; charset=latin1\n"
        strings, spans = b"", []
        for text in (b"", message, header, translation):
            spans += [len(text), 60 + len(strings)]
            strings += text + b"\0"
        numbers = (0x950412DE, 0, 2, 28, 44, 0, 60, *spans)
        return struct.pack(f"{order}15I", *numbers) + strings

    @pytest.mark.parametrize("order", "<>")
    def test_entry(self, order):
        content = self.content(order, b"c\x04a\0as", b"\xe4\0b")
        fields, found = parse_mo_file(content)
        assert found == [Entry("a", ("\u00e4", "b"), "c", "as")]
        assert fields == {"content-type": "a/b; charset=latin1"}

    @pytest.mark.parametrize("order", "<>")
    def test_cut_short_anywhere(self, order):
        content = self.content(order)
        assert parse_mo_file(content)[1] == [Entry("a", ("b",))]
        # The last byte ends the last string, and nobody needs it.
        for length in range(len(content) - 1):
            with pytest.raises(MalformedCatalogue, match="magic|ends inside"):
                parse_mo_file(content[:length])

    def test_another_revision(self):
        content = self.content()
        assert parse_mo_file(content[:4] + b"\0\0\1\0" + content[8:])[1]
        with pytest.raises(MalformedCatalogue, match="major revision 2"):
            parse_mo_file(content[:4] + b"\0\0\2\0" + content[8:])

    def test_another_magic_number(self):
        with pytest.raises(MalformedCatalogue, match="magic number"):
            parse_mo_file(b"GIF89a")
