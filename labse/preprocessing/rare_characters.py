"""Finds and changes the few texts that contain certain characters.

Most texts contain none of them. Finding them is cheap and changing them is not,
so only the texts to change are taken out of the batch and put back.
"""

from collections.abc import Callable

import tensorflow as tf


def character_class(table: str) -> str:
    """The inside of an RE2 character class.

    Args:
      table: hexadecimal code points and ranges, separated by spaces:
        "9-A D 3000".
    """
    return "".join(
        "-".join(rf"\x{{{code}}}" for code in item.split("-"))
        for item in table.split()
    )


def code_points(table: str) -> list[int]:
    """The code points of a table, in its order."""
    found = []
    for item in table.split():
        first, _, last = item.partition("-")
        found += range(int(first, 16), int(last or first, 16) + 1)
    return found


def change_rows(
    texts: tf.Tensor, mask: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Applies `change` to those of the texts, string [n], under `mask`."""
    rows = tf.where(mask)  # [k, 1]
    changed = change(tf.gather_nd(texts, rows))  # [k]
    return tf.tensor_scatter_nd_update(texts, rows, changed)
