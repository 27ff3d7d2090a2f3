"""The image that the project's images start from: a minimal Debian with Python and pip, made by debootstrap.

It stands in for a registry's python image, which a machine without one cannot pull.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from voxfleet_testbed.events import Progress
from voxfleet_testbed.images.buildah import Buildah, locked, run_alone, unfinished

SUITE = "bookworm"
PACKAGES = ("python3", "python3-pip", "ca-certificates")
LIST_ARCHIVES = ("apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)")
# What debootstrap leaves and no container needs; device files cannot be unpacked without privileges.
SUPERFLUOUS = ("dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def base_image_name() -> str:
    """The image's name, which changes with its contents."""
    contents = "\n".join((SUITE, *PACKAGES, *SUPERFLUOUS))
    return f"localhost/voxfleet-base:{hashlib.sha256(contents.encode()).hexdigest()[:12]}"


def make_base_image(buildah: Buildah, progress: Progress) -> str:
    """Make the base image unless the store has it; returns its name."""
    image = base_image_name()
    with locked(buildah.folder / "base"):
        if not buildah.has(image):
            folder = buildah.folder / "base"
            with unfinished(folder) as partial:
                progress("installing a minimal Debian", None)
                _debootstrap(partial / "rootfs")
                (partial / "Dockerfile").write_text('FROM scratch\nADD rootfs /\nCMD ["python3"]\n')
                progress("making an image of it", None)
                buildah.build(image, partial / "Dockerfile", partial, {})
            shutil.rmtree(folder)
    return image


def _debootstrap(root: Path) -> None:
    root.mkdir(parents=True)
    run_alone(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(root),
        *own_mirror(_archives()),
    )
    for name in SUPERFLUOUS:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
    (root / "etc" / "resolv.conf").unlink(missing_ok=True)


def own_mirror(archives: str) -> tuple[str, ...]:
    """The archive that this machine installs the suite from; none: debootstrap's own choice."""
    sites = [site for release, _, site in (line.partition(" ") for line in archives.splitlines()) if release == SUITE]
    return tuple(sites[:1])


def _archives() -> str:
    """What apt knows, a line per index: release and site."""
    return subprocess.run(LIST_ARCHIVES, capture_output=True, text=True, check=False).stdout
