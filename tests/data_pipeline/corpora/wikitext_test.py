import random
import string

import pytest

from data_pipeline.corpora.wikitext import paragraphs_of_wikitext


@pytest.mark.parametrize(
    "text, expected",
    [
        ("One.\nTwo.\n\nThree.", "One.|Two.|Three."),
        (
            "'''Bold''', ''italic'' and '''''both'''''.",
            "Bold, italic and both.",
        ),
        ("a [[b]] [[c|d]] [[:Category:E]]s.", "a b d Category:Es."),
        ("[[a#b|c''d'']] [[File:x.jpg|thumb|a [[b]] c]]e", "cd e"),
        ("x[[Category:A|b]] [[image:y.png]][[de:Z]]", "x"),
        ("[[wikt:foo|foo]] [[Star Wars: A]]", "foo Star Wars: A"),
        ("a {{b|c={{d|}}\n|e}} f", "a f"),
        ("a {{b\n|c=\n|}} d", "a d"),
        ("a {{b c", "a {{b c"),
        ("a }} b {{c}} d", "a }} b d"),
        ("a\n{| class=b\n|-\n| c || {{d}}\n{|\n| e\n|}\n|}\nf", "a|f"),
        ("a\n{|\n| {{b\n|}\nc", "a|c"),
        ("a<ref>b [[c]]</ref> d<ref name=e/> f<ref>g", "a d fg"),
        ("a <math>x_{1}^{2}</math> b", "a b"),
        ("<gallery>\nFile:a.jpg|b\n</gallery>c", "c"),
        ("a<!-- b [[ {{ -->c<!-- d", "ac"),
        ("a <nowiki>[b]</nowiki>", "a [b]"),
        ("a<br />b <span class=c>d</span> e</p>f", "a|b d e|f"),
        ("== a ==\nb\n=== c ===", "b"),
        ("* a\n** b\n# c\n; d\n: e\n----\n*", "a|b|c|d|e"),
        ("a [http://b.org c d] [http://e.org] [[f]]", "a c d f"),
        ("a&nbsp;b &amp; c &lt;d&gt;", "a b & c <d>"),
        ("__NOTOC__a __", "a __"),
        ("a ({{b}}, c) d ({{e}}) f", "a (c) d f"),
        ("a {{b}}, c", "a, c"),
        ("a, {{b}}, {{c}}, d ( {{e}} f {{g}})", "a, d (f)"),
        ("-{zh-hans:a; zh-hant:b}- -{c}- -{10:30}-", "a c 10:30"),
        ("-{H|zh-cn:a;zh-tw:b}-c -{R|d}- -{A|zh-cn:e;zh-tw:f}-", "c d e"),
        ("a&#" + "9" * 5000 + ";", "a\ufffd"),
        ("<table><tr><td>a</td></tr></table>b", "b"),
        ("| a\n! b\nc", "c"),
        ("a = b", "a = b"),
        ("= a", "= a"),
    ],
)
def test_wikitext(text, expected):
    assert "|".join(paragraphs_of_wikitext(text)) == expected


def test_namespaces_of_a_wiki():
    text = "a [[Файл:b.jpg|мини|c [[d]]]] [[Категория:e]]"
    names = ("файл", "категория")
    assert paragraphs_of_wikitext(text, names) == ["a"]


def test_nested_markup_of_any_depth_is_left_out():
    depth = 100_000
    nested = "{{" * depth + "a" + "}}" * depth
    assert paragraphs_of_wikitext(f"b {nested} c") == ["b c"]
    nested = "[[" * depth + "a" + "]]" * depth
    assert paragraphs_of_wikitext(f"b {nested} c") == ["b a c"]


def test_a_long_address_without_an_end():
    """Takes hours where the address and its text can share characters."""
    address = "[http:" + "a" * 2**20
    assert paragraphs_of_wikitext(address) == [address]


MARKS = [
    *("{{", "}}", "[[", "]]", "{|", "\n{|", "\n|}", "|", "<ref>", "</ref>"),
    *("<math>", "<!--", "-->", "-{", "}-", "'''", "==", "&lt;", "(", ")"),
    *("__", "\n", " ", "[http:", "<nowiki>", "*", ","),
]


@pytest.mark.parametrize("seed", range(3))
def test_any_text(seed):
    """Text without markup stays, whatever stands around it."""
    source = random.Random(seed)
    for _ in range(300):
        text = "".join(source.choices(MARKS + list(string.ascii_letters), k=60))
        for line in paragraphs_of_wikitext(text):
            assert line.strip() == line
            assert line and "\n" not in line
        found = paragraphs_of_wikitext(f"Before.\n\n<!---->{text}")
        assert found[0].startswith("Before.")
