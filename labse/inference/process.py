"""Whether TensorFlow can run in this process.

A fork copies TensorFlow's state without its threads: the first operation
waits for ever. `labse` registers a hook (`os.register_at_fork`), so that it
can say so instead.
"""

import os
import sys

from labse.errors import InputError

_ran_before_fork = False


def watch_forks() -> None:
    """Registers the hook, once a process."""
    if hasattr(os, "register_at_fork"):  # Not on Windows, which cannot fork.
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _ran_before_fork
    _ran_before_fork = _ran_before_fork or _tensorflow_runs()


def _tensorflow_runs() -> bool:
    """Whether TensorFlow's runtime is there; importing it starts none."""
    eager = sys.modules.get("tensorflow.python.eager.context")
    context = eager and eager.context_safe()
    return context is not None and context._initialized


def is_unusable() -> bool:
    """Whether TensorFlow ran in the process that this one was forked from.

    Where the hook was not registered before the fork, a runtime without a
    thread beside this one tells it (on Linux): it starts with several.
    """
    if _ran_before_fork:
        return True
    tasks = "/proc/self/task"
    return (
        _tensorflow_runs()
        and os.path.isdir(tasks)
        and len(os.listdir(tasks)) == 1
    )


def check() -> None:
    """Raises InputError where TensorFlow would wait for ever."""
    if is_unusable():
        raise InputError(
            "This process was forked from one in which TensorFlow had run, "
            "and TensorFlow cannot run in it: threads do not survive a fork. "
            "Start processes by spawn (multiprocessing.get_context('spawn'), "
            "joblib's loky), or load the model in each worker and in nothing "
            "before the fork (gunicorn without --preload, uwsgi with "
            "lazy-apps). See docs/web_service.md."
        )
