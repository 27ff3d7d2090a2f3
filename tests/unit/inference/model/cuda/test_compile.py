"""Kernels compiled ahead of time for absent GPUs, and found in the cache by a later start."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMPILE = """
import sys
import torch
from triton import knobs
from voxfleet_inference.model.cuda.compile import compiling_for
from voxfleet_inference.model.cuda.kernels.linears import linear_residual
from voxfleet_inference.model.cuda.kernels.norms import swiglu
knobs.cache.dir = sys.argv[1]
hits = []
for architecture in sys.argv[2:]:
    with compiling_for(architecture) as made:
        for rows in (1, 16):  # one kernel for both
            x = torch.empty(rows, 256, device="meta", dtype=torch.bfloat16)
            linear_residual(x, x.new_empty(64, 256), x.new_empty(rows, 64))
            swiglu(x)
    hits += [each["cache_hit"] for each in made]
print(hits.count(True), hits.count(False))
"""


MEMORY = """
import sys
import torch
from triton import knobs
from voxfleet_inference.model.cuda import compile as ahead
from voxfleet_inference.model.cuda.kernels.linears import norm_linear
knobs.cache.dir = sys.argv[1]

def compile(dtype):
    with ahead.compiling_for("sm_86") as made:
        x = torch.empty(16, 1024, device="meta", dtype=dtype)
        norm_linear(x, x[0], 1e-5, x.new_empty(128, 1024), is_swiglu=True)
    return made[0]["metadata"]["shared"]

print(compile(torch.float32), compile(torch.bfloat16))
ahead.ARCHITECTURES["sm_86"] = 10_000
x = compile(torch.float16)
"""


SPILLS = """
import sys
import torch
from triton import knobs
from voxfleet_inference.model.cuda.compile import compiling_for
from voxfleet_inference.model.cuda.kernels import linears
knobs.cache.dir = sys.argv[1]
linears.TILES = ((16, linears.Tile(16, 512, 64, 1, 2)),)  # 256 sums for each of 32 threads
with compiling_for("sm_90"):
    x = torch.empty(16, 256, device="meta", dtype=torch.bfloat16)
    linears.linear_residual(x, x.new_empty(512, 256), x.new_empty(16, 512))
"""


def compiled(folder: Path, *architectures: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(folder), *architectures],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="Triton starts kernels through C modules, which gcc makes")
def test_two_architectures_are_compiled_and_found_in_the_cache(tmp_path: Path) -> None:
    assert compiled(tmp_path, "sm_80", "sm_90") == "0 4"
    code = [ptx.read_text(encoding="utf-8") for ptx in tmp_path.rglob("*.ptx")]
    assert (
        sorted(re.search(r"^\.target (\w+)", each, re.MULTILINE)[1] for each in code) == ["sm_80"] * 2 + ["sm_90a"] * 2
    )
    assert sum("mma.sync" in each or "wgmma" in each for each in code) == 2  # tensor cores, on both
    assert len(list(tmp_path.rglob("*.cubin"))) == 4
    assert all(cubin.read_bytes()[:4] == b"\x7fELF" for cubin in tmp_path.rglob("*.cubin"))
    assert len(list(tmp_path.rglob("__triton_launcher*.so"))) == 2  # one per signature
    assert len(list(tmp_path.rglob("cuda_utils*.so"))) == 1
    before = sorted(tmp_path.rglob("*"))
    assert compiled(tmp_path, "sm_90") == "2 0"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_largest_tiles_fit_the_smallest_gpu_and_larger_ones_are_rejected(tmp_path: Path) -> None:
    """Rows of 16 have the longest tiles; the smallest GPUs are sm_86 and sm_89."""
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert all(0 < int(asked) <= 101_376 for asked in done.stdout.split()), done.stdout
    assert len(done.stdout.split()) == 2
    assert "_norm_linear_kernel asks for" in done.stderr
    assert "sm_86 has 10000: shrink its tile" in done.stderr


def test_a_kernel_that_spills_registers_is_rejected(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SPILLS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"_linear_residual_kernel spills \d+ bytes of registers on sm_90", done.stderr), done.stderr
