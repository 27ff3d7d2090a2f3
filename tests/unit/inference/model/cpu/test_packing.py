"""Which matrices of a checkpoint a CPU packs, and how close the results stay to the plain model's."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.cpu import packing
from voxfleet_inference.model.cpu.compile import NoKernelsError
from voxfleet_inference.model.cpu.matrices import FloatMatrix, Int8Matrix
from voxfleet_inference.model.cpu.stack import FusedTransformer
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.runner.slot_states import StepBatch
from voxfleet_inference.model.voxcpm import VoxCPM

STEPS = 6
GATE = 0.08  # of teacher-forced latents, relative to float32's
HEAVY = {"transformers", "torchaudio", "wetext", "torch._dynamo", "torch._inductor", "triton", "librosa", "av"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def exact(folder: Path) -> VoxCPM:
    return load_checkpoint(folder)


def forced_latents(model: VoxCPM, forced: list[Tensor] | None = None) -> list[Tensor]:
    """Each step's latents, teacher-forced: the LMs get the given latents, or the model's own without any."""
    prompt = Prompt(model.tokenizer.encode("今天天气很好。"))
    runner = ModelRunner(model, RunnerConfig(slots=1, positions=prompt.positions + STEPS))
    runner.admit(0, 0, runner.config.positions, prompt, DecodingSettings(10, 2.0))
    runner.prefill(0, prompt.positions)
    made: list[Tensor] = []

    def sample_and_lm_step(rows: StepBatch, noise: Tensor) -> PatchResult:
        states = runner.slot_states.gather(rows)
        latents = model.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        given = latents if forced is None else forced[len(made)].to(latents.dtype)
        made.append(latents.float())
        is_last = runner.lm_step(rows, states, given)
        return PatchResult(latents, latents, is_last, is_last)

    runner.step_fn = sample_and_lm_step
    noise = torch.randn(STEPS, 1, 4, 64, generator=torch.Generator().manual_seed(5))
    for each in noise:
        runner.step([0], each)
    return made


def no_kernels() -> None:
    raise NoKernelsError("install gcc")


def test_int8_touches_the_layers_and_nothing_else(folder: Path) -> None:
    model = load_checkpoint(folder, "cpu", torch.int8)
    network = model.network
    stacks = (
        network.base_lm,
        network.residual_lm,
        network.feat_encoder.encoder,
        network.feat_decoder.estimator.decoder,
    )
    assert all(isinstance(stack, FusedTransformer) for stack in stacks)
    others = {name: part for name, part in network.named_modules() if isinstance(part, Linear)}
    assert {"fsq_layer.in_proj", "fsq_layer.out_proj", "stop_proj", "stop_head"} <= set(others)
    assert not any(".layers." in name or isinstance(part.packed, Int8Matrix) for name, part in others.items())
    assert {weight.dtype for weight in (*network.parameters(), *model.vae.parameters())} == {torch.float32}
    assert model.dtype == torch.float32


def test_int8_latents_stay_close_to_float32(folder: Path, exact: VoxCPM) -> None:
    truth = forced_latents(exact)
    made = forced_latents(load_checkpoint(folder, "cpu", torch.int8), truth)
    error = (torch.stack(made) - torch.stack(truth)).norm() / torch.stack(truth).norm()
    assert 0 < error < GATE


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, GATE)])
def test_packed_floats_give_the_latents_of_unpacked_ones(
    dtype: torch.dtype, tolerance: float, folder: Path, exact: VoxCPM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny checkpoint's matrices are below the limit, so the limit is lowered here."""
    monkeypatch.setattr(packing, "MIN_PACKED_WEIGHTS", 1000)
    monkeypatch.setattr(packing, "kernels", no_kernels)
    model = load_checkpoint(folder, "cpu", dtype)
    assert isinstance(model.network.base_lm.layers[0].self_attn.q_proj.packed, FloatMatrix)
    truth = forced_latents(exact)
    made = forced_latents(model, truth)
    assert (torch.stack(made) - torch.stack(truth)).norm() < tolerance * torch.stack(truth).norm()


def test_bfloat16_uses_the_kernels(folder: Path, exact: VoxCPM) -> None:
    model = load_checkpoint(folder, "cpu", torch.bfloat16)
    assert isinstance(model.network.base_lm, FusedTransformer)
    truth = forced_latents(exact)
    made = forced_latents(model, truth)
    assert 0 < (torch.stack(made) - torch.stack(truth)).norm() < GATE * torch.stack(truth).norm()


def test_bfloat16_of_sizes_that_kernels_do_not_take_stays_plain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "has_whole_panels", lambda _: False)
    monkeypatch.setattr(packing, "MIN_PACKED_WEIGHTS", 8000)
    first = load_checkpoint(folder, "cpu", torch.bfloat16).network.base_lm.layers[0]
    assert isinstance(first.mlp.gate_proj.packed, FloatMatrix)
    assert first.self_attn.k_proj.packed is None


def test_small_matrices_are_not_packed(exact: VoxCPM) -> None:
    matrices = [part for part in exact.network.modules() if isinstance(part, Linear)]
    assert matrices
    assert all((part.packed is None) == (_size(part) < packing.MIN_PACKED_WEIGHTS) for part in matrices)


def test_decoding_on_a_cpu_imports_nothing_that_it_does_not_need(folder: Path) -> None:
    """Neither compilers nor the dependencies of recordings, text normalization and the reference."""
    code = f"""
import sys, torch
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.engine.messages import Sentence
from voxfleet_inference.engine.process import EngineSettings
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
model = load_checkpoint({str(folder)!r}, "cpu", torch.int8)
prompt = Prompt(model.tokenizer.encode("Hello."))
runner = ModelRunner(model, RunnerConfig(slots=1, positions=prompt.positions + 1))
runner.admit(0, 0, runner.config.positions, prompt, DecodingSettings(10, 2.0))
runner.prefill(0, prompt.positions)
assert runner.step([0], torch.zeros(1, 4, 64)).samples.shape[0] == 1
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert "torch" in loaded
    assert not HEAVY & loaded


def test_int8_without_kernels_is_rejected_before_any_weight_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "kernels", no_kernels)
    monkeypatch.setattr(packing, "fill", None)
    with pytest.raises(UnsupportedFormatError, match="int8: install gcc, or give --dtype bfloat16 or float32"):
        load_checkpoint(folder, "cpu", torch.int8)


def test_other_formats_without_kernels_log_a_warning(
    folder: Path, exact: VoxCPM, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packing, "kernels", no_kernels)
    model = load_checkpoint(folder)
    assert "install gcc; without them speech takes longer" in caplog.text
    frames = torch.randn(1, 64, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        sounds = [each.vae.decode(frames, each.vae.decoder.initial_state(1)) for each in (model, exact)]
    torch.testing.assert_close(*sounds, atol=1e-5, rtol=0)


def test_the_log_shows_the_progress_of_loading(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "voxfleet_inference.model.weights"):
        load_checkpoint(folder)
    for file in ("model.safetensors", "audiovae.pth"):
        logged = [line for line in caplog.messages if file in line]
        assert 1 < len(logged) <= 4
        assert "100 %" in logged[-1]


def _size(part: Linear) -> int:
    return 0 if part.packed is not None else part.weight.numel()
