"""The sizes from which a network is built, as plain values.

Does not know: files or pydantic, so that a network can be built where only PyTorch is installed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotaryShape:
    """Rotary position embedding with LongRoPE's factors already selected and its amplitude computed."""

    head_dim: int
    theta: float  # base of the frequencies
    factors: tuple[float, ...]  # [head_dim / 2], each divides the angles of one frequency
    amplitude: float  # of cosines and sines


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
    residual_scale: float  # of what a layer adds; 1 without muP
    vocabulary: int  # 0: no embedding table
    rotary: RotaryShape
