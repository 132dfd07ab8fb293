"""SIGTERM and SIGINT while training."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from absl import logging

Result = TypeVar("Result")


class _Interrupted(Exception):
    """Ends what need not be finished."""


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def end_process_at_once() -> Iterator[None]:
    """In the block, SIGTERM and SIGINT end the process without Python's help.

    For calls of TensorFlow that wait for other processes: Python's handlers
    would run when they return. After the block the handlers are those before
    it, also where TensorFlow has put its own in place, as it does with several
    workers: that one swallows SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in handlers.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class DelayedSignals:
    """Holds SIGTERM and SIGINT back until training has saved.

    At the end of the `with` block the signal takes effect as it would have
    without it. A second signal takes effect at once.

    Attributes:
      received: the name of the signal that came, or None.
    """

    def __init__(self):
        self.received = None
        self._handlers = {}
        self._interrupts = False

    def __enter__(self):
        # Only the main thread may set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._handlers[number] = signal.signal(
                        number, self._receive
                    )
        return self

    def _receive(self, number, frame):
        name = signal.Signals(number).name
        if self.received is not None:
            self._restore_handlers()
            signal.raise_signal(number)
        self.received = name
        logging.warning(
            "Received %s: saving a checkpoint after this step, then stopping. "
            "A second signal stops at once.",
            name,
        )
        if self._interrupts:
            raise _Interrupted

    def call_unless_received(
        self, function: Callable[[], Result]
    ) -> Result | None:
        """What the function returns; a signal ends it at once: None."""
        if self.received is not None:
            return None
        try:
            self._interrupts = True
            result = function()
            self._interrupts = False  # Here, where `except` still holds.
            return result
        except _Interrupted:
            return None
        finally:
            self._interrupts = False

    def _restore_handlers(self):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __exit__(self, kind, error, trace):
        self._restore_handlers()
        if error is None and self.received is not None:
            signal.raise_signal(signal.Signals[self.received])
