import collections
import warnings
import zipfile
from pathlib import PurePosixPath

import polib
import pytest

from data_pipeline.gettext import catalogues
from data_pipeline.gettext.po_parser import MalformedCatalogue
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
    found = [
        file.read()
        for file in catalogues.find_catalogues(str(input_name), counters)
    ]
    return found, counters


def texts(found):
    return [
        (one.language, [(entry.msgid, *entry.msgstr) for entry in one.entries])
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
        assert counters == {"catalogues_mo_beside_po": 1}

    def test_gmo_is_mo_and_suffixes_may_be_upper_case(self, tmp_path):
        put(tmp_path, "po/de.po", po_bytes(HOUSE))
        put(tmp_path, "po/de.gmo", mo_bytes(("old", "alt")))
        put(tmp_path, "po/fr.gmo", mo_bytes(("house", "maison")))
        put(tmp_path, "po/nl.PO", po_bytes(("house", "huis")))
        found, counters = read(tmp_path)
        assert texts(found) == [
            ("de", [HOUSE]),
            ("fr", [("house", "maison")]),
            ("nl", [("house", "huis")]),
        ]
        assert counters == {"catalogues_mo_beside_po": 1}
        path = tmp_path / "po/fr.gmo"
        assert texts(read(path)[0]) == [("fr", [("house", "maison")])]

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
            match=rf"installed Python package\. Received: package:{name}, wh",
        ):
            read(f"package:{name}")

    def test_input_that_is_not_there(self):
        with pytest.raises(
            InputError, match="Received: gone, which is missing"
        ):
            read("gone")

    def test_input_of_another_kind(self, tmp_path):
        path = put(tmp_path, "cut.whl", b"PK\x03\x04 the rest is lost")
        with pytest.raises(InputError, match="cut.whl, which is none of these"):
            read(path)

    def test_input_without_catalogues(self, tmp_path):
        put(tmp_path, "readme.txt", b"")
        with pytest.raises(InputError, match=r"must have \.po, \.mo or \.gmo"):
            read(tmp_path)


def test_globs_match_the_path_in_the_input_or_the_printed_name(tmp_path):
    archive_name = tmp_path / "a.zip"
    with zipfile.ZipFile(archive_name, "w") as archive:
        archive.writestr("po/de[1].po", po_bytes(HOUSE))
    path = put(tmp_path, "folder/po/de.po", po_bytes(HOUSE))
    for input_name, globs, others in (
        (
            archive_name,
            ["*de*", "po/*", "po/de[1].po", f"{archive_name}: po/de[1].po"],
            ["de*", "*/de*/*", "PO/*"],
        ),
        (tmp_path / "folder", ["po/de.po", str(path), "*/de.po"], ["de.po"]),
        (path, ["de.po", str(path), "*.po"], ["po/de.po"]),
    ):
        (file,) = catalogues.find_catalogues(
            str(input_name), collections.Counter()
        )
        assert all(file.matches(glob) for glob in globs)
        assert not any(file.matches(glob) for glob in others)


class TestDamage:
    def error_of(self, input_name):
        with pytest.raises(MalformedCatalogue) as caught:
            read(input_name)
        return str(caught.value)

    def test_catalogue_of_a_folder_is_named_with_its_line(self, tmp_path):
        path = put(tmp_path, "locale/de/LC_MESSAGES/x.po", b"\nmsgid house\n")
        assert self.error_of(tmp_path).startswith(f"{path}:2: a keyword such")

    def test_compiled_catalogue_is_named(self, tmp_path):
        path = put(tmp_path, "de.mo", b"GIF89a")
        assert self.error_of(path).startswith(f"{path}: it does not begin")

    def test_file_that_cannot_be_opened(self, tmp_path):
        path = tmp_path / "de.po"
        path.symlink_to(tmp_path / "gone")
        assert "No such file" in self.error_of(tmp_path)

    def test_damaged_member_of_an_archive(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        path.write_bytes(path.read_bytes().replace(b"Haus", b"Maus"))
        message = self.error_of(path)
        assert message.startswith(f"{path}: po/de.po: it cannot be read")
        assert "CRC" in message

    def test_damaged_directory_of_an_archive(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\0\0"))
        with pytest.raises(InputError, match=r"a\.zip must be an intact zip"):
            read(path)

    def test_huge_member_is_not_read(self, tmp_path, monkeypatch):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("po/de.po", po_bytes(HOUSE))
        monkeypatch.setattr(catalogues, "MAX_CATALOGUE_BYTES", 10)
        message = self.error_of(path)
        assert "po/de.po: a catalogue in an archive has at most 10" in message


def test_what_the_catalogue_says_of_itself(tmp_path):
    source = catalogue(HOUSE, language="de")
    source.metadata["Plural-Forms"] = "nplurals=2; plural=(n != 1);"
    parsed = catalogues.parse_catalogue(
        "name", PurePosixPath("src/app.po"), str(source).encode()
    )
    assert (parsed.name, parsed.language) == ("name", "de")
    assert parsed.plural_forms == "nplurals=2; plural=(n != 1);"
    parsed = catalogues.parse_catalogue(
        "name", PurePosixPath("src/app.po"), po_bytes(HOUSE)
    )
    assert (parsed.language, parsed.plural_forms) == (None, "")
    assert parsed.why_unclear.startswith("neither its name nor its header")


@pytest.mark.parametrize("again", ["de.po", "./de.po"])
def test_an_archive_with_two_members_of_a_name(tmp_path, again):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("de.po", po_bytes(HOUSE))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Duplicate name.
            archive.writestr(again, po_bytes(("tree", "Baum")))
    with pytest.raises(InputError, match=r"twice in .*a\.zip: de\.po"):
        read(path)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_a_po_file_in_utf_16_is_named_and_refused(tmp_path, encoding):
    content = po_bytes(HOUSE, language="de").decode().encode(encoding)
    path = put(tmp_path, "de.po", content)
    name = encoding[:6].upper()
    message = rf"de\.po: .*Received text in {name}\. Convert it: iconv -f"
    with pytest.raises(MalformedCatalogue, match=message):
        read(path)
