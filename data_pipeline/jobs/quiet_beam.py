"""Imports Apache Beam and keeps its log lines off the terminal.

Beam logs how it starts and ends its workers, file systems that are not
installed, and each error of a worker again at every level it passes. What
matters of it is raised.
"""

import logging
import os
import threading

_PLACE = f"{os.sep}apache_beam{os.sep}"


def _is_not_of_beam(record: logging.LogRecord) -> bool:
    return _PLACE not in record.pathname


def quiet_beam() -> None:
    """Drops what Beam logs in this process, and imports it."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)
    root = logging.getLogger()
    if _is_not_of_beam not in root.filters:
        root.addFilter(_is_not_of_beam)
    # Without a handler, the first line logged would give the root logger one.
    nowhere = logging.NullHandler()
    root.addHandler(nowhere)
    import apache_beam  # noqa: F401

    root.removeHandler(nowhere)
    threading.excepthook = _of_threads(threading.excepthook)


def _of_threads(show):
    """Shows what a thread raises, unless it is Beam's reader of a worker.

    That one ends with an error where the worker is gone, which `local_runner`
    finds and raises.
    """

    def excepthook(arguments) -> None:
        thread = arguments.thread
        if thread is None or thread.name != "read_grpc_client_inputs":
            show(arguments)

    return excepthook


quiet_beam()
