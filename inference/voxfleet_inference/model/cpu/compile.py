"""The C kernels as a library: compiled when an image is built, else when a server first needs them.

    python -m voxfleet_inference.model.cpu.compile

compiles them for every processor of this architecture, beside their sources. Knows compilers, processors' instructions
and folders. Does not know what the kernels compute. The code is C without PyTorch's headers, so that compiling takes
a second; its threads are those of the OpenMP library that PyTorch has loaded already, which has the same name.
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
COLUMNS = 16  # outputs of a panel, as kernels/panels.h has it
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-shared", "-fopenmp")
# Largest values are found by instructions that overlook NaN and the sign of zero. But sums keep their order unless a
# loop says otherwise: else a row's last bit would depend on where it lies.
MATH = ("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-ffinite-math-only", "-fno-associative-math")


class NoKernelsError(Exception):
    """There are no kernels for this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What to compile for processors that have certain instructions, as PyTorch names those."""

    name: str
    flags: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()

    @property
    def file(self) -> str:
        """Named by all that decides its content."""
        content = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]")))
        digest = hashlib.sha256(content + " ".join((*FLAGS, *MATH, *self.flags)).encode()).hexdigest()[:16]
        return f"kernels-{platform.machine()}-{self.name}-{digest}.so"


_WIDE = frozenset({"avx512_f", "avx512_bw", "avx512_cd", "avx512_dq", "avx512_vl"})
PLAIN = Variant("plain")
VARIANTS = {  # the best first
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
    """What there is for this architecture, the best first."""
    return VARIANTS.get(platform.machine(), (PLAIN,))


def best_variant() -> Variant:
    """The best that this processor can run."""
    has = {name for name, is_there in torch.cpu.get_capabilities().items() if is_there is True}
    return next(each for each in variants() if each.needs <= has)


@cache
def kernels() -> ctypes.CDLL:
    """The library for this processor.

    Raises:
        NoKernelsError: it was not compiled ahead, and cannot be compiled or loaded here.
    """
    library = library_file(best_variant())
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise NoKernelsError(
            f"the kernels for this CPU do not load ({error}): compile them ahead by python -m {__spec__.name}"
        ) from error


def library_file(variant: Variant) -> Path:
    """Where a variant lies: beside the sources if it was compiled ahead, else in a cache, made now if need be."""
    folders = (SOURCES, _cache_folder())
    found = [folder / variant.file for folder in folders if (folder / variant.file).is_file()]
    return found[0] if found else compile_variant(variant, _writable(folders[1]))


def compile_variant(variant: Variant, folder: Path) -> Path:
    """Compile into a folder; whoever looks finds the whole file or none."""
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        raise NoKernelsError(
            "the kernels for this CPU were not compiled ahead and gcc is not here to do it now: install gcc (Debian:"
            " apt-get install gcc libc6-dev)"
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
    """The folder, or one that lasts as long as the machine does, where there is no home to write to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="voxfleet-kernels-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="voxfleet-kernels-"))


def main() -> None:
    """Compile all variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SOURCES, help="folder (default: beside the sources)")
    folder = parser.parse_args().out
    try:
        for variant in variants():
            sys.stdout.write(f"{compile_variant(variant, folder)}\n")
    except (NoKernelsError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
