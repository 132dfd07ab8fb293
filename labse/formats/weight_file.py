"""What holds for every file of weights that was made elsewhere.

Such a file was fetched from somewhere: it may be cut off, it may be another
thing under the right name, and it may have been made to do harm. So sizes are
checked before memory is taken, and what is quoted from it is kept short.
"""

import math

# Far above any tensor of a language model; keeps NumPy's own limits away.
MAX_DIMENSIONS = 32
MAX_DIMENSION = 2**31
MAX_BYTES = 2**62


def shown(value: object) -> str:
    """A value from the file, for a message: no control codes, and short."""
    if isinstance(value, list | tuple):
        if len(value) > 8 or any(isinstance(x, list | tuple) for x in value):
            return f"a list of {len(value):,}"
        return f"[{', '.join(shown(item) for item in value)}]"
    if not isinstance(value, str | int | float | None):
        return f"a {type(value).__name__}"
    quoted = repr(value)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}..."


def is_shape(shape: object) -> bool:
    """Whether `shape` is a list or tuple of whole numbers that NumPy takes."""
    return (
        isinstance(shape, list | tuple)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(size) is int for size in shape)
        and all(0 <= size <= MAX_DIMENSION for size in shape)
        # NumPy multiplies what is beside a zero as well.
        and math.prod(max(1, size) for size in shape) <= MAX_BYTES // 8
    )
