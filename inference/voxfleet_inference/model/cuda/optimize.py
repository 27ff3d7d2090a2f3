"""Optimize a loaded model for a GPU: fused transformers, the codec's precision, steps captured as CUDA graphs.

Knows: which parts of a network are transformers. Does not know: how any of the three is implemented.
"""

from __future__ import annotations

from voxfleet_inference.model.cuda.codec import CodecDtype, with_precision
from voxfleet_inference.model.cuda.graphs import Progress, StepGraphs
from voxfleet_inference.model.cuda.stack import FUSED_MAX_ROWS, FusedTransformer
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.runner.model_runner import ModelRunner
from voxfleet_inference.model.voxcpm import VoxCPM


def fuse_transformers(network: Network, fused_max_rows: int = FUSED_MAX_ROWS) -> None:
    """Replace all four transformers by fused ones, and free the plain ones."""
    network.base_lm = FusedTransformer(network.base_lm, fused_max_rows)
    network.residual_lm = FusedTransformer(network.residual_lm, fused_max_rows)
    encoder, estimator = network.feat_encoder, network.feat_decoder.estimator
    encoder.encoder = FusedTransformer(encoder.encoder, fused_max_rows)
    estimator.decoder = FusedTransformer(estimator.decoder, fused_max_rows)


def optimize_model(model: VoxCPM, codec_dtype: CodecDtype) -> VoxCPM:
    """Fuse the model's transformers and set its codec's precision, in place; returns the model."""
    fuse_transformers(model.network)
    model.vae = with_precision(model.vae, codec_dtype)
    return model


def capture_steps(runner: ModelRunner, progress: Progress = lambda *_: None) -> None:
    """Capture the usual batch sizes, and let the runner replay them; `progress` is called after each capture."""
    graphs = StepGraphs(runner)
    graphs.warm_up(progress)
    runner.step_fn = graphs
