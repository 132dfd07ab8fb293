import collections
import struct
import zipfile
from pathlib import PurePosixPath

import polib
import pytest

from data_pipeline import gettext_catalogues
from labse.errors import InputError


def catalogue(*pairs, language=None, charset="UTF-8"):
    result = polib.POFile()
    result.metadata = {"Content-Type": f"text/plain; charset={charset}"}
    if language:
        result.metadata["Language"] = language
    for source, target in pairs:
        result.append(polib.POEntry(msgid=source, msgstr=target))
    return result


def po_bytes(*pairs, **header):
    return str(catalogue(*pairs, **header)).encode()


def mo_bytes(*pairs, **header):
    return catalogue(*pairs, **header).to_binary()


def put(root, path, content):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def read(input_name):
    counters = collections.Counter()
    found = list(gettext_catalogues.read_catalogues(str(input_name), counters))
    return found, counters


def texts(found):
    return [
        (one.language, [(entry.msgid, entry.msgstr) for entry in one.entries])
        for one in found
    ]


HOUSE = ("house", "Haus")


class TestInputs:
    def test_folder_is_read_in_the_order_of_names_po_before_mo(self, tmp_path):
        put(tmp_path, "locale/fr/LC_MESSAGES/a.mo", mo_bytes(("a", "un")))
        put(tmp_path, "locale/de/LC_MESSAGES/a.mo", mo_bytes(("old", "alt")))
        put(tmp_path, "locale/de/LC_MESSAGES/a.po", po_bytes(HOUSE))
        put(tmp_path, "locale/de/LC_MESSAGES/a.pot", b"a template")
        found, counters = read(tmp_path)
        assert texts(found) == [("de", [HOUSE]), ("fr", [("a", "un")])]
        assert counters == {
            "catalogues_read": 2,
            "catalogues_mo_beside_po": 1,
        }

    def test_single_files(self, tmp_path):
        po_path = put(tmp_path, "de/LC_MESSAGES/a.po", po_bytes(HOUSE))
        mo_path = put(tmp_path, "nl.mo", mo_bytes(("house", "huis")))
        assert texts(read(po_path)[0]) == [("de", [HOUSE])]
        assert texts(read(mo_path)[0]) == [("nl", [("house", "huis")])]

    def test_a_file_s_language_may_stand_above_the_folder_given(
        self, tmp_path, monkeypatch
    ):
        put(tmp_path, "de/LC_MESSAGES/a.po", po_bytes(HOUSE))
        monkeypatch.chdir(tmp_path / "de" / "LC_MESSAGES")
        assert texts(read(".")[0]) == [("de", [HOUSE])]

    def test_wheel_is_read_in_memory(self, tmp_path):
        wheel = tmp_path / "package-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("../../de/LC_MESSAGES/a.po", po_bytes(HOUSE))
            archive.writestr("../../de/LC_MESSAGES/a.mo", b"not looked at")
            archive.writestr("p/locale/nl/LC_MESSAGES/a.mo", mo_bytes(HOUSE))
            archive.writestr("p/code.py", b"")
        found, counters = read(wheel)
        assert texts(found) == [("de", [HOUSE]), ("nl", [HOUSE])]
        assert found[0].name == f"{wheel}: ../../de/LC_MESSAGES/a.po"
        assert counters["catalogues_mo_beside_po"] == 1
        # Nothing is unpacked, whatever a member's name says.
        assert sorted(tmp_path.rglob("*")) == [wheel]

    def test_installed_package(self, tmp_path, monkeypatch):
        put(tmp_path, "made_package/__init__.py", b"raise RuntimeError")
        put(tmp_path, "made_package/de/LC_MESSAGES/a.po", po_bytes(HOUSE))
        monkeypatch.syspath_prepend(str(tmp_path))
        # Found without running the package.
        found, _ = read("package:made_package")
        assert texts(found) == [("de", [HOUSE])]

    @pytest.mark.parametrize("name", ["no_such_package_", "", "sys", ".a"])
    def test_package_that_is_not_there(self, name):
        with pytest.raises(
            InputError,
            match=rf"installed beside labse\. Received: package:{name}, which",
        ):
            read(f"package:{name}")

    def test_input_that_is_not_there(self):
        with pytest.raises(InputError, match="Received: gone, which is not th"):
            read("gone")

    def test_input_of_another_kind(self, tmp_path):
        path = put(tmp_path, "cut.whl", b"PK\x03\x04 the rest is lost")
        with pytest.raises(InputError, match="cut.whl, which is none of them"):
            read(path)

    def test_input_without_catalogues(self, tmp_path):
        put(tmp_path, "readme.txt", b"")
        with pytest.raises(InputError, match=r"must hold \.po or \.mo files"):
            read(tmp_path)


