"""bfloat16 with the reference's rounding points.

Two bfloat16 programs never agree bit for bit, so the gate is their distance from float32: ours may be at most 1.2
times as far away as the reference's own, part by part, each part fed the same inputs.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.cpu import packing
from voxfleet_inference.model.layers.flow_matching import Guidance, Schedule, sinusoids
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.network import Hidden
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM

from .conftest import Reference, decode

GATE = 1.2
PATCHES = 32  # enough that the ratio of two errors is no accident


@pytest.fixture(scope="module")
def folder(checkpoint_folder: Callable[[str, bool], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = Path(shutil.copytree(checkpoint_folder("1.5", True), tmp_path_factory.mktemp("bf16") / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    return copy


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Reference:
    return Reference(folder)


@pytest.fixture(scope="module")
def rounded(folder: Path) -> VoxCPM:
    """Packed as full-size weights are on a CPU; by default these are too small to be packed."""
    with patch.object(packing, "MIN_PACKED_WEIGHTS", 1000):
        return load_checkpoint(folder, "cpu", torch.bfloat16)


@pytest.fixture(scope="module")
def exact(folder: Path) -> VoxCPM:
    """float32 arithmetic on the weights as bfloat16 holds them."""
    model = load_checkpoint(folder, "cpu", torch.float32)
    for weight in model.network.parameters():
        weight.data = weight.data.bfloat16().float()
    return model


def assert_within_gate(mine: Tensor, reference: Tensor, truth: Tensor) -> None:
    assert mine.dtype == reference.dtype == torch.bfloat16
    errors = [(rounded.float() - truth).square().mean().sqrt().item() for rounded in (mine, reference)]
    assert 0 < errors[0] <= GATE * errors[1], f"ours {errors[0]:.2e}, the reference {errors[1]:.2e}"


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(11)).bfloat16()


@pytest.mark.parametrize("timesteps", [2, 10, 40])
def test_times_and_their_sinusoids_are_the_references_to_the_bit(timesteps: int, theirs: Reference) -> None:
    seen: list[Tensor] = []
    estimator = theirs.model.feat_decoder.estimator
    hook = estimator.time_mlp.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0][0]))
    try:
        theirs.model.feat_decoder(drawn(1, 64), timesteps, 4, drawn(1, 64, 4), cfg_value=2.0)
    finally:
        hook.remove()
    schedule = Schedule.of(timesteps, torch.device("cpu"), torch.bfloat16)
    assert torch.equal(sinusoids(schedule.times, 64), torch.stack(seen))


def test_rotary_tables_are_the_references_to_the_bit(theirs: Reference, rounded: VoxCPM) -> None:
    positions = torch.arange(4096)[None]
    cosines, sines = rounded.network.base_lm.rotary.at(positions)
    public = theirs.model.base_lm.rope_emb
    assert torch.equal(cosines[0, :, 0], public.cos_cached[:4096])
    assert torch.equal(sines[0, :, 0].abs(), public.sin_cached[:4096].abs())


def guidance_of(model: VoxCPM, rows: int, timesteps: int) -> Guidance:
    """The same guidance for many rows."""
    one = model.network.feat_decoder.guidance(timesteps, 2.0)
    vectors, sizes = one.time_vectors.expand(rows, -1, -1), one.step_sizes.expand(rows, -1)
    return Guidance(vectors, sizes, one.cfg_values.expand(rows))


def widened(guidance: Guidance) -> Guidance:
    """The same times in float32: their rounding belongs to the model's input, not to its arithmetic."""
    return Guidance(guidance.time_vectors.float(), guidance.step_sizes.float(), guidance.cfg_values)


@torch.inference_mode()
def test_local_encoder(theirs: Reference, rounded: VoxCPM, exact: VoxCPM) -> None:
    patches = drawn(1, PATCHES, 4, 64)
    public = theirs.model.enc_to_lm_proj(theirs.model.feat_encoder(patches))
    assert_within_gate(rounded.network.embed_patches(patches), public, exact.network.embed_patches(patches.float()))


@torch.inference_mode()
@pytest.mark.parametrize("timesteps", [2, 10])
def test_flow_matching(
    timesteps: int, theirs: Reference, rounded: VoxCPM, exact: VoxCPM, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise, condition, previous = drawn(PATCHES, 4, 64), drawn(PATCHES, 64), drawn(PATCHES, 4, 64)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: noise.transpose(1, 2).contiguous())
    public = theirs.model.feat_decoder(condition, timesteps, 4, previous.transpose(1, 2).contiguous(), cfg_value=2.0)
    guidance = guidance_of(rounded, PATCHES, timesteps)
    mine = rounded.network.feat_decoder(noise, condition, previous, guidance)
    truth = exact.network.feat_decoder(noise.float(), condition.float(), previous.float(), widened(guidance))
    assert_within_gate(mine, public.transpose(1, 2), truth)


