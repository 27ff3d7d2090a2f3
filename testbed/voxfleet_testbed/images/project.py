"""The project's own images: built from its Dockerfiles, named by their contents, saved as archives.

Does: decides what must be built again and builds it. Knows: the three parts, and that the speech server's
dependencies (5 GB) are mounted from this machine instead of copied into every node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.events import Report, ignore, phase
from voxfleet_testbed.images.base_image import make_base_image
from voxfleet_testbed.images.buildah import Buildah, locked, unfinished
from voxfleet_testbed.images.mounts import Mount, make_site_packages, make_tiny_checkpoint
from voxfleet_testbed.settings import REPOSITORY, Settings

PARTS = ("operator", "gateway", "inference")
TAG = "testbed"
KEPT_ARCHIVES = 3
SITE_PACKAGES = "/testbed/site-packages"
TINY_CHECKPOINT = "/testbed/tiny"
BUILD_ARGUMENTS: Mapping[str, Mapping[str, str]] = {"inference": {"DEPENDENCIES": "mounted"}}
# Every container of the testbed sees the mounts, so they lie apart, and only this image looks there.
LINKED_DOCKERFILE = f"""ARG IMAGE
FROM ${{IMAGE}}
USER 0:0
RUN rmdir /opt/voxfleet/site-packages /models/tiny \\
 && ln -s {SITE_PACKAGES} /opt/voxfleet/site-packages && ln -s {TINY_CHECKPOINT} /models/tiny
USER 65532:65532
"""


@dataclass(frozen=True, slots=True)
class ProjectImages:
    """What a cluster needs to run VoxFleet: image names by part, their archives, and the folders to mount."""

    names: Mapping[str, str]
    archives: tuple[Path, ...]
    mounts: tuple[Mount, ...]


def build_project_images(
    settings: Settings, parts: Iterable[str] = PARTS, report: Report = ignore, repository: Path = REPOSITORY
) -> ProjectImages:
    """Build the images of these parts and what they mount; quick when nothing changed."""
    wanted = tuple(parts)
    buildah = Buildah(settings.cache / "buildah")
    with phase(report, "base image") as progress:
        base = make_base_image(buildah, progress)
    archives = []
    for part in wanted:
        with phase(report, f"{part} image"):
            archives.append(_build_part(buildah, part, base, repository))
    mounts = make_mounts(settings, report, repository) if "inference" in wanted else ()
    return ProjectImages({part: image_name(part) for part in wanted}, tuple(archives), mounts)


def build_base_archive(settings: Settings, report: Report = ignore) -> tuple[str, Path]:
    """The base image alone, as name and archive: a Python in a pod, for tests of the cluster itself."""
    buildah = Buildah(settings.cache / "buildah")
    with phase(report, "base image") as progress:
        image = make_base_image(buildah, progress)
    archive = settings.cache / "images" / f"base-{image.rpartition(':')[2]}.tar"
    with locked(archive):
        if not archive.exists():
            buildah.save(image, archive, image)
    return image, archive


def make_mounts(settings: Settings, report: Report = ignore, repository: Path = REPOSITORY) -> tuple[Mount, ...]:
    """The folders that the speech server's image finds at its mounts."""
    with phase(report, "inference packages"):
        packages = make_site_packages(settings.cache, repository / "requirements" / "inference.txt")
    with phase(report, "tiny checkpoint"):
        checkpoint = make_tiny_checkpoint(settings.cache, repository / "inference")
    return (Mount(packages, SITE_PACKAGES), Mount(checkpoint, TINY_CHECKPOINT))


def image_name(part: str) -> str:
    """What a part's image is called inside the cluster; a node of ours has only one version of it."""
    return f"localhost/voxfleet-{part}:{TAG}"


def image_key(dockerfile: Path, context: Path, base: str, arguments: Mapping[str, str]) -> str:
    """Name an image by everything that goes into it."""
    digest = hashlib.sha256("\n".join([base, *(f"{key}={value}" for key, value in arguments.items())]).encode())
    for source in (dockerfile, *copied_files(dockerfile.read_text(), context)):
        digest.update(b"\0" + str(source.relative_to(context)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def copied_files(dockerfile: str, context: Path) -> Iterator[Path]:
    """The files that a Dockerfile's COPY lines take from the context, in a fixed order."""
    for line in dockerfile.splitlines():
        words = line.split()
        if not words or words[0] != "COPY" or any(word.startswith("--from") for word in words):
            continue
        for source in (context / word for word in words[1:-1] if not word.startswith("--")):
            found = sorted(source.rglob("*")) if source.is_dir() else [source]
            yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _build_part(buildah: Buildah, part: str, base: str, repository: Path) -> Path:
    dockerfile, arguments = repository / part / "Dockerfile", BUILD_ARGUMENTS.get(part, {})
    key = image_key(dockerfile, repository, base, arguments)
    image = f"localhost/voxfleet-{part}:{key}"
    archive = buildah.folder.parent / "images" / f"{part}-{key}.tar"
    with locked(archive):
        if not archive.exists():
            buildah.build(image, dockerfile, repository, {"BASE_IMAGE": base, **arguments})
            if arguments.get("DEPENDENCIES") == "mounted":
                _link_mounts(buildah, image)
            buildah.save(image, archive, image_name(part))
    archive.touch()
    for outdated in outdated_archives(part, archive.parent):
        outdated.unlink(missing_ok=True)
        buildah.forget(f"localhost/voxfleet-{part}:{outdated.stem.rpartition('-')[2]}")
    return archive


def outdated_archives(part: str, folder: Path) -> list[Path]:
    """Archives of a part that were not used lately; a few stay, for other checkouts and for going back."""
    by_use = sorted(folder.glob(f"{part}-*.tar"), key=lambda archive: archive.stat().st_mtime, reverse=True)
    return by_use[KEPT_ARCHIVES:]


def _link_mounts(buildah: Buildah, image: str) -> None:
    with unfinished(buildah.folder / f"linked-{image.rpartition(':')[2]}") as context:
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(LINKED_DOCKERFILE)
        buildah.build(image, context / "Dockerfile", context, {"IMAGE": image})
