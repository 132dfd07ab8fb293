"""The errors that a program reports in a line, so that bugs stand out."""


class InputError(ValueError):
    """What the user gave breaks a rule.

    The message says the rule, what was received and what to do, and names the
    file and line where there is one. `labse PROGRAM` prints it as one line and
    exits with 2; every other exception is a bug and keeps its traceback.
    """


class LostWorkerError(RuntimeError):
    """Another process or machine that this one works with is gone.

    The message says from where the same command resumes. `labse PROGRAM` prints
    it as one line and exits with 75, which means "try again" (sysexits.h).
    """
