"""Names of weights as wrappers leave them: `module.`, `0.auto_model.`, ...

A model inside another is saved with the other's name before each of its own,
and wrappers for several devices or for compiling put theirs anywhere. One
table of word embeddings tells where the encoder is; what comes before its name
comes before all of the encoder's.
"""

import re
from collections.abc import Mapping

from labse.errors import InputError
from labse.formats.model_file import shown

# PyTorch's: DataParallel, torch.compile, FSDP, activation checkpoints. They
# may stand before any part of a name, and no part of BERT is called so.
_TORCH_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module"
    r"|_checkpoint_wrapped_module)\."
)


def without_torch_wrappers(name: str) -> str:
    """The name of a weight of PyTorch without its wrappers'."""
    return _TORCH_WRAPPERS.sub("", name)


def unwrap(
    names: Mapping[str, str], table: str, separator: str, origin: str
) -> tuple[dict[str, str], str]:
    """Finds the encoder among weights and takes off what stands before it.

    Args:
      names: the stored names, each with the name to start from.
      table: the encoder's own name of the table of word embeddings.
      separator: between the parts of a name.
      origin: the model, for messages.

    Returns:
      stored name -> the encoder's own name, or, of another weight, what the
      models around the encoder leave of it; and what stood before the names.

    Raises:
      InputError: there is no such table, or several, or two weights would get
        one name.
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
            f"{origin} holds no BERT by names that are known: no weight's name "
            f"is {table!r} or ends with it. It holds {len(names)} tensors: "
            f"{shown(sorted(names)[:5])}. Rename them, or save the encoder "
            "alone."
        )
    if len(prefixes) > 1:
        raise InputError(
            f"{origin} holds {len(prefixes)} encoders, whose names begin with "
            f"{shown(prefixes)}. One can be read: save it alone."
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
                f"{shown(stored[own])} and {shown(stored_name)}. Leave one."
            )
        stored[own], found[stored_name] = stored_name, own
    return found, prefixes[0]
