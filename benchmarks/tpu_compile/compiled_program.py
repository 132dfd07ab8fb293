"""What a compiled program does, read from its text (optimised HLO)."""

import collections
import math
import re

_BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "pred": 1, "s8": 1, "u8": 1}
_INSTRUCTION = re.compile(r"%([\w.\-]+) = (.*?) ([a-z][a-z\-]*)\(([^)]*)")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


def describe(text: str) -> dict:
    """Figures of the program.

    Returns:
      `all_reduced_mib`: what all-reduces give, by type;
      `low_precision_products`: products that are float32 in the model but are
      computed from operands rounded to bfloat16;
      `estimated_cycles`: the compiler's own estimate, without all-reduces.
    """
    reduced = collections.Counter()
    low = []
    types = {}
    for line in text.splitlines():
        match = _INSTRUCTION.search(line)
        if not match:
            continue
        name, shape, kind, operands = match.groups()
        types[name] = shape
        if kind in ("all-reduce", "all-reduce-start"):
            for dtype, dimensions in _ARRAY.findall(shape):
                count = math.prod(int(d) for d in dimensions.split(",") if d)
                reduced[dtype] += count * _BYTES[dtype]
        elif kind in ("convolution", "dot") and "highest" not in line:
            inputs = re.findall(r"%([\w.\-]+)", operands)
            if all(types.get(x, "").startswith("f32") for x in inputs):
                low.append(f"{shape} = {', '.join(types[x] for x in inputs)}")
    cycles = re.findall(r'"estimated_cycles":"(-?\d+)"', text)
    return {
        "all_reduced_mib": {
            dtype: round(size / 2**20, 3) for dtype, size in reduced.items()
        },
        "low_precision_products": low,
        "estimated_cycles": sum(int(c) for c in cycles if int(c) > 0),
    }
