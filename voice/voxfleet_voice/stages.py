"""The stages of a run, in order. Each goes on where it was, and is over at once when it has been done.

Knows: what each stage reads and writes.
Does not know: how any of it works.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch

from voxfleet_voice.codec.audio_vae import AudioVae
from voxfleet_voice.codec.latent_basis import fit_basis, load_basis
from voxfleet_voice.codec.spectral_loss import SpectralLoss
from voxfleet_voice.codec.tasks import DecoderTask, EncoderTask
from voxfleet_voice.corpus.latents import read_latents, write_latents
from voxfleet_voice.corpus.recordings import read_recordings, write_recordings
from voxfleet_voice.corpus.segments import Segments
from voxfleet_voice.corpus.shards import ShardSet, make_shards
from voxfleet_voice.export.checkpoint import read_checkpoint, write_checkpoint
from voxfleet_voice.export.tokenizer import token_ids, vocabulary
from voxfleet_voice.language.examples import Example, example_of
from voxfleet_voice.language.losses import TrainedNetwork
from voxfleet_voice.language.network import NetworkSizes
from voxfleet_voice.language.pools import Pools
from voxfleet_voice.language.task import GuidanceRamp, LanguageTask
from voxfleet_voice.teacher.phones import PHONE_CLASSES, PHONES
from voxfleet_voice.training.learning_rate import CosineRate, PlateauRate
from voxfleet_voice.training.loop import Loop, run, save_start
from voxfleet_voice.training.progress import Write
from voxfleet_voice.training.seeds import seed_of
from voxfleet_voice.workspace import Workspace

Stage = Callable[[Workspace, int, Write], None]  # workspace, processes, progress lines
_CODEC_RATE: Final = 3e-3


def make_recordings(workspace: Workspace, workers: int, write: Write) -> None:
    """Let the teacher speak for the codec, and fit the latents to that."""
    for shards in (workspace.recordings, workspace.held_out_recordings):
        make_shards(shards, write_recordings, workspace.teacher, workers, write)
    if not workspace.basis.exists():
        recordings = read_recordings(workspace.recordings.paths())
        fit_basis(np.concatenate([each.features for each in recordings])).save(workspace.basis)


def train_decoder(workspace: Workspace, _: int, write: Write) -> None:
    """Train the codec's decoder."""
    preset = workspace.preset
    task = DecoderTask(
        _initial_codec(workspace),
        _segments(workspace, workspace.recordings),
        _segments(workspace, workspace.held_out_recordings),
        SpectralLoss(),
    )
    rate = CosineRate(_CODEC_RATE, preset.decoder_steps)
    run(task, Loop(rate, (0.8, 0.99), seed=preset.seed, held_out_steps=200), workspace.decoder, write)


def train_encoder(workspace: Workspace, _: int, write: Write) -> None:
    """Train the codec's encoder; the decoder stays as it is."""
    preset = workspace.preset
    codec = _initial_codec(workspace)
    codec.load_state_dict(torch.load(workspace.decoder, weights_only=True)["network"])
    task = EncoderTask(
        codec, _segments(workspace, workspace.recordings), _segments(workspace, workspace.held_out_recordings)
    )
    rate = CosineRate(_CODEC_RATE, preset.encoder_steps, final_share=0.03)
    run(task, Loop(rate, (0.9, 0.98), seed=preset.seed, held_out_steps=200), workspace.encoder, write)


def _initial_codec(workspace: Workspace) -> AudioVae:
    torch.manual_seed(seed_of("codec", workspace.preset.seed))
    return AudioVae(workspace.preset.vae)


def _segments(workspace: Workspace, shards: ShardSet) -> Segments:
    basis = load_basis(workspace.basis)
    return Segments(read_recordings(shards.paths()), basis, workspace.preset.codec_batch, workspace.preset.seed)


def make_latents(workspace: Workspace, workers: int, write: Write) -> None:
    """Let the teacher speak for the language models."""
    write_shard = functools.partial(write_latents, basis=load_basis(workspace.basis))
    for shards in (workspace.held_out_latents, workspace.latents):
        make_shards(shards, write_shard, workspace.teacher, workers, write)


def train_language(workspace: Workspace, _: int, write: Write) -> None:
    """Train the language models, LocEnc and LocDiT."""
    preset = workspace.preset
    steps = preset.language_steps
    guided_steps, decay_steps = round(preset.guided_share * steps), round(preset.decay_share * steps)
    task = LanguageTask(
        _initial_network(workspace),
        Pools(workspace.latents.paths(), _examples, preset.language_batch, preset.prompted_share, preset.seed),
        _examples(*workspace.held_out_latents.paths())[: preset.held_out_utterances],
        GuidanceRamp(preset.guidance, steps - guided_steps, max(1, guided_steps // 4)),
    )
    rate = PlateauRate(preset.language_rate, steps, steps - decay_steps)
    run(task, Loop(rate, (0.9, 0.98), seed=preset.seed), workspace.language, write)


def export(workspace: Workspace, _: int, write: Write) -> None:
    """Write the checkpoint that a server loads."""
    network, codec = _initial_network(workspace), _initial_codec(workspace)
    network.load_state_dict(torch.load(workspace.language, weights_only=True)["network"])
    codec.load_state_dict(torch.load(workspace.encoder, weights_only=True)["network"])
    write_checkpoint(workspace.checkpoint, network.voice, codec, load_basis(workspace.basis))
    write(f"export: {workspace.checkpoint}")


def begin_from(checkpoint: Path, workspace: Workspace) -> None:
    """Begin a run with the networks and the latents' basis of a checkpoint instead of random ones.

    Raises:
        FileExistsError: the folder has a run already.
        FileNotFoundError: the checkpoint lacks a file.
    """
    if workspace.basis.exists():
        raise FileExistsError(workspace.basis)
    network, codec = _initial_network(workspace), _initial_codec(workspace)
    basis = read_checkpoint(checkpoint, network.voice, codec)
    save_start(workspace.language, network)
    save_start(workspace.decoder, codec)
    basis.save(workspace.basis)  # last: a run that has it is complete


def _initial_network(workspace: Workspace) -> TrainedNetwork:
    torch.manual_seed(seed_of("language", workspace.preset.seed))
    return TrainedNetwork(NetworkSizes(len(vocabulary())), PHONES)


@functools.cache
def _examples(path: Path) -> list[Example]:
    ids = vocabulary()
    return [example_of(spoken, token_ids(spoken.written, ids), PHONE_CLASSES) for spoken in read_latents([path])]


STAGES: Final[Mapping[str, Stage]] = {
    "recordings": make_recordings,
    "decoder": train_decoder,
    "encoder": train_encoder,
    "latents": make_latents,
    "language": train_language,
    "export": export,
}
