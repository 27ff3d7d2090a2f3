"""A loaded model made fast on a GPU: fused transformers, the codec's precision, recorded steps.

Knows where in a network the transformers stand. Does not know how any of the three is done.
"""

from __future__ import annotations

from voxfleet_inference.model.cuda.codec import CodecDtype, with_precision
from voxfleet_inference.model.cuda.graphs import Progress, StepGraphs
from voxfleet_inference.model.cuda.stack import FIVE_KERNELS_UP_TO_ROWS, FusedTransformer
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.runner.model_runner import ModelRunner
from voxfleet_inference.model.voxcpm import VoxCPM


def fuse(network: Network, five_kernels_up_to: int = FIVE_KERNELS_UP_TO_ROWS) -> None:
    """Join the weights of all four transformers; the plain ones are gone."""
    network.base_lm = FusedTransformer(network.base_lm, five_kernels_up_to)
    network.residual_lm = FusedTransformer(network.residual_lm, five_kernels_up_to)
    encoder, estimator = network.feat_encoder, network.feat_decoder.estimator
    encoder.encoder = FusedTransformer(encoder.encoder, five_kernels_up_to)
    estimator.decoder = FusedTransformer(estimator.decoder, five_kernels_up_to)


def prepare(model: VoxCPM, codec_dtype: CodecDtype) -> VoxCPM:
    """The model as a GPU should have it."""
    fuse(model.network)
    model.vae = with_precision(model.vae, codec_dtype)
    return model


def record(runner: ModelRunner, progress: Progress = lambda *_: None) -> None:
    """Let a speaker take its steps by graphs."""
    graphs = StepGraphs(runner)
    graphs.warm_up(progress)
    runner.step_fn = graphs
