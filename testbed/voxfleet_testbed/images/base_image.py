"""The base of the project's images: a minimal Debian with Python and pip, made by debootstrap.

It replaces python:3.11-slim, because a test machine may have a package mirror but no image registry.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from voxfleet_testbed.events import Progress
from voxfleet_testbed.images.buildah import Buildah, locked, run_isolated, unfinished

SUITE = "bookworm"
PACKAGES = ("python3", "python3-pip", "ca-certificates")
LIST_ARCHIVES = ("apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)")
# debootstrap leaves these, and no container needs them; device files cannot be unpacked without privileges.
SUPERFLUOUS = ("dev", "var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def base_image_name() -> str:
    """Return the image's name; its tag is a hash of the recipe."""
    contents = "\n".join((SUITE, *PACKAGES, *SUPERFLUOUS))
    return f"localhost/voxfleet-base:{hashlib.sha256(contents.encode()).hexdigest()[:12]}"


def make_base_image(buildah: Buildah, progress: Progress) -> str:
    """Make the base image unless the store has it; returns its name.

    Raises:
        BuildError: debootstrap or buildah failed.
    """
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
            shutil.rmtree(folder)  # the store has a copy
    return image


def _debootstrap(root: Path) -> None:
    root.mkdir(parents=True)
    run_isolated(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(root),
        *package_mirror(_archives()),
    )
    for name in SUPERFLUOUS:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
    (root / "etc" / "resolv.conf").unlink(missing_ok=True)  # this machine's; the kubelet writes each pod's


def package_mirror(archives: str) -> tuple[str, ...]:
    """Return the URL that this machine installs the suite from, as debootstrap's last argument.

    Args:
        archives: lines of "release URL", as apt-get prints them.

    Returns:
        One URL, or nothing: debootstrap then uses deb.debian.org.
    """
    sites = [site for release, _, site in (line.partition(" ") for line in archives.splitlines()) if release == SUITE]
    return tuple(sites[:1])


def _archives() -> str:
    """Return apt's package indexes, one line of "release URL" each."""
    return subprocess.run(LIST_ARCHIVES, capture_output=True, text=True, check=False).stdout
