"""Kernels compiled for GPUs that are not here, and a cache that a later start finds."""

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
def test_two_architectures_are_compiled_for_real_and_found_again(tmp_path: Path) -> None:
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