def cache(model: VoxCPM) -> KvCache:
    return KvCache(model.config.base_lm, 200, model.device, model.dtype)


def metadata(length: int, tokens: int) -> AttentionMetadata:
    """The next positions of a single sequence."""
    return AttentionMetadata.after(torch.zeros(1, dtype=torch.int64), torch.tensor([length]), tokens, ((0, length),))


@torch.inference_mode()
def test_language_model_prefill(theirs: Reference, rounded: VoxCPM, exact: VoxCPM) -> None:
    embedded = drawn(1, 60, 64)
    public, _ = theirs.model.base_lm(inputs_embeds=embedded, is_causal=True)
    results = [
        model.network.base_lm(embedded.to(model.dtype), cache(model), metadata(0, 60)) for model in (rounded, exact)
    ]
    assert_within_gate(results[0], public, results[1])


@torch.inference_mode()
def test_quantizer_codes(theirs: Reference, rounded: VoxCPM, exact: VoxCPM) -> None:
    """Codes that fall to another value than in float32: no more of ours than of the reference's, give or take."""
    embedded = drawn(1, 200, 64)
    public, _ = theirs.model.base_lm(inputs_embeds=embedded, is_causal=True)
    hidden = [
        model.network.base_lm(embedded.to(model.dtype), cache(model), metadata(0, 200)) for model in (rounded, exact)
    ]
    layers = (rounded.network.fsq_layer, exact.network.fsq_layer, theirs.model.fsq_layer)
    mine, truth, reference = (
        torch.round(torch.tanh(layer.in_proj(each)).float() * 9)
        for layer, each in zip(layers, (*hidden, public), strict=True)
    )
    flipped, flipped_there = ((codes != truth).sum().item() for codes in (mine, reference))
    assert 0 < flipped <= GATE * flipped_there + 10
    assert flipped < 0.1 * truth.numel()


@torch.inference_mode()
def test_language_model_steps(theirs: Reference, rounded: VoxCPM, exact: VoxCPM) -> None:
    embedded = drawn(1, 60, 64)
    public = theirs.model.base_lm
    _, past = public(inputs_embeds=embedded[:, :30], is_causal=True)
    public.kv_cache.fill_caches(past)
    steps = [public.forward_step(embedded[:, at], torch.tensor([public.kv_cache.step()])) for at in range(30, 60)]
    results = []
    for model in (rounded, exact):
        memory, inputs, lm = cache(model), embedded.to(model.dtype), model.network.base_lm
        lm(inputs[:, :30], memory, metadata(0, 30))
        results.append(torch.cat([lm(inputs[:, at : at + 1], memory, metadata(at, 1)) for at in range(30, 60)], 1))
    assert_within_gate(results[0], torch.stack(steps, dim=1), results[1])


@torch.inference_mode()
def test_a_patch_sampled_from_the_same_state(
    theirs: Reference, rounded: VoxCPM, exact: VoxCPM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Projections and solver together, as a step runs them."""
    base, residual, noise, previous = drawn(8, 64), drawn(8, 64), drawn(8, 4, 64), drawn(8, 4, 64)
    condition = theirs.model.lm_to_dit_proj(base) + theirs.model.res_to_dit_proj(residual)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: noise.transpose(1, 2).contiguous())
    public = theirs.model.feat_decoder(condition, 10, 4, previous.transpose(1, 2).contiguous(), cfg_value=2.0)
    guidance = guidance_of(rounded, len(noise), 10)
    mine = rounded.network.sample_patch(noise, previous, Hidden(base, residual), guidance)
    wide = Hidden(base.float(), residual.float())
    truth = exact.network.sample_patch(noise.float(), previous.float(), wide, widened(guidance))
    assert_within_gate(mine, public.transpose(1, 2), truth)


def test_a_sentence_in_bfloat16_has_audible_samples(rounded: VoxCPM, tape: Callable[[VoxCPM], Tensor]) -> None:
    decoded = decode(rounded, "Hello 今天天气很好", tape(rounded), 10, 2.0, limit=12)
    assert decoded.latents.dtype == decoded.samples.dtype == torch.float32
    assert decoded.samples.abs().max() <= 1
    assert decoded.samples.square().mean().sqrt() > 0.05


def test_state_is_kept_in_the_models_type(rounded: VoxCPM) -> None:
    runner = ModelRunner(rounded, RunnerConfig(slots=1, positions=7))
    assert runner.kv_caches.base.keys.dtype == runner.slot_states.previous.dtype == torch.bfloat16
    assert runner.codec_states.flat.dtype == torch.float32
