import io
import itertools
import os
import pty
import re

import pytest

from labse.progress import ProgressBar


def run(bar, seconds):
    """Updates a bar once a second, on its own clock."""
    now = bar.start_t
    bar._time = lambda: now
    for _ in range(seconds):
        now += 1
        bar.update()
    bar.close()


@pytest.mark.parametrize(
    "seconds, expected",
    [
        (10, [10]),
        (100, [30, 60, 90, 100]),
        # From 300 seconds on the steps grow by a tenth, rounded up:
        # 330 + 33 = 363, then 36.3, then 39.9 ...
        (450, [*range(30, 301, 30), 330, 363, 400, 440, 450]),
    ],
)
def test_lines_of_a_log(seconds, expected):
    log = io.StringIO()
    run(ProgressBar(total=seconds, file=log, desc="embed"), seconds)
    text = log.getvalue()
    assert "\r" not in text and text.endswith("\n")
    counts = [
        int(re.match(r"embed: +\d+% (\d+)/", line)[1])
        for line in text.splitlines()
    ]
    assert counts == expected


def test_ten_minutes_are_the_longest_silence():
    log = io.StringIO()
    run(ProgressBar(file=log, unit=" texts"), 24 * 3600)
    lines = log.getvalue().splitlines()
    # 10 to 300 s, 32 to about 6,000 s, then 134 of 600 s, and the last.
    assert 170 < len(lines) < 185
    counts = [int(line.split(" ")[0]) for line in lines]
    assert max(b - a for a, b in itertools.pairwise(counts)) == 600


def test_what_disappears_from_a_terminal_is_not_in_a_log():
    log = io.StringIO()
    outer = ProgressBar(total=1, file=log)
    run(ProgressBar(total=5, file=log, leave=None), 5)
    ProgressBar(total=5, file=log, disable=True).close()
    ProgressBar(total=5, file=log, delay=10).close()
    assert log.getvalue() == ""
    with ProgressBar.external_write_mode(log):
        log.write("A message.\n")
    assert log.getvalue() == "A message.\n"
    outer.close()


def test_other_figures_write_no_lines():
    log = io.StringIO()
    with ProgressBar(total=9, file=log) as bar:
        for loss in "123":
            bar.set_postfix(loss=loss)
        assert log.getvalue() == ""
    assert "loss=3" in log.getvalue()


def test_a_terminal_has_a_bar():
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as terminal:
        with ProgressBar(total=4, file=terminal, mininterval=0) as bar:
            bar.update(2)
        shown = os.read(reader, 10_000).decode()
    os.close(reader)
    assert "\r" in shown and "50%|" in shown
