"""What the network is trained by: flow matching and stopping, and three helps that leave nothing in the checkpoint.

The helps: the first attention head of the upper layers is shown which characters the next patch speaks, and from what
enters LocDiT a linear layer names the phones and another regresses the patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_voice.language.examples import PATCH, Batch
from voxfleet_voice.language.network import LocDit, NetworkSizes, Predictions, Sequences, VoiceNetwork

_UNCONDITIONED: Final = 0.1  # share of patches that LocDiT learns without the language models, for guidance
_TIME_MEAN: Final = -0.4  # of the logit of the flow's time, published
_HISTORY_NOISE: Final = 0.35  # largest deviation; makes the models forgive their own errors
_FIRST_GUIDED_LAYER: Final = 1
_WEIGHTS: Final[Mapping[str, float]] = {"flow": 1.0, "stop": 0.1, "phone": 0.3, "attention": 0.3, "mean": 1.0}


class Helps(nn.Module):
    """Two linear layers on what enters LocDiT, for training only."""

    def __init__(self, sizes: NetworkSizes, phones: int) -> None:
        """Make both."""
        super().__init__()
        self.phone = nn.Linear(sizes.local_hidden, PATCH * phones)
        self.mean = nn.Linear(sizes.local_hidden, PATCH * sizes.latents)


class TrainedNetwork(nn.Module):
    """The network with its helps, as one checkpoint."""

    def __init__(self, sizes: NetworkSizes, phones: int) -> None:
        """Make both."""
        super().__init__()
        self.voice = VoiceNetwork(sizes)
        self.helps = Helps(sizes, phones)


def losses_of(network: TrainedNetwork, batch: Batch, guidance: float) -> dict[str, Tensor]:
    """Return all losses of a batch, `total`, and `accuracy`, the share of phones named rightly."""
    predictions = network.voice(_with_noisy_history(batch) if network.training else batch.sequences)
    batch, predictions = _without_prompts(batch, predictions)
    target = batch.sequences.patches
    phones = network.helps.phone(predictions.wanted).unflatten(-1, (PATCH, -1))  # [patches, 4, phones]
    mean = network.helps.mean(predictions.wanted).view_as(target)
    losses = {
        "flow": flow_loss(network.voice.feat_decoder.estimator, predictions, target, guidance),
        "stop": functional.cross_entropy(predictions.stop, batch.is_last),
        "phone": functional.cross_entropy(phones.flatten(0, 1), batch.phones.flatten()),
        "attention": attention_loss(predictions.text_scores[_FIRST_GUIDED_LAYER:], batch.attention),
        "mean": functional.mse_loss(mean, target),
    }
    total = torch.stack([weight * losses[name] for name, weight in _WEIGHTS.items()]).sum()
    accuracy = (phones.argmax(-1) == batch.phones).float().mean()
    return {"total": total, **losses, "accuracy": accuracy}


def _without_prompts(batch: Batch, predictions: Predictions) -> tuple[Batch, Predictions]:
    """Return the rows of what is trained on: an utterance behind a prompt, without the prompt's own patches."""
    rows = batch.is_target
    if rows.all():
        return batch, predictions
    kept = replace(
        batch,
        sequences=replace(batch.sequences, patches=batch.sequences.patches[rows]),
        phones=batch.phones[rows],
        is_last=batch.is_last[rows],
        attention=batch.attention[rows],
    )
    scores = [score[rows] for score in predictions.text_scores]
    return kept, Predictions(predictions.wanted[rows], predictions.stop[rows], predictions.before[rows], scores)


def _with_noisy_history(batch: Batch) -> Sequences:
    """Add noise to what the models see of the past, of one deviation per utterance."""
    given = batch.sequences
    deviations = _HISTORY_NOISE * torch.rand(len(given.tokens))[batch.utterances]
    noisy = given.patches + torch.randn_like(given.patches) * deviations[:, None, None]
    return Sequences(given.tokens, given.is_text, given.is_patch, noisy)


def flow_loss(dit: LocDit, predictions: Predictions, target: Tensor, guidance: float) -> Tensor:
    """Return the squared error of the velocity from the patch to noise.

    With `guidance` w the target is v + w (v_conditioned - v_unconditioned), so that the network itself learns to go
    further away from what it would say without the language models.
    """
    patches = len(target)
    is_conditioned = torch.rand(patches, 1) > _UNCONDITIONED
    wanted = predictions.wanted * is_conditioned
    time = torch.sigmoid(torch.randn(patches) + _TIME_MEAN)
    noise = torch.randn_like(target)
    noisy = torch.lerp(target, noise, time[:, None, None])
    velocity = dit(noisy, wanted, time, predictions.before)
    goal = noise - target
    if guidance:
        with torch.no_grad():
            unconditioned = dit(noisy, torch.zeros_like(wanted), time, predictions.before)
            goal = goal + guidance * (velocity - unconditioned) * is_conditioned[..., None]
    return functional.mse_loss(velocity, goal)


def attention_loss(scores: list[Tensor], targets: Tensor) -> Tensor:
    """Return the cross entropy of where heads look: each [patches, length] against [patches, tokens]."""
    tokens = targets.shape[1]
    each = [-(targets * score.log_softmax(-1)[:, :tokens]).sum(-1).mean() for score in scores]
    return torch.stack(each).mean()
