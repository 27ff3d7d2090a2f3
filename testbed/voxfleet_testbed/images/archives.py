"""Image archives, read and written without an image builder.

Does: makes an image of one static program (the pause image, which every pod needs before any other), and merges
archives. Knows: the `docker save` format, which containerd imports.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

PAUSE_IMAGE = "localhost/voxfleet-pause:testbed"
EXECUTABLE = 0o755
MANIFEST = "manifest.json"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pause_archive(cache: Path, program: Path) -> Path:
    """Return the archive of the pause image, made on first use; `program` is the built pause program."""
    archive = cache / "images" / f"pause-{program.parent.name}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        # Written under another name: a process that finds the archive must find all of it.
        unfinished = archive.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(single_program_image(PAUSE_IMAGE, "pause", program.read_bytes()))
        unfinished.rename(archive)
    return archive


def single_program_image(image: str, name: str, program: bytes) -> bytes:
    """Return an image archive whose only file is one program, which is also its entry point."""
    layer = _tar({name: (program, EXECUTABLE)})
    # diff_ids are digests of the uncompressed layers (OCI image specification, "config").
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Entrypoint": [f"/{name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    return _tar(
        {
            "layer.tar": (layer, 0o644),
            "config.json": (json.dumps(config).encode(), 0o644),
            MANIFEST: (json.dumps(manifest).encode(), 0o644),
        }
    )


def write_merged(archives: Sequence[Path], stream: IO[bytes]) -> None:
    """Stream several image archives as one; a file that several have (a layer) is written once.

    Args:
        archives: archives in `docker save` format.
        stream: a pipe is enough: it is written from start to end.
    """
    manifest: list[Any] = []
    written = {MANIFEST, "repositories"}  # merged below; the legacy format's index, which containerd does not read
    with tarfile.open(fileobj=stream, mode="w|") as merged:
        for archive in archives:
            with tarfile.open(archive) as source:
                manifest += json.load(source.extractfile(MANIFEST) or io.BytesIO(b"[]"))
                for entry in source:
                    if entry.name not in written:
                        merged.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
                        written.add(entry.name)
        _add(merged, MANIFEST, json.dumps(manifest).encode(), 0o644)


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    """Return a tar of name -> (content, mode); equal files give equal bytes, because no time stamp is set."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            _add(archive, name, content, mode)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
