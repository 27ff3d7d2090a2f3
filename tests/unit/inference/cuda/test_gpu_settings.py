"""What `--vae-dtype` means on each device, and that a CPU never loads Triton."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.worker.loading import codec_dtype

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
def test_the_codec_computes_as_asked_or_as_suits_the_device(settings: EngineSettings, expected: str) -> None:
    assert codec_dtype(settings) == expected


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (replace(CPU, vae_dtype="tf32"), "--vae-dtype tf32 does not go with --device cpu"),
        (replace(CUDA, vae_dtype="tf32", deterministic=True), "--vae-dtype tf32 does not go with --deterministic"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings: EngineSettings, why: str) -> None:
    with pytest.raises(WrongWeightsError, match=why):
        codec_dtype(settings)


def test_a_cpu_needs_nothing_of_cuda() -> None:
    subprocess.run([sys.executable, "-c", NO_TRITON], check=True)
