"""From settings to a backend: codec precision, capacity, threads, and devices that cannot do what is asked."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker import loading
from voxfleet_inference.worker.loading import codec_dtype, load_backend

Model = Callable[[str, bool], VoxCPM]

CUDA = EngineSettings(model_path=Path("/nowhere"), device="cuda", limits=Limits(max_rows=2, max_waiting=8))
CPU = replace(CUDA, device="cpu")
NO_TRITON = """
import sys
sys.modules["triton"] = None  # an import of it fails
import voxfleet_inference.worker.loading, voxfleet_inference.model.runner.model_runner
assert not [name for name in sys.modules if name.startswith("voxfleet_inference.model.cuda")]
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (CUDA, "tf32"),
        (CPU, "fp32"),
        (replace(CUDA, deterministic=True), "fp32"),
        (replace(CUDA, vae_dtype="bf16"), "bf16"),
        (replace(CUDA, vae_dtype="fp32"), "fp32"),
        (replace(CPU, vae_dtype="fp32"), "fp32"),
    ],
)
def test_the_codec_precision_follows_the_setting_or_the_device(settings: EngineSettings, expected: str) -> None:
    assert codec_dtype(settings) == expected


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (replace(CPU, vae_dtype="tf32"), "--vae-dtype tf32 does not go with --device cpu"),
        (replace(CUDA, vae_dtype="tf32", deterministic=True), "--vae-dtype tf32 does not go with --deterministic"),
    ],
)
def test_contradictory_settings_are_rejected_by_name(settings: EngineSettings, why: str) -> None:
    with pytest.raises(WrongWeightsError, match=why):
        codec_dtype(settings)


def test_a_cpu_imports_nothing_of_cuda() -> None:
    """The program fails by itself if Triton is imported or a module of `model.cuda` is loaded."""
    subprocess.run([sys.executable, "-c", NO_TRITON], check=True)


def settings_of(folder: Path, **given: object) -> EngineSettings:
    settings = EngineSettings(model_path=folder, limits=Limits(max_rows=2, max_waiting=8))
    return replace(settings, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "positions"), [(0, 4096), (777, 777)])
def test_capacity_follows_the_settings(
    asked: int,
    positions: int,
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    backend, model_info = load_backend(settings_of(checkpoint_folder("tiny", False), kv_cache_positions=asked))
    assert (backend.kv_positions, backend.slots) == (positions, 8)
    assert (model_info.sample_rate, model_info.patch_samples, model_info.patch_size, model_info.feat_dim) == (
        44_100,
        7056,
        4,
        64,
    )


@pytest.mark.parametrize(("free_mib", "positions"), [(10, 9557), (10_000, 8 * 4096)])
def test_kv_positions_on_a_gpu_follow_free_memory_up_to_what_slots_can_fill(
    free_mib: int, positions: int, ours: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A position of the tiny model takes 2 x 3 layers x 2 heads x 16 numbers of 4 bytes."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_mib * 2**20, 0))
    assert loading._kv_positions(settings_of(Path(), device="cuda"), ours("tiny", False)) == positions


def test_a_gpu_without_memory_for_a_sentence_is_rejected(ours: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**18, 0))
    with pytest.raises(WrongWeightsError, match="room for 238 KV positions"):
        loading._kv_positions(settings_of(Path(), device="cuda"), ours("tiny", False))


def test_deterministic_loading_fixes_shapes_and_addresses(
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    backend, _ = load_backend(settings_of(checkpoint_folder("tiny", False), deterministic=True))
    model = backend._model
    assert {each.data_ptr() % 64 for part in (model.network, model.vae) for each in part.parameters()} == {0}
    assert backend._runner.config.is_deterministic


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_machine_without_a_gpu_is_rejected(
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    with pytest.raises(WrongWeightsError, match="no usable CUDA device or driver here"):
        load_backend(settings_of(checkpoint_folder("tiny", False), device="cuda"))


@pytest.mark.parametrize(("granted", "threads"), [(None, 8), (3.7, 3), (0.5, 1), (64.0, 8)])
def test_the_number_of_threads_follows_the_cpu_quota(
    granted: float | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(max_rows=1, max_waiting=1)
    monkeypatch.setattr(loading, "granted_processors", lambda: granted)
    monkeypatch.setattr(loading.torch, "get_num_threads", lambda: 8)
    settings = EngineSettings(model_path=tmp_path, limits=limits)
    assert loading._cpu_threads(settings) == 1  # a small model
    monkeypatch.setattr(loading, "_WORTH_DIVIDING_BYTES", 0)
    assert loading._cpu_threads(settings) == threads
    assert loading._cpu_threads(EngineSettings(model_path=tmp_path, limits=limits, cpu_threads=5)) == 5


def test_int8_on_a_gpu_is_rejected_by_name(tmp_path: Path) -> None:
    settings = EngineSettings(
        model_path=tmp_path, device="cuda", dtype="int8", limits=Limits(max_rows=1, max_waiting=1)
    )
    with patch.object(torch.cuda, "is_available", lambda: True), pytest.raises(WrongWeightsError, match="--dtype int8"):
        load_backend(settings)
