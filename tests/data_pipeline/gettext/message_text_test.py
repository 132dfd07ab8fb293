import pytest

from data_pipeline.gettext import message_text


@pytest.mark.parametrize(
    ("string", "text"),
    [
        ("two\nlines\tand\u00a0more\u2028here ", "two lines and more here"),
        ("bell\x07 and\x00 nothing", "bell and nothing"),
        ("<b>bold</b> <A HREF='x>y'>link</a>!", "bold link!"),
        ("one<br/>two<br>three<p class=x>four</p>", "one two three four"),
        ("say <q>%(word)s</q>", 'say "%(word)s"'),
        ("a<!-- note -->b", "a b"),
        ("usage: copy <file> <target>", "usage: copy <file> <target>"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        (
            "Tom &amp; Jerry&#8217;s &#x201C;bat&#x201d;",
            "Tom & Jerry’s “bat”",
        ),
        ("&lt;b&gt; makes bold", "<b> makes bold"),
        ("&Copy; &unknown; &copy file", "&Copy; &unknown; &copy file"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_visible_text(string, text):
    assert message_text.visible_text(string) == text


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("&File", "&Datei", ("File", "Datei")),
        ("_File", "_Datei", ("File", "Datei")),
        ("&File", "ファイル(&F)", ("File", "ファイル")),
        ("_Open...", "打开 (_O)...", ("Open...", "打开...")),
        ("E&xit", "&Beenden", ("Exit", "Beenden")),
        ("E_xit", "В_ыход", ("Exit", "Выход")),
        ("Save &As…", "Speichern &unter…", ("Save As…", "Speichern unter…")),
        ("_OK", "_OK", ("OK", "OK")),
        ("&File", "Datei", ("File", "Datei")),
        ("_Print", "ا_طبع", ("Print", "اطبع")),
        ("T_wo-sided:", "İ_ki taraflı:", ("Two-sided:", "İki taraflı:")),
        # Names and signs, not marks.
        ("in pg_data", "pg_data内", ("in pg_data", "pg_data内")),
        ("list_name", "nom_liste", ("list_name", "nom_liste")),
        ("R&D", "F&E", ("R&D", "F&E")),
        ("AT&T office", "Büro von AT&T", ("AT&T office", "Büro von AT&T")),
        ("Ask q&a", "Fragen q&a", ("Ask q&a", "Fragen q&a")),
        ("Tom & Jerry", "Tom & Jerry", ("Tom & Jerry", "Tom & Jerry")),
        ("a && b", "a && b", ("a && b", "a && b")),
        ("see max_size", "siehe max_size", ("see max_size", "siehe max_size")),
        ("a “my_page.html”", "“o_p.html”", ("a “my_page.html”", "“o_p.html”")),
        ("__init__ is", "__init__ ist", ("__init__ is", "__init__ ist")),
        ("http://a?b&c", "http://a?b&d", ("http://a?b&c", "http://a?b&d")),
        ("a=1&b", "a=2&b", ("a=1&b", "a=2&b")),
        ("to {a_name}", "an {a_name}", ("to {a_name}", "an {a_name}")),
        ("black&white", "noir et blanc", ("black&white", "noir et blanc")),
        ("Save", "Speichern &alles", ("Save", "Speichern &alles")),
    ],
)  # fmt: skip
def test_accelerators(source, target, expected):
    assert message_text.without_accelerators(source, target) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%s of %d", "%1$s, %2$d"),
        ("%s of %d", "%2$d: %1$s"),
        ("%s: %m", "%2$m: %1$s"),
        ("%-8s", "%s"),
        ("Bad %-encoding", "Falsche %-Kodierung"),
        ("%d", "%i"),
        ("%lu of %zu", "%2$d / %1$d"),
        ("%.2f MB", "%.1f Mo"),
        ("%@", "%s"),
        ("%(count)d and %(name)s", "%(name)s, %(count)s"),
        ("{name} {0}", "{0} {name}"),
        ("{price:.2f} {name!r}", "{name} {price}"),
        ("{{ user }}", "{{user}}"),
        ("%{user}", "%{user}"),
        ("%1 of %2", "%2 %1"),
        ("100% sure", "ganz sicher"),
        ("100%% sure", "ganz sicher"),
        ("costs $5", "kostet 5"),
        ("{a b} is a set", "eine Menge"),
    ],
)
def test_placeholders_that_fill_in_the_same(one, other):
    assert message_text.placeholders(one) == message_text.placeholders(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%s", ""),
        ("%s of %d", "%d of %s"),  # not said with positions: would crash
        ("%s", "%d"),
        ("%s %s", "%s"),
        ("%(name)s", "%(nome)s"),
        ("%(name)s", "%(name)"),
        ("{name}", "{nome}"),
        ("{name}", "{{name}}"),
        ("{0} {0}", "{0}"),
        ("{}", ""),
        ("{% url %}", "{% link %}"),
        ("%{user}", "%{nutzer}"),
        ("%1 of %2", "%1"),
        ("$name", "$nom"),
    ],
)
def test_placeholders_that_fill_in_something_else(one, other):
    assert message_text.placeholders(one) != message_text.placeholders(other)


def test_placeholders_are_counted():
    assert message_text.placeholders("%(a)s %(a)s %s %d %%") == {
        "python:a": 2,
        "%1$s": 1,
        "%2$d": 1,
    }


def test_letters_are_those_beside_placeholders():
    for text in ("", "…", "12:30", "%(name)s: %d", "{name}", "→ $x"):
        assert not message_text.has_letters(text), text
    for text in ("a", "%s MB", "日", "5 ق"):
        assert message_text.has_letters(text), text
