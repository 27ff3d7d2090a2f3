"""Every Triton kernel against its reference in plain PyTorch, in Triton's interpreter, without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("interpreted_kernels.py")
KINDS = ("norm", "add", "SwiGLU", "linear", "more after", "on their own", "in splits", "in five", "in eight")


@pytest.fixture(scope="module")
def distances() -> dict[str, list[float]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, env=environment)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1.6e-2)])
def test_each_kernel_is_close_to_its_reference(distances: dict[str, list[float]], dtype: str, tolerance: float) -> None:
    mine = {name: far for name, (far, _) in distances.items() if name.endswith(dtype)}
    assert len(mine) == 41
    assert all(any(kind in name for name in mine) for kind in KINDS)
    assert not {name: far for name, far in mine.items() if not far <= tolerance}


def test_row_kernels_round_as_their_references(distances: dict[str, list[float]]) -> None:
    row_kernels = ("norm", "add", "SwiGLU", "linear")
    shares = {name: share for name, (_, share) in distances.items() if name.startswith(row_kernels)}
    mine = {name: share for name, share in shares.items() if name.endswith("bfloat16")}
    assert len(mine) == 18
    assert max(mine.values()) < 0.05, mine  # a sum in another order may now and then round the other way
