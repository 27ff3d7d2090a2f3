"""The project's images: keys, build commands, and what is not built again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from voxfleet_testbed.errors import BuildError
from voxfleet_testbed.images import base_image, buildah, project
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.images.project import (
    KEPT_ARCHIVES,
    PARTS,
    build_project_images,
    copied_files,
    image_key,
    image_name,
    make_mounts,
    outdated_archives,
)
from voxfleet_testbed.settings import REPOSITORY, Settings, read_settings

if TYPE_CHECKING:
    from conftest import Recorder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"XDG_CACHE_HOME": str(tmp_path)})


@pytest.fixture
def unmounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace make_mounts, which installs 5 GB."""
    mounts = (Mount(Path("/packages"), "/testbed/site-packages"),)
    monkeypatch.setattr(project, "make_mounts", lambda *_arguments: mounts)


def options(command: Sequence[str], name: str) -> list[str]:
    return [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]


def test_the_base_is_built_before_the_images_on_it(settings: Settings, recorder: Recorder) -> None:
    build_project_images(settings, ["gateway"])
    assert recorder.verbs() == ["images", "debootstrap", "bud", "bud", "push"]
    base, gateway = (command for command in recorder.commands if "bud" in command)
    assert options(gateway, "build-arg") == [f"BASE_IMAGE={options(base, 'tag')[0]}"]
    assert options(gateway, "file") == [str(REPOSITORY / "gateway" / "Dockerfile")]


def test_nothing_is_built_twice(settings: Settings, recorder: Recorder) -> None:
    first = build_project_images(settings, ["gateway", "operator"])
    done = len(recorder.commands)
    assert build_project_images(settings, ["gateway", "operator"]) == first
    assert recorder.verbs()[done:] == ["images"]


@pytest.mark.usefixtures("unmounted")
def test_only_the_speech_servers_image_links_to_the_mounts(settings: Settings, recorder: Recorder) -> None:
    images = build_project_images(settings, ["operator", "inference"])
    given = [options(command, "build-arg") for command in recorder.commands if "bud" in command]
    assert [("DEPENDENCIES=mounted" in arguments) for arguments in given] == [False, False, True, False]
    assert given[-1][0].startswith("IMAGE=localhost/voxfleet-inference:")
    assert len(images.mounts) == 1


def test_an_image_is_named_after_its_part(settings: Settings, recorder: Recorder) -> None:
    images = build_project_images(settings, ["gateway"])
    assert images.names == {"gateway": "localhost/voxfleet-gateway:testbed"}
    assert recorder.commands[-1][-1].endswith(":localhost/voxfleet-gateway:testbed")
    assert images.archives[0].read_text() == "archive"


def test_builds_get_this_machines_pip_settings_read_only(settings: Settings, recorder: Recorder) -> None:
    build_project_images(settings, ["gateway"])
    volumes = [volume.rsplit(":", 2) for volume in options(recorder.commands[-2], "volume")]
    assert ["/etc/pip.conf", "ro"] in [volume[1:] for volume in volumes]
    assert all(mode == "ro" for _source, _target, mode in volumes)


def test_a_failed_build_leaves_no_archive(
    settings: Settings, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_at_push(*command: str) -> str:
        answer = recorder(*command)
        if "push" in command:
            raise BuildError("no space left")
        return answer

    monkeypatch.setattr(buildah, "run_isolated", fail_at_push)
    monkeypatch.setattr(base_image, "run_isolated", fail_at_push)
    with pytest.raises(BuildError, match="no space left"):
        build_project_images(settings, ["gateway"])
    left = [path.name for path in (settings.cache / "images").iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_the_image_links_to_every_mount(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "make_site_packages", lambda cache, _requirements: cache / "site-packages" / "1")
    for mount in make_mounts(settings):
        assert f"ln -s {mount.destination} " in project.LINKED_DOCKERFILE
        assert mount.source.is_relative_to(settings.cache)


DOCKERFILE = """ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY requirements/part.txt /tmp/requirements.txt
COPY --chown=0:0 part /opt/part
COPY --from=other /x /y
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("requirements/part.txt", "part/code.py", "part/deep/more.py", "part/__pycache__/code.pyc", "other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "part" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def key(context: Path, base: str = "base:1", **arguments: str) -> str:
    return image_key(context / "part" / "Dockerfile", context, base, arguments)


def test_what_a_dockerfile_copies_is_found(context: Path) -> None:
    found = {str(file.relative_to(context)) for file in copied_files(DOCKERFILE, context)}
    assert found == {"requirements/part.txt", "part/code.py", "part/deep/more.py", "part/Dockerfile"}


@pytest.mark.parametrize("name", ["requirements/part.txt", "part/code.py", "part/deep/more.py", "part/Dockerfile"])
def test_an_images_key_changes_with_each_copied_file(name: str, context: Path) -> None:
    before = key(context)
    with (context / name).open("a") as file:
        file.write("# more")
    assert key(context) != before


@pytest.mark.parametrize("name", ["other.py", "part/__pycache__/code.pyc"])
def test_an_images_key_ignores_files_that_are_not_copied(name: str, context: Path) -> None:
    before = key(context)
    (context / name).write_text("changed")
    assert key(context) == before


def test_an_images_key_changes_with_base_and_arguments(context: Path) -> None:
    assert len({key(context), key(context, "base:2"), key(context, DEPENDENCIES="mounted")}) == 3


@pytest.mark.parametrize("part", PARTS)
def test_the_projects_dockerfiles_copy_only_what_exists(part: str) -> None:
    dockerfile = REPOSITORY / part / "Dockerfile"
    assert len(list(copied_files(dockerfile.read_text(), REPOSITORY))) > 3
    assert image_name(part) == f"localhost/voxfleet-{part}:testbed"


def test_archives_long_unused_are_outdated(tmp_path: Path) -> None:
    for age in range(KEPT_ARCHIVES + 2):
        archive = tmp_path / f"gateway-{age}.tar"
        archive.touch()
        os.utime(archive, (1000 - age, 1000 - age))
    (tmp_path / "operator-9.tar").touch()
    outdated = {archive.name for archive in outdated_archives("gateway", tmp_path)}
    assert outdated == {f"gateway-{KEPT_ARCHIVES}.tar", f"gateway-{KEPT_ARCHIVES + 1}.tar"}
