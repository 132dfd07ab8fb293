import runpy
import shutil
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "examples" / "screenshot.py"


@pytest.fixture
def screenshot():
    return runpy.run_path(str(_SCRIPT))["main"]


def test_without_a_browser_it_says_what_to_install(
    screenshot, monkeypatch, tmp_path
):
    page = tmp_path / "report.html"
    page.write_text("<p>hello</p>")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    error = screenshot([str(page), str(tmp_path / "out.png")])
    assert "No browser found" in error and "apt-get install chromium" in error


def test_without_a_page_it_says_how_it_is_called(screenshot, tmp_path):
    error = screenshot([str(tmp_path / "absent.html"), "out.png"])
    assert error.startswith("usage:") and "absent.html" in error
    assert screenshot([]).startswith("usage:")


@pytest.mark.skipif(
    not shutil.which("chromium"), reason="chromium is not installed"
)
def test_takes_a_picture(screenshot, tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<p>hello</p>")
    picture = tmp_path / "out.png"
    assert screenshot([str(page), str(picture)]) is None
    # The signature, then the width and height of the IHDR chunk.
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(head[16:20]) == 1200
