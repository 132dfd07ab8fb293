import pytest

from data_pipeline.corpora.main_text import main_text, paragraphs_of

SENTENCE = "This is a sentence of the article that is long enough to stay. "


def test_main_text():
    html = (
        '<html lang="pt-BR"><body><nav><ul><li><a href="/">Home</a></li>'
        '<li><a href="/b">Contact</a></li></ul></nav><article>'
        f"<h1>Title</h1><p>{SENTENCE * 3}</p>"
        f"<p>{SENTENCE}<b>Bold</b>\n text.</p>"
        "<script>var x = 1;</script></article>"
        "<footer>Copyright</footer></body></html>"
    )
    lines, language = main_text(html)
    assert lines == [
        "Title",
        (SENTENCE * 3).strip(),
        f"{SENTENCE}Bold text.",
    ]
    assert language == "pt-BR"


@pytest.mark.parametrize("html", ["", "\0", "<", "&#xD800;", "<html lang>"])
def test_any_page(html):
    lines, language = main_text(html)
    assert language == ""
    "".join(lines).encode()


def test_paragraphs():
    assert paragraphs_of(" a\tb \n\n\r\n\u00a0\nc\r\n") == ["a b", "c"]
