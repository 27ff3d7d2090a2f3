"""The whole chain in small: teacher, codec, encoder, latents, language models, a checkpoint that the server loads."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from voxfleet_inference.model.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[3]
STAGES = ("recordings", "decoder", "encoder", "latents", "language", "export")


def train(work: Path, *arguments: str) -> str:
    command = [
        sys.executable,
        "-m",
        "voxfleet_voice",
        "train",
        "--work",
        str(work),
        "--preset",
        "smoke",
        "--threads",
        "1",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "voice"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *arguments], env=environment, check=False, capture_output=True, text=True, timeout=560
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_smoke_preset_ends_in_a_checkpoint_that_the_server_loads(tmp_path: Path) -> None:
    lines = train(tmp_path).splitlines()
    for task in ("decoder", "encoder", "language"):
        assert any(f"{task} 20 held-out" in line for line in lines)
    load_checkpoint(tmp_path / "checkpoint", dtype=torch.float32)
    weights = (tmp_path / "checkpoint/model.safetensors").read_bytes()

    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "latents").iterdir()}
    train(tmp_path)  # everything has been done: only the export is repeated
    assert shards == {path: path.stat().st_mtime_ns for path in (tmp_path / "latents").iterdir()}
    assert (tmp_path / "checkpoint/model.safetensors").read_bytes() == weights


def test_an_unknown_stage_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voxfleet_voice", "train", "--work", str(tmp_path), "--stages", "latent"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "voice")}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"unknown stages latent; there are {', '.join(STAGES)}" in done.stderr
