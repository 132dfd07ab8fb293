import pytest

from data_pipeline.corpora.page_limits import is_too_complex

ATTRIBUTES = " ".join(f"a{number}" for number in range(5000))
QUOTED = ATTRIBUTES.replace(" ", '=">" ')
BOLD = [f"<b id={number}>" for number in range(3000)]


@pytest.mark.parametrize(
    "html",
    [
        # Sum of depths: 1 + 2 + ... + 8000 = 32 million.
        "<div>" * 8000,
        "<x-y>" * 3000 + "<br>" * 9000,
        "<p>" * 500_001,
        # What does not close the innermost element.
        "<div></x>" * 20_000,
        "<x><div></x>" * 20_000,
        "<div><object></div>" * 20_000,
        # Each paragraph opens again what has not been closed.
        "".join(f"<p>{tag}x</p>" for tag in BOLD),
        "".join(f"<div>{tag}x</div>" for tag in BOLD),
        "<p><b><i><u><s><tt><em></p>" + "<p>x</p>" * 80_000,
        f"<p {ATTRIBUTES}>".ljust(2**19 + 1),
        f"<p {QUOTED}>".ljust(2**19 + 1),
        f"<!-- <p a=' --><p {ATTRIBUTES}>".ljust(2**19 + 1),
    ],
    ids=range(12),
)
def test_too_complex(html):
    assert is_too_complex(html)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 7000,
        "<p>text" * 100_000,
        "<div><b>x</b></div>" * 100_000,
        "<div><span>x</div>" * 100_000,
        "</div>" * 100_000,
        "<p class='a' id=b>x</p>" * 100_000,
        f"<p>{ATTRIBUTES}</p>" * 9,
        "".join(f"<p>{tag}x</b></p>" for tag in BOLD),
    ],
    ids=range(8),
)
def test_not_too_complex(html):
    assert not is_too_complex(html)
