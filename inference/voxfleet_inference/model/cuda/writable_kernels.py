"""Triton's cache of compiled kernels, copied to a writable folder if the image is read-only.

Knows: TRITON_CACHE_DIR, and that Triton writes into it for every kernel that was not compiled ahead of time. Entries
name other files by their paths in the image, which stay readable.
Does not know: Triton, torch or kernels.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "TRITON_CACHE_DIR"


def use_writable_kernels(environment: MutableMapping[str, str]) -> None:
    """Point TRITON_CACHE_DIR to a copy if its folder is not writable; call it before torch is imported."""
    given = environment.get(VARIABLE)
    if not given or os.access(given, os.W_OK):
        return
    copy = tempfile.mkdtemp(prefix="voxfleet-kernels-")
    if Path(given).is_dir():
        shutil.copytree(given, copy, dirs_exist_ok=True, copy_function=shutil.copyfile)
        _make_folders_writable(Path(copy))
    environment[VARIABLE] = copy


def _make_folders_writable(folder: Path) -> None:
    """Make folders writable: `copytree` keeps the modes of the read-only original."""
    for each in (folder, *folder.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
