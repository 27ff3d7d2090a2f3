"""Chooses, at an image's build, which packages of the lock the speech server's image gets.

    python3 scripts/image_packages.py VARIANT requirements.txt --hashed hashed.txt --pinned pinned.txt

The variants are the Dockerfile's DEPENDENCIES:

    install    every package of the lock: PyTorch with CUDA
    cpu        PyTorch's own build for CPUs, without CUDA's packages. The lock has PyPI's hashes, so PyTorch is pinned
               by version (pinned.txt); all others have their hashes (hashed.txt)
    cpu-pypi   PyTorch as the lock has it, by hash, with those libraries of CUDA alone that `import torch` loads

Knows: hash-pinned requirements, and which packages belong to CUDA. Does not know: indexes, or pip.
Uses the standard library alone: it runs inside of image builds.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VARIANTS: Final = ("install", "cpu", "cpu-pypi")
_ENTRY: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+).*\n(?:[ \t#].*\n)*", re.MULTILINE)
_PYTORCH: Final = ("torch", "torchaudio")
_OF_CUDA: Final = re.compile(r"nvidia-|cuda-|triton$")
_TELEMETRY: Final = "nvidia-ml-py"  # plain Python that reads a GPU's figures; the server imports it everywhere
# libtorch_python.so is linked with libtorch_cuda.so, and so with the libraries of these packages (readelf --dynamic);
# libnvJitLink is one that libcusparse is linked with.
_LOADED_BY_TORCH: Final = frozenset(
    {
        *("nvidia-cublas", "nvidia-cuda-cupti", "nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cufft"),
        *("nvidia-cufile", "nvidia-curand", "nvidia-cusparse", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13"),
        *("nvidia-nvjitlink", "nvidia-nvshmem-cu13"),
    }
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Two lists for pip."""

    hashed: str  # requirements with the hashes of their files
    pinned: str  # requirements by version alone


@dataclass(frozen=True, slots=True)
class Entry:
    """A package of the lock."""

    name: str
    version: str
    text: str


def select(lock: str, variant: str) -> Selection:
    """Return the packages of a variant.

    Raises:
        ValueError: there is no such variant.
    """
    entries = list(read_entries(lock))
    match variant:
        case "install":
            return Selection(_joined(entries), "")
        case "cpu":
            pinned = "".join(f"{each.name}=={each.version}+cpu\n" for each in entries if each.name in _PYTORCH)
            others = [each for each in entries if each.name not in _PYTORCH and not of_cuda(each.name)]
            return Selection(_joined(others), pinned)
        case "cpu-pypi":
            loaded = [each for each in entries if not of_cuda(each.name) or each.name in _LOADED_BY_TORCH]
            return Selection(_joined(loaded), "")
        case _:
            raise ValueError(f"DEPENDENCIES is {variant!r}; it must be {', '.join(VARIANTS)} or mounted")


def read_entries(lock: str) -> Iterator[Entry]:
    """Yield the packages of hash-pinned requirements."""
    return (Entry(found[1], found[2], found[0]) for found in _ENTRY.finditer(lock))


def of_cuda(name: str) -> bool:
    """Return whether a package holds libraries or compilers of CUDA."""
    return _OF_CUDA.match(name) is not None and name != _TELEMETRY


def _joined(entries: list[Entry]) -> str:
    return "".join(each.text for each in entries)


def main() -> int:
    """Write the two lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant")
    parser.add_argument("lock", type=Path)
    parser.add_argument("--hashed", type=Path, required=True)
    parser.add_argument("--pinned", type=Path, required=True)
    given = parser.parse_args()
    try:
        chosen = select(given.lock.read_text(encoding="utf-8"), given.variant)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    given.hashed.write_text(chosen.hashed, encoding="utf-8")
    given.pinned.write_text(chosen.pinned, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