class TestLanguage:
    @pytest.mark.parametrize(
        ("path", "header", "language"),
        [
            ("locale/pt_BR/LC_MESSAGES/x.po", "", "pt-BR"),
            ("locale/sr_Latn/LC_MESSAGES/x.po", "sr@latin", "sr-Latn"),
            # Where the run-time looks counts more than what the file says.
            ("locale/de/LC_MESSAGES/x.po", "fr", "de"),
            ("locale/xyz/LC_MESSAGES/x.po", "", "xyz"),
            ("locale/template/LC_MESSAGES/x.po", "", None),
            ("po/zh_CN.po", "", "zh-Hans"),
            ("po/de.po", "", "de"),
            ("de/x.po", "", "de"),
            ("de_CH/x.po", "de", "de-CH"),
            ("src/x.po", "", None),
            ("src/x.po", "--", None),
            ("src/x.po", "pt_BR", "pt-BR"),
            ("x-de.po", "", None),
            # "my" may be Burmese or mine.
            ("my/project.po", "my", "my"),
            ("my/project.po", "de", None),
        ],
    )
    def test_path_and_header(self, path, header, language):
        metadata = {"Language": header} if header else {}
        assert (
            gettext_catalogues.catalogue_language(PurePosixPath(path), metadata)
            == language
        )


