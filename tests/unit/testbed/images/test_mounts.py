"""The mounted packages: which uv installs them, with which options, and how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.images.mounts import find_uv, install_command, make_site_packages


def test_packages_are_wheels_for_the_images_python_checked_by_hash() -> None:
    command = install_command("/bin/uv", Path("requirements.txt"), Path("/target"))
    assert {"--require-hashes", "--only-binary=:all:", "--python-version=3.11"} <= set(command)


def test_the_pinned_uv_is_preferred(tmp_path: Path) -> None:
    pinned = tmp_path / "uv-0123" / "bin" / "uv"
    pinned.parent.mkdir(parents=True)
    pinned.touch()
    assert find_uv(tmp_path) == str(pinned)


def test_a_missing_uv_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="uv is needed"):
        find_uv(tmp_path)


def test_a_failed_install_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    uv = tmp_path / "uv-0" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text("#!/bin/sh\necho hash mismatch >&2; exit 1\n")
    uv.chmod(0o755)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("x==1\n")
    with pytest.raises(BuildError, match="hash mismatch"):
        make_site_packages(tmp_path, requirements)
    assert not [path for path in (tmp_path / "site-packages").iterdir() if path.is_dir()]
