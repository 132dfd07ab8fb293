"""Whether TensorFlow can run in this process.

A fork copies TensorFlow's state without its threads: the first operation
hangs. `labse` registers a hook (`os.register_at_fork`), so that it can raise an
error instead.
"""

import os
import sys
import threading

from labse.errors import InputError

# Without its threads TensorFlow hangs; with them it takes some 0.02 s.
PATIENCE_SECONDS = 10.0

_ran_before_fork = False
# TensorFlow ran before the hook was registered, perhaps before a fork.
_is_unsure = False
_lock = threading.Lock()


def watch_forks() -> None:
    """Registers the hook, once in a process."""
    global _is_unsure
    if hasattr(os, "register_at_fork"):  # Not on Windows, which cannot fork.
        _is_unsure = _tensorflow_runs()
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _ran_before_fork, _lock
    _lock = threading.Lock()  # Another thread of the parent may have held it.
    _ran_before_fork = _ran_before_fork or _tensorflow_runs()


def _tensorflow_runs() -> bool:
    """Whether TensorFlow's runtime has started; importing it is not enough."""
    eager = sys.modules.get("tensorflow.python.eager.context")
    context = eager and eager.context_safe()
    return context is not None and context._initialized


def is_unusable() -> bool:
    """Whether TensorFlow ran in the process that this one was forked from.

    If it ran before the hook was registered, an operation is tried, once: its
    threads have no name of their own, and BLAS or Python may have others.
    """
    global _ran_before_fork, _is_unsure
    with _lock:
        if _is_unsure and not _ran_before_fork:
            _ran_before_fork = not _answers()
            _is_unsure = False
    return _ran_before_fork


def _answers() -> bool:
    """Whether a function returns for which TensorFlow needs its threads."""
    import tensorflow as tf

    def compute():
        with tf.device("CPU:0"):  # The first use of a GPU may take minutes.
            function = tf.function(lambda x: tf.sqrt(x) + 1.0)
            number = tf.constant(4.0)
            function.get_concrete_function(number)(number)

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return not thread.is_alive()


def check_usable() -> None:
    """Raises `InputError` where TensorFlow would hang."""
    if is_unusable():
        raise InputError(
            "This process was forked from one in which TensorFlow had run, "
            "and TensorFlow cannot run in it: threads do not survive a fork. "
            "Start processes by spawn (multiprocessing.get_context('spawn'), "
            "joblib's loky), or load the model in each worker and in nothing "
            "before the fork (gunicorn without --preload, uwsgi with "
            "lazy-apps). See docs/web_service.md."
        )