class TestParsing:
    def parse(self, content, name="de.po"):
        return gettext_catalogues.parse_catalogue(
            "where.po", PurePosixPath(name), content
        )

    def test_po_and_mo_hold_the_same(self):
        source = polib.POFile()
        source.metadata = {
            "Content-Type": "text/plain; charset=UTF-8",
            "Plural-Forms": "nplurals=2; plural=(n != 1);",
        }
        source.append(polib.POEntry(msgid="a", msgstr="ä", msgctxt="context"))
        source.append(
            polib.POEntry(
                msgid="day",
                msgid_plural="days",
                msgstr_plural={0: "Tag", 1: "Tage"},
            )
        )
        for name, content in (
            ("de.po", str(source).encode()),
            ("de.mo", source.to_binary()),
        ):
            parsed = self.parse(content, name)
            assert parsed.plural_forms == "nplurals=2; plural=(n != 1);"
            assert sorted(
                (entry.msgctxt, entry.msgid, entry.msgid_plural, entry.msgstr)
                for entry in parsed.entries
                if entry.msgctxt
            ) == [("context", "a", "", "ä")]
            (plural,) = [one for one in parsed.entries if one.msgid_plural]
            assert plural.msgid_plural == "days"
            assert list(plural.msgstr_plural.values()) == ["Tag", "Tage"]

    def test_the_declared_charset_is_used(self):
        text = str(catalogue(("house", "Häuschen"), charset="ISO-8859-1"))
        parsed = self.parse(text.encode("latin-1"))
        assert parsed.entries[0].msgstr == "Häuschen"

    def test_utf_8_is_taken_where_a_template_s_charset_was_left(self):
        text = str(catalogue(("house", "Häuschen"), charset="CHARSET"))
        assert self.parse(text.encode()).entries[0].msgstr == "Häuschen"
        marked = b"\xef\xbb\xbf" + po_bytes(HOUSE)
        assert self.parse(marked).entries[0].msgstr == "Haus"

    def test_a_line_separator_inside_a_text_ends_no_line(self):
        parsed = self.parse(po_bytes(("a b", "x\u2028y\x85z")))
        assert parsed.entries[0].msgstr == "x y z"

    def test_a_text_that_is_a_file_s_name_is_not_opened(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        put(tmp_path, "name", po_bytes(HOUSE))
        with pytest.raises(InputError, match="where.po is not a sound .po"):
            self.parse(b"name")

    def test_header_among_the_entries_is_no_entry(self):
        header = b'msgid ""\nmsgstr "Language: de\\n"\n'
        content = b'msgid "a"\nmsgstr "b"\n\n' + header
        parsed = self.parse(content)
        assert [entry.msgid for entry in parsed.entries] == ["a"]


class TestDamage:
    def error_of(self, name, content):
        with pytest.raises(InputError) as caught:
            gettext_catalogues.parse_catalogue(
                f"folder/{name}", PurePosixPath(name), content
            )
        message = str(caught.value)
        assert message.startswith(f"folder/{name} is not a sound {name[-3:]} ")
        assert message.endswith("or leave it out.")
        assert "\n" not in message
        return message

    @pytest.mark.parametrize(
        "line", [b"msgid house", b'msgid "hou', b'"a"b"', b"<html>", b'msg "a"']
    )
    def test_line_that_is_no_keyword_with_a_string(self, line):
        content = b'msgid "a"\nmsgstr "b"\n\n' + line + b"\n"
        message = self.error_of("de.po", content)
        assert f"line 4 is {line.decode()!r}" in message

    def test_keywords_in_a_wrong_order(self):
        content = b'msgid "a"\nmsgid "b"\nmsgstr "c"\n'
        assert "line 2" in self.error_of("de.po", content)

    def test_bytes_of_another_encoding(self):
        content = po_bytes(("a", "?")).replace(b"?", b"\xe4")
        assert "can't decode byte 0xe4" in self.error_of("de.po", content)

    @pytest.mark.parametrize("charset", ["x-unknown", "hex"])
    def test_charset_that_is_none(self, charset):
        message = self.error_of("de.po", po_bytes(HOUSE, charset=charset))
        assert charset in message

    def test_mo_with_another_magic_number(self):
        assert "magic number" in self.error_of("de.mo", b"GIF89a")
        assert "magic number" in self.error_of("de.mo", b"")

    @pytest.mark.parametrize("order", "<>")
    def test_mo_cut_short_anywhere(self, order):
        # One string, "a" -> "b": seven numbers, two tables, the two strings.
        numbers = (0x950412DE, 0, 1, 28, 36, 0, 44, 1, 44, 1, 46)
        content = struct.pack(f"{order}11I", *numbers) + b"a\0b"
        whole = gettext_catalogues.parse_catalogue(
            "whole", PurePosixPath("de.mo"), content
        )
        assert [(e.msgid, e.msgstr) for e in whole.entries] == [("a", "b")]
        for length in range(len(content)):
            self.error_of("de.mo", content[:length])

    def test_catalogue_of_a_folder_is_named(self, tmp_path):
        path = put(tmp_path, "locale/de/LC_MESSAGES/x.po", b"msgid house\n")
        with pytest.raises(InputError, match=f"^{path} is not a sound .po"):
            read(tmp_path)

    def test_damaged_member_of_an_archive(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        path.write_bytes(path.read_bytes().replace(b"Haus", b"Maus"))
        with pytest.raises(
            InputError, match=r"a\.zip: po/de\.po cannot be read .*CRC"
        ):
            read(path)

    def test_damaged_directory_of_an_archive(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\0\0"))
        with pytest.raises(InputError, match=r"a\.zip must be a sound zip"):
            read(path)

    def test_huge_member_is_not_read(self, tmp_path, monkeypatch):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        monkeypatch.setattr(gettext_catalogues, "MAX_CATALOGUE_BYTES", 10)
        with pytest.raises(InputError, match=r"may hold 10 bytes.*po/de\.po"):
            read(path)
