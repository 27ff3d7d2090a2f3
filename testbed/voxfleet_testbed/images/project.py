"""The project's own images: built from its Dockerfiles, keyed by their contents, saved as archives.

Does: builds the images whose inputs changed. Knows: the three parts, and that the speech server's dependencies (5 GB)
are mounted from this machine instead of copied into every node (docs/decisions/0003).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.events import Report, ignore, phase
from voxfleet_testbed.images.base_image import make_base_image
from voxfleet_testbed.images.buildah import Buildah, locked, unfinished
from voxfleet_testbed.images.mounts import Mount, make_site_packages
from voxfleet_testbed.settings import REPOSITORY, Settings

PARTS = ("operator", "gateway", "inference")
TAG = "testbed"
KEPT_ARCHIVES = 3  # per part: other checkouts and a change that is taken back then build nothing
SITE_PACKAGES = "/testbed/site-packages"
BUILD_ARGUMENTS: Mapping[str, Mapping[str, str]] = {"inference": {"DEPENDENCIES": "mounted"}}
# The mounts appear in every container, so they are below /testbed, where no image has files; only the speech server's
# image links there.
LINKED_DOCKERFILE = f"""ARG IMAGE
FROM ${{IMAGE}}
USER 0:0
RUN rmdir /opt/voxfleet/site-packages && ln -s {SITE_PACKAGES} /opt/voxfleet/site-packages
USER 65532:65532
"""


@dataclass(frozen=True, slots=True)
class ProjectImages:
    """Image names by part, their archives, and the folders to mount into containers."""

    names: Mapping[str, str]
    archives: tuple[Path, ...]
    mounts: tuple[Mount, ...]


def build_project_images(
    settings: Settings, parts: Iterable[str] = PARTS, report: Report = ignore, repository: Path = REPOSITORY
) -> ProjectImages:
    """Build the images of these parts and the folders that they mount; takes a second when all are cached.

    Raises:
        BuildError: a build failed.
        UnavailableError: uv is missing.
    """
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
    """Build the base image only; returns its name and archive, for tests of the cluster that need Python in a pod."""
    buildah = Buildah(settings.cache / "buildah")
    with phase(report, "base image") as progress:
        image = make_base_image(buildah, progress)
    archive = settings.cache / "images" / f"base-{image.rpartition(':')[2]}.tar"
    with locked(archive):
        if not archive.exists():
            buildah.save(image, archive, image)
    return image, archive


def make_mounts(settings: Settings, report: Report = ignore, repository: Path = REPOSITORY) -> tuple[Mount, ...]:
    """Make the folders that the speech server's image expects at its mount points."""
    with phase(report, "inference packages"):
        packages = make_site_packages(settings.cache, repository / "requirements" / "inference.txt")
    return (Mount(packages, SITE_PACKAGES),)


def image_name(part: str) -> str:
    """Return the name of a part's image inside the cluster; a node has one version, so the tag never changes."""
    return f"localhost/voxfleet-{part}:{TAG}"


def image_key(dockerfile: Path, context: Path, base: str, arguments: Mapping[str, str]) -> str:
    """Return a hash of the inputs of an image: base, build arguments, Dockerfile, copied files."""
    digest = hashlib.sha256("\n".join([base, *(f"{key}={value}" for key, value in arguments.items())]).encode())
    for source in (dockerfile, *copied_files(dockerfile.read_text(), context)):
        digest.update(b"\0" + str(source.relative_to(context)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def copied_files(dockerfile: str, context: Path) -> Iterator[Path]:
    """Yield the files that a Dockerfile's COPY lines take from the context, in a fixed order."""
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
    archive.touch()  # the time of last use, by which outdated_archives chooses
    for outdated in outdated_archives(part, archive.parent):
        outdated.unlink(missing_ok=True)
        buildah.remove(f"localhost/voxfleet-{part}:{outdated.stem.rpartition('-')[2]}")
    return archive


def outdated_archives(part: str, folder: Path) -> list[Path]:
    """Return a part's archives beyond the KEPT_ARCHIVES that were used last."""
    by_use = sorted(folder.glob(f"{part}-*.tar"), key=lambda archive: archive.stat().st_mtime, reverse=True)
    return by_use[KEPT_ARCHIVES:]


def _link_mounts(buildah: Buildah, image: str) -> None:
    with unfinished(buildah.folder / f"linked-{image.rpartition(':')[2]}") as context:
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(LINKED_DOCKERFILE)
        buildah.build(image, context / "Dockerfile", context, {"IMAGE": image})
