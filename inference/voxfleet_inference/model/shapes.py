"""The sizes from which a network is built, as plain values.

Knows nothing of files or pydantic, so that a network can be built where only PyTorch is installed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotaryShape:
    """How positions become angles: LongRoPE's factors are already chosen, its amplitude computed."""

    head_dim: int
    theta: float
    factors: tuple[float, ...]
    amplitude: float


@dataclass(frozen=True, slots=True)
class TransformerShape:
    """One of the four transformers: base LM, residual LM, local encoder, local diffusion transformer."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    norm_epsilon: float
    residual_scale: float
    vocabulary: int
    rotary: RotaryShape
