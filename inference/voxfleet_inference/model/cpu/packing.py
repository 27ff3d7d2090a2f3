"""Which matrices of the network a CPU packs, and how.

Knows the network's names and what quantization may touch. Does not know the layouts. Small matrices stay as they are:
for them a call costs more than the product.
"""

import logging
from collections.abc import Callable

import torch
from torch import nn

from voxfleet_inference.audio.vae import Decoder
from voxfleet_inference.model.cpu.codec import FusedDecoder
from voxfleet_inference.model.cpu.compile import NoKernelsError, kernels
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix
from voxfleet_inference.model.cpu.memory import return_freed_memory
from voxfleet_inference.model.cpu.stack import Int8Transformer
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.weights import WeightFile, fill

WORTH_PACKING = 65_536  # weights
GIVEN_BACK_AT_ONCE = 2**25  # weights
IN_A_LAYER = ".layers."

_logger = logging.getLogger(__name__)


def arithmetic_of(dtype: torch.dtype) -> torch.dtype:
    """What everything but packed matrices is computed in: int8 is no type to compute in."""
    return torch.float32 if dtype == torch.int8 else dtype


def fill_packed(network: Network, weights: WeightFile, dtype: torch.dtype) -> None:
    """Give a network its weights from a file, packed.

    Raises:
        UnsupportedFormatError: it is to be int8, and there are no kernels for that.
    """
    if dtype == torch.int8:
        _require_kernels()  # now, and not after all weights were read
    fill(network, weights, arithmetic_of(dtype), Packer(dtype))
    if dtype == torch.int8:
        join_stacks(network)


def decoder_layout() -> Callable[[Decoder], nn.Module] | None:
    """How the codec's decoder is to be laid out; as it is published where there are no kernels, which is said once."""
    try:
        kernels()
    except NoKernelsError as error:
        _logger.warning("%s; without them the codec takes three times as long", error)
        return None
    return FusedDecoder


def join_stacks(network: Network) -> None:
    """Let all four transformers, whose matrices are bytes, be run by kernels; the plain ones are gone."""
    network.base_lm = Int8Transformer(network.base_lm)
    network.residual_lm = Int8Transformer(network.residual_lm)
    encoder, estimator = network.feat_encoder, network.feat_decoder.estimator
    encoder.encoder = Int8Transformer(encoder.encoder)
    estimator.decoder = Int8Transformer(estimator.decoder)


class Packer:
    """Packs the parts of a network as they get their weights."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._freed = 0

    def __call__(self, name: str, part: nn.Module) -> None:
        """Pack a part if it is a matrix worth it.

        In int8 these are the matrices of the transformer layers. The quantizer (FSQ) and the stop head decide between
        discrete values and stay exact, with the few projections around them.
        """
        if not isinstance(part, Linear):
            return
        weights = part.weight.numel()
        if self._dtype == torch.int8 and IN_A_LAYER in name:
            part.pack(Int8Matrix.of)
        elif weights >= WORTH_PACKING:
            part.pack(FloatMatrix)
        else:
            return
        self._free(weights)

    def _free(self, weights: int) -> None:
        """Give back what packing freed, now and then: each time would cost more than it brings."""
        self._freed += weights
        if self._freed >= GIVEN_BACK_AT_ONCE:
            return_freed_memory()
            self._freed = 0


def _require_kernels() -> None:
    try:
        kernels()
    except NoKernelsError as error:
        raise UnsupportedFormatError(f"int8: {error}, or give --dtype bfloat16 or float32") from error
