"""The GPU benchmark's every line, on a CPU with a small model, on a machine that has PyTorch and numpy alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "gpu_bench.py"
ABSENT = ("pydantic", "pydantic_core", "safetensors", "tokenizers", "av", "structlog", "torchaudio", "transformers")
BARE_MACHINE = f"""
import runpy, sys
sys.path = [each for each in sys.path if not each.endswith("/inference")]
for name in {(*ABSENT, "fastapi", "typer", "prometheus_client", "wetext", "httpx")}:
    sys.modules[name] = None  # an import of it fails
runpy.run_path({str(BENCHMARK)!r}, run_name="__main__")
"""


def benchmark(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE_MACHINE, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)


def test_every_part_is_measured_with_pytorch_and_numpy_alone(tmp_path: Path) -> None:
    small = ("--batches", "1,2", "--streams", "1,2", "--patches", "4", "--text-patches", "24")
    done = benchmark("--device", "cpu", "--size", "tiny", *small, "--results", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "cpu-tiny.json").read_text(encoding="utf-8"))
    assert "error" not in json.dumps(found), done.stdout
    assert [row["rows"] for row in found["steps"]["rows"]] == [1, 2]
    assert [row["streams"] for row in found["streams"]["rows"]] == [1, 2]
    assert {"solver", "codec", "encoder", "lms"} == set(found["steps"]["rows"][0]["part_ms"])
    assert (found["text"]["sentences"], found["text"]["patches"], found["text"]["characters"]) == (12, 24, 300)
    assert found["parity"]["latents"]["ratio"] < 1.2
    assert found["parity"]["graph_against_eager"] < 1e-4
    assert [row["rows"] for row in found["peers"]["plain_eager"]] == [1, 2]
    assert "streams  first audio" in done.stdout


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(BENCHMARK), "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "--device cpu --size tiny" in done.stdout
