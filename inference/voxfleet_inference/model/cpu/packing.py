"""Which matrices of the network a CPU packs, and how.

Knows the network's names and what quantization may touch. Does not know the layouts. Small matrices stay as they are:
for them a call costs more than the product.
"""

import logging

import torch
from torch import nn

from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.cpu.codec import FusedDecoder, FusedEncoder
from voxfleet_inference.model.cpu.compile import NoKernelsError, kernels
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix
from voxfleet_inference.model.cpu.memory import return_freed_memory
from voxfleet_inference.model.cpu.stack import GROUPS, FusedTransformer, fits, matrices_of, weights_of
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.linear import Linear
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.transformer import Transformer
from voxfleet_inference.model.weights import WeightFile, fill

WORTH_PACKING = 65_536  # weights
GIVEN_BACK_AT_ONCE = 2**25  # weights
IN_A_LAYER = ".layers."

_logger = logging.getLogger(__name__)


def arithmetic_of(dtype: torch.dtype) -> torch.dtype:
    """What everything but packed matrices is computed in: int8 is no type to compute in."""
    return torch.float32 if dtype == torch.int8 else dtype


def fill_packed(network: Network, weights: WeightFile, dtype: torch.dtype) -> None:
    """Give a network its weights from a file, laid out for this CPU.

    Raises:
        UnsupportedFormatError: it is to be int8, and there are no kernels for that.
    """
    why_not = _why_no_kernels()
    if dtype == torch.int8 and why_not:  # now, and not after all weights were read
        raise UnsupportedFormatError(f"int8: {why_not}, or give --dtype bfloat16 or float32")
    is_joined = dtype in GROUPS and not why_not
    fill(network, weights, arithmetic_of(dtype), Packer(dtype, joins_layers=is_joined))
    if is_joined:
        join_stacks(network)


def fuse_codec(vae: AudioVae) -> None:
    """Let both halves of a packed codec be run by kernels; without any it stays as it is, and the log says so."""
    if why := _why_no_kernels():
        _logger.warning("%s; without them speech takes longer", why)
        return
    vae.encoder, vae.decoder = FusedEncoder(vae.encoder), FusedDecoder(vae.decoder)  # type: ignore[assignment]  # alike


def join_stacks(network: Network) -> None:
    """Let all four transformers be run by kernels; the plain ones are gone."""
    encoder, estimator = network.feat_encoder, network.feat_decoder.estimator
    network.base_lm, network.residual_lm = _joined(network.base_lm), _joined(network.residual_lm)
    encoder.encoder, estimator.decoder = _joined(encoder.encoder), _joined(estimator.decoder)


class Packer:
    """Packs the parts of a network as they get their weights."""

    def __init__(self, dtype: torch.dtype, *, joins_layers: bool = False) -> None:
        """`joins_layers`: those will be put together by `join_stacks`, and are only made ready for it here."""
        self._dtype, self._joins_layers = dtype, joins_layers
        self._freed = 0

    def __call__(self, name: str, part: nn.Module) -> None:
        """Pack a part if it is a matrix worth it.

        In int8 these are the matrices of the transformer layers. The quantizer (FSQ) and the stop head decide between
        discrete values and stay exact, with the few projections around them.
        """
        if not isinstance(part, Linear):
            return
        weights, is_in_layer = part.weight.numel(), IN_A_LAYER in name
        if self._dtype == torch.int8 and is_in_layer:
            part.pack(Int8Matrix.of)
        elif weights >= WORTH_PACKING and not (self._joins_layers and is_in_layer):
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


def _joined(plain: Transformer) -> Transformer:
    """By kernels; in bfloat16, where its sizes are not made for them, matrix by matrix."""
    matrices = matrices_of(plain)
    if fits(plain) or weights_of(matrices[0]).dtype == torch.int8:
        return FusedTransformer(plain)
    for matrix in matrices:
        if matrix.weight.numel() >= WORTH_PACKING:
            matrix.pack(FloatMatrix)
    return plain


def _why_no_kernels() -> str | None:
    try:
        kernels()
    except NoKernelsError as error:
        return str(error)
    return None
