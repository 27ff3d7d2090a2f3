from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from voxcpm.model.voxcpm import VoxCPMModel
from voxfleet_inference.model.checkpoint import read_config, read_tokenizer
from voxfleet_voice.codec.audio_vae import AudioVae, SnakeFunction, VaeSizes
from voxfleet_voice.codec.latent_basis import LATENTS, LatentBasis, fit_basis, load_basis
from voxfleet_voice.codec.spectral_loss import SpectralLoss
from voxfleet_voice.corpus.latents import SpokenText
from voxfleet_voice.export import checkpoint
from voxfleet_voice.export.checkpoint import read_checkpoint, write_checkpoint
from voxfleet_voice.export.tokenizer import ALIASES, token_ids, vocabulary
from voxfleet_voice.language.examples import Batch, attention_targets, collate, example_of, prompted
from voxfleet_voice.language.losses import TrainedNetwork, _without_prompts, flow_loss, losses_of
from voxfleet_voice.language.network import AUDIO_START, LocDit, NetworkSizes, Predictions, VoiceNetwork
from voxfleet_voice.language.task import GuidanceRamp
from voxfleet_voice.teacher.pitch import MAX_PERIODS, MIN_PERIODS

TEXT = 'don\'t stop, john: "yes?"'
PATCHES = 5


