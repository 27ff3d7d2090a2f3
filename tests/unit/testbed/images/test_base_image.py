"""The base image: its commands, its name, its package mirror."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voxfleet_testbed.images import base_image
from voxfleet_testbed.images.base_image import base_image_name, package_mirror
from voxfleet_testbed.images.buildah import Buildah

if TYPE_CHECKING:
    from conftest import Recorder


def test_debootstrap_leaves_no_device_files_behind(tmp_path: Path, recorder: Recorder) -> None:
    base_image.make_base_image(Buildah(tmp_path), lambda *_arguments: None)
    assert recorder.verbs() == ["images", "debootstrap", "bud"]
    assert "--variant=minbase" in recorder.commands[1]
    assert not (tmp_path / "base").exists()


def test_the_base_images_name_is_stable_and_local() -> None:
    assert base_image_name() == base_image_name()
    assert base_image_name().startswith("localhost/voxfleet-base:")


def test_the_base_image_uses_this_machines_mirror() -> None:
    archives = "bookworm-updates http://b/debian\nbookworm http://a/debian\nbookworm http://c/debian\n"
    assert package_mirror(archives) == ("http://a/debian",)
    assert package_mirror("") == ()
