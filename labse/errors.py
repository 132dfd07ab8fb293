"""The error for bad input, so that a program can tell it from a bug."""


class InputError(ValueError):
    """What the user gave breaks a rule.

    The message says the rule, what was received and what to do, and names the
    file and line where there is one. `labse PROGRAM` prints it as one line and
    exits with 2; every other exception is a bug and keeps its traceback.
    """
