"""Selects which matrices of the network a CPU packs, and how.

Knows: the network's names, and which matrices may be quantized. Does not know: the layouts.
"""

import logging

import torch
from torch import nn

from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.cpu.codec import FusedDecoder, FusedEncoder
from voxfleet_inference.model.cpu.compile import NoKernelsError, kernels
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix
from voxfleet_inference.model.cpu.memory import return_freed_memory
from voxfleet_inference.model.cpu.stack import GROUPS, FusedTransformer, has_whole_panels, linears_of, weights_of
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import Transformer
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.weights import WeightFile, fill

MIN_PACKED_WEIGHTS = 65_536  # for smaller matrices the call of a packed product costs more than the product
TRIM_EVERY_WEIGHTS = 2**25  # freed between two calls of malloc_trim, which walks the whole heap
LAYER_INFIX = ".layers."  # in the names of the transformers' matrices

_logger = logging.getLogger(__name__)


def compute_dtype_of(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of everything but quantized matrices: float32 for int8."""
    return torch.float32 if dtype == torch.int8 else dtype


def fill_packed(network: Network, weights: WeightFile, dtype: torch.dtype) -> None:
    """Fill a network with weights from a file, packed for this CPU.

    Raises:
        UnsupportedFormatError: `dtype` is int8 and its kernels cannot be loaded or compiled.
    """
    kernels_error = _kernels_error()
    if dtype == torch.int8 and kernels_error:  # before the weights are read, which takes seconds
        raise UnsupportedFormatError(f"int8: {kernels_error}, or give --dtype bfloat16 or float32")
    is_fused = dtype in GROUPS and not kernels_error
    fill(network, weights, compute_dtype_of(dtype), Packer(dtype, fuses_layers=is_fused))
    if is_fused:
        fuse_transformers(network)


def fuse_codec(vae: AudioVae) -> None:
    """Replace encoder and decoder of a packed codec by the C kernels; without kernels, log a warning and keep them."""
    if error := _kernels_error():
        _logger.warning("%s; without them speech takes longer", error)
        return
    vae.encoder, vae.decoder = FusedEncoder(vae.encoder), FusedDecoder(vae.decoder)  # type: ignore[assignment]  # alike


def fuse_transformers(network: Network) -> None:
    """Replace all four transformers by the C kernels and free the plain ones."""
    encoder, estimator = network.feat_encoder, network.feat_decoder.estimator
    network.base_lm, network.residual_lm = _fused(network.base_lm), _fused(network.residual_lm)
    encoder.encoder, estimator.decoder = _fused(encoder.encoder), _fused(estimator.decoder)


class Packer:
    """A PartHook for `fill` that packs the parts of a network as they get their weights."""

    def __init__(self, dtype: torch.dtype, *, fuses_layers: bool = False) -> None:
        """`fuses_layers`: `fuse_transformers` will take the layers' matrices, so float ones are left unpacked here."""
        self._dtype, self._fuses_layers = dtype, fuses_layers
        self._freed = 0

    def __call__(self, name: str, part: nn.Module) -> None:
        """Pack a part if it is a matrix large enough.

        int8 applies to the matrices of the transformer layers. The quantizer (FSQ) and the stop head decide between
        discrete values and stay in float32, as do the few projections around them.
        """
        if not isinstance(part, Linear):
            return
        weights, is_in_layer = part.weight.numel(), LAYER_INFIX in name
        if self._dtype == torch.int8 and is_in_layer:
            part.pack(Int8Matrix.quantize)
        elif weights >= MIN_PACKED_WEIGHTS and not (self._fuses_layers and is_in_layer):
            part.pack(FloatMatrix)
        else:
            return
        self._free(weights)

    def _free(self, weights: int) -> None:
        """Count freed weights, and return their memory to the system every TRIM_EVERY_WEIGHTS."""
        self._freed += weights
        if self._freed >= TRIM_EVERY_WEIGHTS:
            return_freed_memory()
            self._freed = 0


def _fused(plain: Transformer) -> Transformer:
    """Return the fused transformer; in bfloat16, if the kernels do not take its sizes, the plain one, packed."""
    matrices = linears_of(plain)
    # int8 has no other way to run: then the constructor raises the error that names the matrix.
    if has_whole_panels(plain) or weights_of(matrices[0]).dtype == torch.int8:
        return FusedTransformer(plain)
    for matrix in matrices:
        if matrix.weight.numel() >= MIN_PACKED_WEIGHTS:
            matrix.pack(FloatMatrix)
    return plain


def _kernels_error() -> str | None:
    try:
        kernels()
    except NoKernelsError as error:
        return str(error)
    return None
