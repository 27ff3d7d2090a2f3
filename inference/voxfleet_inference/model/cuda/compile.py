"""Compile the Triton kernels ahead of time, without a GPU, so that a server's first start compiles nothing.

    python -m voxfleet_inference.model.cuda.compile --arch sm_80 --arch sm_90 --out /opt/triton-cache

Knows: VoxCPM 1.5's shapes, and what Triton keeps in its cache. The layers that the server runs are run here on meta
tensors, so that cache keys are the same by construction. Triton writes absolute paths into its cache: use the folder
where it was created, with TRITON_CACHE_DIR. Kernels of other shapes are compiled when they are first launched.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import logging
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia import driver as nvidia
from triton.runtime import driver
from triton.runtime.build import compile_module_from_src, platform_key
from triton.runtime.cache import get_cache_manager

from voxfleet_inference.model.cuda.kernels.launch import compiling_only
from voxfleet_inference.model.cuda.shapes import VOXCPM_15_LANGUAGE_MODEL, VOXCPM_15_LOCAL
from voxfleet_inference.model.cuda.stack import FusedTransformer
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer
from voxfleet_inference.model.shapes import TransformerShape

# Shared memory that one thread block may use, in bytes (CUDA C++ Programming Guide, technical specifications).
ARCHITECTURES = {"sm_80": 166_912, "sm_86": 101_376, "sm_89": 101_376, "sm_90": 232_448, "sm_100": 232_448}
BATCHES = (1, 2, 4, 8, 16, 32, 64)  # the buckets of `graphs`
PREFILL_TOKENS = 512  # more than the largest tile has rows; kernels are not specialized on the number
_META = torch.device("meta")
_WARP = 32


class OfflineDriver:
    """Stands in for Triton's driver while compiling; the device's number is its architecture's."""

    def __init__(self, architecture: str) -> None:
        self._number = int(architecture.removeprefix("sm_"))

    def get_current_device(self) -> int:
        """Return a device number per architecture, because Triton caches kernels in memory by device."""
        return self._number

    def get_current_target(self) -> GPUTarget:
        """Return the architecture to compile for."""
        return GPUTarget("cuda", self._number, _WARP)

    def get_current_stream(self, _device: int) -> int:
        """Return the default stream; nothing is ever launched on it."""
        return 0


Compiled = dict[str, Any]  # Triton's report of a compilation: source, files, metadata, whether the cache had it


def compile_kernels(
    architecture: str, shapes: Sequence[tuple[TransformerShape, int]], batches: Sequence[int]
) -> list[Compiled]:
    """Compile the kernels that these transformers, `(shape, tokens per row)`, need for these batch sizes.

    A transformer with one token per row is a language model, and is compiled for prefill as well.

    Raises:
        RuntimeError: a kernel needs too much shared memory or too many registers.
    """
    with compiling_for(architecture) as made:
        for shape, tokens in shapes:
            stack = _stack(shape)
            for batch in batches:
                _pass(stack, shape, batch, tokens)
            if tokens == 1:
                _pass(stack, shape, 1, PREFILL_TOKENS)
    return made


@contextmanager
def compiling_for(architecture: str) -> Iterator[list[Compiled]]:
    """Compile the kernels that are called in this context for an architecture, and their launchers at its end.

    Raises:
        RuntimeError: a kernel needs too much shared memory or too many registers.
    """
    made: list[Compiled] = []
    before = driver._active, knobs.compilation.listener  # noqa: SLF001 - the public way fails where there is no GPU
    driver.set_active(OfflineDriver(architecture))
    knobs.compilation.listener = lambda **compiled: made.append(compiled)
    try:
        with compiling_only():
            yield made
    finally:
        driver._active, knobs.compilation.listener = before  # noqa: SLF001
    _check_memory(made, architecture)
    _check_registers(made, architecture)
    _build_launchers([each["src"] for each in made])


def _check_memory(made: Sequence[Compiled], architecture: str) -> None:
    """Check shared memory: a kernel that needs too much compiles without an error and fails at launch."""
    for each in made:
        needed, limit = each["metadata"]["shared"], ARCHITECTURES.get(architecture, min(ARCHITECTURES.values()))
        if needed > limit:
            name = each["metadata"]["name"]
            raise RuntimeError(
                f"{name} asks for {needed} bytes of shared memory, {architecture} has {limit}: shrink its tile"
            )


