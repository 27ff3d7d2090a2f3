"""Every Triton kernel against its twin in plain PyTorch, in Triton's interpreter: no GPU takes part."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("interpreted_kernels.py")
KINDS = ("norm", "add", "SwiGLU", "linear", "more after", "on their own", "in parts", "in five", "in eight")


@pytest.fixture(scope="module")
def distances() -> dict[str, list[float]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, env=environment)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1.6e-2)])
def test_each_kernel_has_its_twins_numbers(distances: dict[str, list[float]], dtype: str, tolerance: float) -> None:
    mine = {name: far for name, (far, _) in distances.items() if name.endswith(dtype)}
    assert len(mine) == 41
    assert all(any(kind in name for name in mine) for kind in KINDS)
    assert not {name: far for name, far in mine.items() if not far <= tolerance}


def test_roundings_of_whole_rows_are_the_models_own(distances: dict[str, list[float]]) -> None:
    row_kernels = ("norm", "add", "SwiGLU", "linear")
    shares = {name: share for name, (_, share) in distances.items() if name.startswith(row_kernels)}
    mine = {name: share for name, share in shares.items() if name.endswith("bfloat16")}
    assert len(mine) == 18
    assert max(mine.values()) < 0.05, mine  # a sum in another order may now and then round the other way
