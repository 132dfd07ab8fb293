"""What is run."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A training step: a preset, its size, and what differs from it.

    Attributes:
      is_checked: results are compared with TensorFlow's on the CPU.
      has_peer: PyTorch's step is measured as well.
    """

    preset: str
    pairs: int
    vocab_size: int
    overrides: tuple[str, ...] = ()
    is_checked: bool = False
    has_peer: bool = False


# Without dropout: XLA draws other random numbers than TensorFlow's kernels.
_CHECKED = Configuration(
    "labse_tiny",
    16,
    2_000,
    (
        *("encoder.hidden_size=128", "data.length_buckets=[]"),
        *("encoder.dropout=0.0", "encoder.attention_dropout=0.0"),
    ),
    is_checked=True,
)
CONFIGURATIONS = {
    "checked": _CHECKED,
    "checked_cache": dataclasses.replace(
        _CHECKED,
        overrides=(*_CHECKED.overrides, "training.gradient_cache_chunk=4"),
    ),
    "base": Configuration("labse_base", 128, 119_547, has_peer=True),
    "base_512": Configuration("labse_base", 512, 119_547, has_peer=True),
    "base_512_rematerialized": Configuration(
        "labse_base", 512, 119_547, ("training.rematerialize=true",)
    ),
    "base_4096_cache": Configuration(
        "labse_base",
        4_096,
        119_547,
        ("training.gradient_cache_chunk=256",),
        has_peer=True,
    ),
    "base_501153": Configuration("labse_base", 128, 501_153, has_peer=True),
}
