"""The progress bar of all programs: tqdm's, or lines in a log."""

import sys

from tqdm import tqdm

# Seconds between two lines of a log: a tenth of the time taken, within these.
LINE_SECONDS = (30.0, 600.0)


class ProgressBar(tqdm):
    """As tqdm's; where the output is no terminal, a line now and then.

    A file would keep every state of a bar. It gets a line after half a minute
    and whenever the time taken has grown by a tenth since the last, yet at the
    latest after ten minutes: 10 lines in five minutes, about 180 in a day. The
    last state is a line as well, unless `leave` says otherwise.
    """

    def __init__(self, *args, file=None, **kwargs):
        """As tqdm's; `file` is stderr by default."""
        file = sys.stderr if file is None else file
        self._is_live = _is_live(file)
        self._next_line = LINE_SECONDS[0]  # seconds from the start
        if not self._is_live and "bar_format" not in kwargs:
            kwargs["ncols"] = 0  # Figures only; excludes a format.
        super().__init__(*args, file=file, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Shows the bar, or writes a line if it is time; tqdm calls it."""
        if self._is_live:
            return super().display(msg, pos)
        if self.disable:  # By `close`, which ends the line.
            if msg is None:
                self.fp.write(str(self))
            return False
        elapsed = self.format_dict["elapsed"]
        if elapsed >= self._next_line:
            least, most = LINE_SECONDS
            self._next_line = elapsed + min(max(least, elapsed / 10), most)
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return True

    def clear(self, nolock: bool = False) -> None:
        """Clears the bar for other output; a line stays."""
        if self._is_live:
            super().clear(nolock)


def _is_live(file) -> bool:
    """Whether a bar can be drawn over itself: in a terminal or a notebook."""
    is_terminal = getattr(file, "isatty", lambda: False)
    return is_terminal() or type(file).__module__.startswith("ipykernel")
