"""A worker process of a phase on this machine.

It is Beam's own worker, without its log lines, and it ends with the process
that started it, however that one ends.
"""

import os
import signal
import sys
import threading
import time

_SECONDS = 0.2


def end_with(parent: int, lease: str) -> None:
    """Ends this process when the parent has ended or removed the lease."""

    def watch() -> None:
        while os.getppid() == parent and os.path.exists(lease):
            time.sleep(_SECONDS)
        os._exit(1)  # Units in other threads, too.

    threading.Thread(target=watch, daemon=True).start()


def main(parent: str, lease: str) -> None:
    """Works until the runner has no more work."""
    # Ctrl-C reaches the whole group; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(int(parent), lease)
    from data_pipeline.jobs.quiet_beam import quiet_beam

    quiet_beam()
    from apache_beam.runners.worker import sdk_worker_main

    # Run as a module, its loggers would be named `__main__`.
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
