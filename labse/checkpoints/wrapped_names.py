"""Removes what wrappers add to weights' names: `module.`, `0.auto_model.`, ...

A model inside another is saved with the outer name as a prefix, and wrappers
for several devices or for compiling insert theirs anywhere. The prefix of the
one table of word embeddings is the prefix of the whole encoder.
"""

import re
from collections.abc import Mapping

from labse.errors import InputError
from labse.formats.model_file import shown

# PyTorch's: DataParallel, torch.compile, FSDP, activation checkpoints. They
# may precede any part of a name, and no part of BERT has such a name.
_TORCH_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module"
    r"|_checkpoint_wrapped_module)\."
)


def without_torch_wrappers(name: str) -> str:
    """A weight's name in PyTorch without those of wrappers."""
    return _TORCH_WRAPPERS.sub("", name)


def unwrap(
    names: Mapping[str, str], table: str, separator: str, origin: str
) -> tuple[dict[str, str], str]:
    """Finds the encoder among weights and removes its prefix.

    Args:
      names: the stored names, each with the name to start from.
      table: the encoder's own name of the table of word embeddings.
      separator: between the parts of a name.
      origin: the model, for messages.

    Returns:
      stored name -> name without the prefix, or, for weights outside the
      encoder, without the part of it that they have; and the prefix.

    Raises:
      InputError: there is no such table, there are several, or two weights
        would get one name.
    """
    prefixes = sorted(
        {
            name.removesuffix(table)
            for name in names.values()
            if name == table or name.endswith(separator + table)
        }
    )
    if not prefixes:
        raise InputError(
            f"{origin} holds no BERT with known names: no weight's name is "
            f"{table!r} or ends with it. It holds {len(names)} tensors: "
            f"{shown(sorted(names)[:5])}. Rename them, or save the encoder "
            "alone."
        )
    if len(prefixes) > 1:
        raise InputError(
            f"{origin} holds {len(prefixes)} encoders, whose names begin with "
            f"{shown(prefixes)}. Save one of them alone."
        )
    parts = prefixes[0].split(separator)[:-1]
    around = [
        "".join(part + separator for part in parts[:count])
        for count in range(len(parts), 0, -1)
    ]
    found, stored = {}, {}
    for stored_name, name in names.items():
        outer = next((each for each in around if name.startswith(each)), "")
        own = name.removeprefix(outer)
        if own in stored:
            raise InputError(
                f"{origin} holds two tensors {shown(own)}: "
                f"{shown(stored[own])} and {shown(stored_name)}. Remove one."
            )
        stored[own], found[stored_name] = stored_name, own
    return found, prefixes[0]