def _check_registers(made: Sequence[Compiled], architecture: str) -> None:
    """Check register spills: a kernel with more values than registers keeps them in slow local memory."""
    for each in made:
        path = each["metadata_group"].get(f"{each['metadata']['name']}.cubin")
        if path is None or each["cache_hit"]:
            continue
        command = [knobs.nvidia.cuobjdump.path, "-res-usage", path]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        spilled = sum(int(found) for found in re.findall(r"(?:STACK|LOCAL):(\d+)", report))
        if spilled:
            raise RuntimeError(
                f"{each['metadata']['name']} spills {spilled} bytes of registers on {architecture}: shrink its tile"
            )


def _stack(shape: TransformerShape) -> FusedTransformer:
    with _META:
        return FusedTransformer(
            Transformer(shape, RotaryTable(shape.rotary, 8192, _META, torch.bfloat16)).to(torch.bfloat16)
        )


def _pass(stack: FusedTransformer, shape: TransformerShape, batch: int, tokens: int) -> None:
    """Run both forward methods, because the server's settings choose between them."""
    x = torch.empty(batch, tokens, shape.hidden, device=_META, dtype=torch.bfloat16)
    past: tuple[Any, Any] = (None, None)
    if tokens in {1, PREFILL_TOKENS}:
        lengths = torch.zeros(batch, device=_META, dtype=torch.int64)
        past = (KvCache(shape, 1024, _META, torch.bfloat16), AttentionMetadata.after(lengths, lengths, tokens, ()))
    stack(x, *past)
    stack.forward_cublas(x.flatten(0, 1), tokens, *past)


def _build_launchers(sources: Sequence[Any]) -> None:
    """Build the C modules that launch kernels, linked against an empty library in place of the driver's."""
    with tempfile.TemporaryDirectory() as folder:
        stand_in = Path(folder) / nvidia.libraries[0]
        empty = ["gcc", "-shared", "-x", "c", "/dev/null", "-o", str(stand_in), f"-Wl,-soname,{nvidia.libraries[0]}"]
        try:
            subprocess.run(empty, check=True)
            ctypes.CDLL(str(stand_in), mode=ctypes.RTLD_GLOBAL)
        except (OSError, subprocess.CalledProcessError) as error:
            logging.getLogger(__name__).warning(
                "launchers were not built (%s): the server needs gcc to build them at its first start", error
            )
            return
        _build_module("cuda_utils", (Path(nvidia.__file__).parent / "driver.c").read_text(encoding="utf-8"), folder)
        for source in sources:
            code = nvidia.make_launcher(_by_path(source.constants), dict(source.signature), None)
            _build_module("__triton_launcher", code, folder)


def _by_path(constants: dict[Any, Any]) -> dict[Any, Any]:
    return {(place,) if isinstance(place, int) else place: value for place, value in constants.items()}


def _build_module(name: str, code: str, library_folder: str) -> None:
    key = hashlib.sha256((code + platform_key()).encode()).hexdigest()  # as in Triton's compile_module_from_src
    if get_cache_manager(key).has_file(f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"):
        return
    folders = [nvidia.libdevice_dir, library_folder]
    try:
        compile_module_from_src(code, name, folders, nvidia.include_dirs, nvidia.libraries)
    except ImportError:  # built and cached; loading it needs the driver, which this machine may not have
        return


def main(arguments: Sequence[str] | None = None) -> None:
    """Compile for every architecture given on the command line and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--arch", action="append", help=f"architecture, repeatable (default: {' '.join(ARCHITECTURES)})"
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="folder of Triton's cache; the server's TRITON_CACHE_DIR"
    )
    given = parser.parse_args(arguments)
    knobs.cache.dir = str(given.out.absolute())
    shapes = [(VOXCPM_15_LANGUAGE_MODEL, 1), (VOXCPM_15_LOCAL, 5), (VOXCPM_15_LOCAL, 9)]
    for architecture in given.arch or ARCHITECTURES:
        started = time.monotonic()
        count = len(compile_kernels(architecture, shapes, BATCHES))
        sys.stdout.write(f"{architecture}: {count} kernels in {time.monotonic() - started:.0f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
