"""Compile the C kernels to a shared library: when an image is built, or else when a server first needs them.

    python -m voxfleet_inference.model.cpu.compile

compiles them for every instruction set of this architecture, next to their sources. Knows: compilers, instruction sets
and folders. Does not know: what the kernels compute. The code is C without PyTorch's headers, so that compiling takes
a second; its threads are those of the OpenMP library that PyTorch has already loaded, which has the same name.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

SOURCES = Path(__file__).with_name("kernels")
COLUMNS = 16  # outputs of a panel; the same constant as in kernels/panels.h
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fopenmp")
# Maxima may use instructions that ignore NaN and the sign of zero. Sums keep their order unless a loop says otherwise
# (`omp simd reduction`): with -fassociative-math a row's last bit depended on its place in the batch.
MATH = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-ffinite-math-only", "-fno-associative-math")


class NoKernelsError(Exception):
    """No kernels can be loaded or compiled on this machine; the message names what to install."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One build of the kernels: compiler flags, and the instructions that a CPU needs to run it, in PyTorch's names."""

    name: str
    flags: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()

    @property
    def file(self) -> str:
        """The library's file name, with a hash of everything that determines its content."""
        content = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]")))
        digest = hashlib.sha256(content + " ".join((*FLAGS, *MATH, *self.flags)).encode()).hexdigest()[:16]
        return f"kernels-{platform.machine()}-{self.name}-{digest}.so"


_WIDE = frozenset({"avx512_f", "avx512_bw", "avx512_cd", "avx512_dq", "avx512_vl"})
PLAIN = Variant("plain")
VARIANTS = {  # fastest first
    "x86_64": (
        Variant(
            "bf16",
            ("-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16"),
            _WIDE | {"avx512_vnni", "avx512_bf16"},
        ),
        Variant("vnni", ("-march=x86-64-v4", "-mavx512vnni"), _WIDE | {"avx512_vnni"}),
        Variant("avx2", ("-march=x86-64-v3",), frozenset({"avx2", "fma3", "bmi2", "f16c", "lzcnt"})),
        PLAIN,
    )
}


def variants() -> tuple[Variant, ...]:
    """Return the variants for this architecture, fastest first."""
    return VARIANTS.get(platform.machine(), (PLAIN,))


def best_variant() -> Variant:
    """Return the fastest variant that this CPU can run."""
    has = {name for name, is_there in torch.cpu.get_capabilities().items() if is_there is True}
    return next(each for each in variants() if each.needs <= has)


@cache
def kernels() -> ctypes.CDLL:
    """Load the library for this CPU.

    Raises:
        NoKernelsError: it was not compiled ahead of time, and cannot be compiled or loaded here.
    """
    library = library_file(best_variant())
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise NoKernelsError(
            f"the kernels for this CPU do not load ({error}): compile them ahead by python -m {__spec__.name}"
        ) from error


def library_file(variant: Variant) -> Path:
    """Return the path of a variant's library: next to the sources or in the cache, where it is compiled if absent."""
    folders = (SOURCES, _cache_folder())
    found = [folder / variant.file for folder in folders if (folder / variant.file).is_file()]
    return found[0] if found else compile_variant(variant, _writable(folders[1]))


def compile_variant(variant: Variant, folder: Path) -> Path:
    """Compile a variant into a folder.

    The file is renamed into place, so that concurrent processes find the whole file or none.

    Raises:
        NoKernelsError: there is no compiler, or it fails.
    """
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        raise NoKernelsError(
            "the kernels for this CPU were not compiled ahead of time and there is no gcc to do it now: install gcc"
            " (Debian: apt-get install gcc libc6-dev)"
        )
    made = folder / f"{variant.file}.{os.getpid()}"
    command = [compiler, *FLAGS, *MATH, *variant.flags, *map(str, sorted(SOURCES.glob("*.c"))), "-o", str(made), "-lm"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NoKernelsError(
            f"{compiler} could not compile the kernels for this CPU ({ran.stderr.strip()[:400]}): set CC to another"
            " compiler"
        )
    return made.replace(folder / variant.file)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxfleet" / "kernels"


def _writable(folder: Path) -> Path:
    """Return the folder, or a new temporary one if it cannot be created or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="voxfleet-kernels-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="voxfleet-kernels-"))


def main() -> None:
    """Compile all variants of this architecture and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SOURCES, help="output folder (default: next to the sources)")
    folder = parser.parse_args().out
    try:
        for variant in variants():
            sys.stdout.write(f"{compile_variant(variant, folder)}\n")
    except (NoKernelsError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
