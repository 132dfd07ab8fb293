"""Takes a screenshot of a report.

  python examples/screenshot.py REPORT.html OUT.png [HEIGHT in pixels]

Needs Chromium, and fonts for the scripts that the report shows. On Debian:
apt-get install chromium fonts-noto-core fonts-noto-cjk
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: list[str]) -> str | None:
    """Writes OUT.png; returns an error message, if anything fails."""
    *arguments, height = (
        arguments if len(arguments) == 3 else [*arguments, "3200"]
    )
    if len(arguments) != 2 or not pathlib.Path(arguments[0]).is_file():
        return (
            "usage: python examples/screenshot.py REPORT.html OUT.png "
            "[HEIGHT], the first an existing file. Received: "
            f"{' '.join(arguments)}"
        )
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return (
            f"No browser found: one of {', '.join(BROWSERS)} must be on the "
            "path. On Debian: apt-get install chromium fonts-noto-core "
            "fonts-noto-cjk"
        )
    page, picture = (pathlib.Path(path).resolve() for path in arguments)
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--no-first-run", "--disable-background-networking"),
            *("--disable-component-update", "--disable-sync"),
            *("--hide-scrollbars", f"--window-size=1200,{height}"),
            f"--user-data-dir={profile}",
            f"--screenshot={picture}",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not picture.is_file():
        return f"{browser} failed to take the screenshot:\n{done.stderr}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