@pytest.fixture(scope="module", autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def network() -> VoiceNetwork:
    return VoiceNetwork(NetworkSizes(len(vocabulary()))).eval()


@pytest.fixture(scope="module")
def codec() -> AudioVae:
    return AudioVae(VaeSizes()).eval()


@pytest.fixture(scope="module")
def basis() -> LatentBasis:
    features = np.random.default_rng(1).normal(size=(400, 162)).astype(np.float32)
    gains = np.random.default_rng(2).uniform(0.5, 1.5, LATENTS).astype(np.float32)
    return replace(fit_basis(features), gains=gains)


@pytest.fixture(scope="module")
def gains(basis: LatentBasis) -> Tensor:
    return torch.from_numpy(basis.gains)


@pytest.fixture(scope="module")
def folder(
    network: VoiceNetwork, codec: AudioVae, basis: LatentBasis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("voice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "DTYPE", torch.float32)  # bf16 would hide what differs
        write_checkpoint(folder, network, codec, basis)
    return folder


@pytest.fixture(scope="module")
def reference(folder: Path) -> VoxCPMModel:
    return VoxCPMModel.from_local(str(folder), optimize=False, device="cpu").eval()


def spoken(written: str = TEXT, frames: int = 4 * PATCHES, seed: int = 0) -> SpokenText:
    random = np.random.default_rng(seed)
    return SpokenText(
        written,
        random.normal(size=(frames, LATENTS)).astype(np.float16),
        random.integers(0, 4, frames).astype(np.uint8),
        np.sort(random.integers(0, len(written), (frames, 3)), axis=0).astype(np.int16),
    )


def batch(*texts: SpokenText) -> Batch:
    ids = vocabulary()
    return collate([example_of(text, token_ids(text.written, ids), dict.fromkeys(range(4), 0)) for text in texts])


def reference_run(reference: VoxCPMModel, single: Batch, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Teacher-force the reference and catch what enters its LocDiT, and its stop logits."""
    caught: dict[str, Tensor] = {}
    given = single.sequences
    features = torch.zeros(1, given.tokens.shape[1], 4, LATENTS)
    features[given.is_patch] = given.patches

    def compute_loss(*_: Any, **named: Tensor) -> Tensor:
        caught["before"] = named["cond"].transpose(1, 2)
        return torch.zeros(())

    def compute_flow(target: Tensor, wanted: Tensor, **named: Any) -> Tensor:
        caught["wanted"] = wanted
        return compute_loss(target, **named)

    monkeypatch.setattr(reference.feat_decoder, "compute_loss", compute_flow)
    hook = reference.stop_head.register_forward_hook(lambda _, __, logits: caught.update(stop=logits[0]))
    patch_mask = given.is_patch.float()
    labels = torch.zeros_like(given.tokens)
    with torch.no_grad():
        text_mask = given.is_text.float()
        reference.forward(given.tokens, text_mask, features, patch_mask, patch_mask, torch.zeros(()), labels)
    hook.remove()
    first = int(given.is_text.sum())
    return {name: value[first:] for name, value in caught.items()}


def test_the_network_computes_what_the_reference_computes(
    network: VoiceNetwork, reference: VoxCPMModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [spoken(), spoken("no", 8, seed=1)]
    with torch.no_grad():
        together = network(batch(*texts).sequences)
    first = 0
    for text in texts:
        single = batch(text)
        rows = slice(first, first + len(single.phones))
        expected = reference_run(reference, single, monkeypatch)
        torch.testing.assert_close(together.wanted[rows], expected["wanted"], rtol=0, atol=1e-5)
        torch.testing.assert_close(together.stop[rows], expected["stop"], rtol=0, atol=1e-5)
        torch.testing.assert_close(together.before[rows], expected["before"])
        first = rows.stop


def test_velocities_are_the_references(network: VoiceNetwork, reference: VoxCPMModel) -> None:
    noisy, before = torch.randn(3, 4, LATENTS), torch.randn(3, 4, LATENTS)
    wanted, time = torch.randn(3, network.sizes.local_hidden), torch.rand(3)
    with torch.no_grad():
        ours = network.feat_decoder.estimator(noisy, wanted, time, before)
        theirs = reference.feat_decoder.estimator(
            noisy.transpose(1, 2), wanted, time, before.transpose(1, 2), torch.zeros(3)
        )
    torch.testing.assert_close(ours, theirs.transpose(1, 2), rtol=0, atol=1e-5)


def test_the_codec_is_the_references_with_gains_undone(codec: AudioVae, gains: Tensor, reference: VoxCPMModel) -> None:
    audio = torch.randn(1, 1, 5 * 1764)
    with torch.no_grad():
        latents = codec.encoder(audio)
        scaled = latents * gains[:, None]
        torch.testing.assert_close(reference.audio_vae.encode(audio, 44_100), scaled, rtol=0, atol=1e-4)
        torch.testing.assert_close(reference.audio_vae.decode(scaled), codec.decoder(latents), rtol=0, atol=1e-5)


def test_token_ids_are_the_references_and_the_servers(reference: VoxCPMModel, folder: Path) -> None:
    ids = token_ids(TEXT, vocabulary())
    assert reference.text_tokenizer(TEXT) == ids
    assert list(read_tokenizer(folder, read_config(folder)).encode(TEXT)) == ids
    assert vocabulary()["<|audio_start|>"] == AUDIO_START


def test_characters_share_rows_in_the_checkpoint_only(network: VoiceNetwork, reference: VoxCPMModel) -> None:
    rows, ids = reference.base_lm.embed_tokens.weight, vocabulary()
    for character, like in ALIASES.items():
        torch.testing.assert_close(rows[ids[character]], rows[ids[like]])
    assert not torch.equal(network.base_lm.embed_tokens.weight[ids["A"]], rows[ids["a"]])


def test_a_prompt_precedes_an_utterance_as_in_the_server(network: VoiceNetwork) -> None:
    ids, classes = vocabulary(), {phone: phone for phone in range(4)}
    first, second = spoken("one two.", seed=1), spoken("three", 4 * 3, seed=2)
    prompt, target = (example_of(each, token_ids(each.written, ids), classes) for each in (first, second))
    joined = prompted(prompt, target)
    assert [*joined.tokens] == [*token_ids("one two.three", ids), AUDIO_START]
    text = joined.tokens[joined.pointers[len(prompt.patches) :]]
    np.testing.assert_array_equal(text, target.tokens[target.pointers])
    assert (prompt.has_final_mark, target.has_final_mark) == (True, False)
    both, alone = collate([joined]), collate([target])
    assert both.is_target.tolist() == [False] * PATCHES + [True] * 3
    trained = TrainedNetwork(network.sizes, 4).eval()
    with torch.no_grad():
        assert losses_of(trained, both, 0.0)["mean"] != losses_of(trained, alone, 0.0)["mean"]
        given, _ = _without_prompts(both, trained.voice(both.sequences))
    torch.testing.assert_close(given.sequences.patches, alone.sequences.patches)
    assert torch.equal(given.phones, alone.phones)


def test_a_checkpoint_is_read_back_for_training(
    folder: Path, network: VoiceNetwork, codec: AudioVae, basis: LatentBasis
) -> None:
    other, other_codec = VoiceNetwork(NetworkSizes(len(vocabulary()))), AudioVae(VaeSizes())
    read = read_checkpoint(folder, other, other_codec)
    np.testing.assert_array_equal(read.components, basis.components)
    for name, tensor in codec.state_dict().items():
        torch.testing.assert_close(other_codec.state_dict()[name], tensor)
    embedding = "base_lm.embed_tokens.weight"
    for name, tensor in network.state_dict().items():
        if name != embedding:
            torch.testing.assert_close(other.state_dict()[name], tensor)
    trained = [index for token, index in vocabulary().items() if token not in ALIASES]
    torch.testing.assert_close(other.state_dict()[embedding][trained], network.state_dict()[embedding][trained])


def test_snake_has_the_right_gradients() -> None:
    x = torch.randn(2, 3, 5, dtype=torch.double, requires_grad=True)
    alpha = (torch.rand(1, 3, 1, dtype=torch.double) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(SnakeFunction.apply, (x, alpha))


def test_the_spectral_loss_is_least_for_the_target() -> None:
    target = torch.randn(2, 8 * 1764)
    loss = SpectralLoss()
    assert loss(target, target)["total"] < 0.01 < loss(target + 0.1 * torch.randn_like(target), target)["total"]


def test_latents_keep_features_and_neighbouring_pitch_steps_differ_in_one_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(500, 20)) @ random.normal(size=(20, 162))).astype(np.float32)
    basis = fit_basis(features)
    steps = np.arange(MIN_PERIODS, MAX_PERIODS + 1)
    encoded = basis.encode(features[: len(steps)], steps)
    rebuilt = (encoded[:, :29] / basis.scales) @ basis.components.T + basis.mean
    np.testing.assert_allclose(rebuilt, features[: len(steps)], atol=1e-2)
    assert ((np.diff(np.sign(encoded[:, 29:]), axis=0) != 0).sum(1) == 1).all()
    basis.save(tmp_path / "basis.npz")
    np.testing.assert_array_equal(load_basis(tmp_path / "basis.npz").gains, basis.gains)


def test_latents_are_nearly_white_for_the_language_models() -> None:
    random = np.random.default_rng(0)
    features = (random.normal(size=(2000, 162)) * np.geomspace(10, 0.1, 162)).astype(np.float32)
    basis = fit_basis(features)
    deviations = (basis.encode(features, np.full(2000, 8)) * basis.gains)[:, :29].std(0)
    assert deviations.max() / deviations.min() < features.std(0).max() / features.std(0)[:29].min()


def test_an_example_points_at_its_tokens() -> None:
    text = spoken(frames=6)
    example = example_of(text, token_ids(text.written, vocabulary()), dict.fromkeys(range(4), 0))
    assert example.patches.shape == (2, 4, LATENTS)
    assert example.tokens[-1] == AUDIO_START
    assert example.pointers[0, 0] == text.pointers[0, 0] + 1
    np.testing.assert_array_equal(example.patches[1, 2:], example.patches[1, [1, 1]])


def test_only_the_last_patch_of_an_utterance_stops() -> None:
    made = batch(spoken(), spoken("no", 8))
    assert made.is_last.nonzero().flatten().tolist() == [PATCHES - 1, PATCHES + 1]
    assert made.utterances.tolist() == [0] * PATCHES + [1, 1]


def test_attention_targets_are_shares_of_time() -> None:
    targets = attention_targets(torch.tensor([[0, 0, 1, 1], [3, 3, 3, 3]]), 4)
    torch.testing.assert_close(targets.sum(1), torch.ones(2))
    torch.testing.assert_close(targets[1], torch.tensor([0, 0, 1 / 3, 2 / 3]))


class _Constant(nn.Module):
    """Stands for LocDiT: 2 where it is conditioned, 1 where not."""

    def forward(self, noisy: Tensor, wanted: Tensor, _time: Tensor, _before: Tensor) -> Tensor:
        return torch.ones_like(noisy) * (1 + wanted.any(1)[:, None, None])


def test_guidance_moves_the_target_away_from_the_unconditioned(monkeypatch: pytest.MonkeyPatch) -> None:
    goals: list[Tensor] = []
    monkeypatch.setattr(
        nn.functional, "mse_loss", lambda made, goal: goals.append(goal) or (made - goal).square().mean()
    )
    predictions = Predictions(torch.ones(50, 8), torch.zeros(50, 2), torch.zeros(50, 4, LATENTS), [])
    dit: LocDit = _Constant()  # type: ignore[assignment]
    for guidance in (0.0, 0.5):
        torch.manual_seed(1)
        flow_loss(dit, predictions, torch.zeros(50, 4, LATENTS), guidance)
    moved = (goals[1] - goals[0]).flatten(1)
    is_conditioned = moved.any(1)
    assert 0 < (~is_conditioned).sum() < 20
    torch.testing.assert_close(moved[is_conditioned], torch.full_like(moved[is_conditioned], 0.5))


def test_guidance_rises_at_the_end() -> None:
    ramp = GuidanceRamp(0.5, from_step=80, rise_steps=5)
    assert [ramp.at(step) for step in (0, 80, 82, 85, 99)] == [0, 0, 0.2, 0.5, 0.5]


def test_a_few_steps_on_one_batch_lower_every_loss() -> None:
    torch.manual_seed(0)
    network = TrainedNetwork(NetworkSizes(len(vocabulary()), hidden=32, heads=2, local_hidden=32), phones=1)
    one = batch(spoken(), spoken("no", 8))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    seen = []
    for step in range(40):
        torch.manual_seed(step % 4)
        losses = losses_of(network, one, guidance=0.0)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        seen.append({name: value.item() for name, value in losses.items()})
    first, last = seen[0], seen[-4]
    assert all(last[name] < first[name] for name in ("total", "flow", "stop", "attention", "mean"))
