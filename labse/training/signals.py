"""SIGTERM and SIGINT while training."""

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from absl import logging

Result = TypeVar("Result")


class _Interrupted(Exception):
    """Ends what need not be finished."""


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
            for number in (signal.SIGTERM, signal.SIGINT):
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
