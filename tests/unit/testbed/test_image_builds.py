"""What buildah and debootstrap are asked, in which order, and what is not asked again."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from voxfleet_testbed import assembly
from voxfleet_testbed.errors import BuildError
from voxfleet_testbed.events import PhaseEvent, ignore
from voxfleet_testbed.images import base_image, buildah, project
from voxfleet_testbed.images.buildah import Buildah, locked, run_isolated
from voxfleet_testbed.images.mounts import Mount
from voxfleet_testbed.images.project import ProjectImages, build_project_images, make_mounts
from voxfleet_testbed.settings import REPOSITORY, Settings, read_settings


class Recorder:
    """Stands for the commands that need root; keeps them, and knows which images were built."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.images: set[str] = set()

    def __call__(self, *command: str) -> str:
        self.commands.append(command)
        verb = command[4] if command[0] == "buildah" else command[0]
        if verb == "bud":
            self.images.add(next(word for word in command if word.startswith("--tag=")).removeprefix("--tag="))
        if verb == "images":
            wanted = command[-1].removeprefix("reference=")
            return "an-id\n" if wanted in self.images else ""
        if verb == "push":
            Path(command[-1].split(":")[1]).write_text("archive")
        return ""

    def verbs(self) -> list[str]:
        return [command[4] if command[0] == "buildah" else command[0] for command in self.commands]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(buildah, "run_isolated", recorder)
    monkeypatch.setattr(base_image, "run_isolated", recorder)
    return recorder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"XDG_CACHE_HOME": str(tmp_path)})


@pytest.fixture
def unmounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installing 5 GB is not what these tests are about."""
    mounts = (Mount(Path("/packages"), "/testbed/site-packages"),)
    monkeypatch.setattr(project, "make_mounts", lambda *_arguments: mounts)


def options(command: Sequence[str], name: str) -> list[str]:
    return [word.partition("=")[2] for word in command if word.startswith(f"--{name}=")]


def test_the_base_comes_before_what_is_built_on_it(settings: Settings, recorder: Recorder) -> None:
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
def test_only_the_speech_servers_image_looks_at_the_mounts(settings: Settings, recorder: Recorder) -> None:
    images = build_project_images(settings, ["operator", "inference"])
    given = [options(command, "build-arg") for command in recorder.commands if "bud" in command]
    assert [("DEPENDENCIES=mounted" in arguments) for arguments in given] == [False, False, True, False]
    assert given[-1][0].startswith("IMAGE=localhost/voxfleet-inference:")
    assert len(images.mounts) == 1


def test_an_image_is_called_by_its_part_inside_the_cluster(settings: Settings, recorder: Recorder) -> None:
    images = build_project_images(settings, ["gateway"])
    assert images.names == {"gateway": "localhost/voxfleet-gateway:testbed"}
    assert recorder.commands[-1][-1].endswith(":localhost/voxfleet-gateway:testbed")
    assert images.archives[0].read_text() == "archive"


def test_builds_reach_the_registry_as_this_machine_does(settings: Settings, recorder: Recorder) -> None:
    build_project_images(settings, ["gateway"])
    volumes = [volume.rsplit(":", 2) for volume in options(recorder.commands[-2], "volume")]
    assert ["/etc/pip.conf", "ro"] in [volume[1:] for volume in volumes]
    assert all(mode == "ro" for _source, _target, mode in volumes)


def test_debootstrap_leaves_no_device_files_behind(tmp_path: Path, recorder: Recorder) -> None:
    base_image.make_base_image(Buildah(tmp_path), lambda *_arguments: None)
    assert recorder.verbs() == ["images", "debootstrap", "bud"]
    assert "--variant=minbase" in recorder.commands[1]
    assert not (tmp_path / "base").exists()


def test_a_failed_build_leaves_no_archive(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

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


def test_forgetting_an_image_that_is_in_use_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_command: str) -> str:
        raise BuildError("image is in use")

    monkeypatch.setattr(buildah, "run_isolated", refuse)
    Buildah(tmp_path).remove("localhost/x:1")


def test_a_commands_error_output_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildah, "ISOLATED", ())
    with pytest.raises(BuildError, match="`sh` failed:\nout\nthe disk is full"):
        run_isolated("sh", "-c", "echo out; echo the disk is full >&2; exit 1")
    assert run_isolated("echo", "fine") == "fine\n"


def test_mounts_are_made_once_and_lie_where_the_links_lead(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "make_site_packages", lambda cache, _requirements: cache / "site-packages" / "1")
    monkeypatch.setattr(project, "make_tiny_checkpoint", lambda cache, _sources: cache / "tiny" / "1")
    for mount in make_mounts(settings):
        assert f"ln -s {mount.destination} " in project.LINKED_DOCKERFILE
        assert mount.source.is_relative_to(settings.cache)


def test_two_who_want_the_same_make_it_one_after_the_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with locked(tmp_path / "thing"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_programs_and_images_are_made_side_by_side(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=60)
    made = ProjectImages({}, (), ())

    def make(*_arguments: object) -> ProjectImages:
        both.wait()  # breaks unless the other is under way too
        return made

    monkeypatch.setattr(assembly, "require_cluster_prerequisites", lambda: None)
    monkeypatch.setattr(assembly, "build", make)
    monkeypatch.setattr(assembly, "build_project_images", make)
    assert assembly.prepare(settings) is made


def test_a_failed_program_build_is_not_hidden_by_the_images(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise BuildError("`go build` failed")

    monkeypatch.setattr(assembly, "require_cluster_prerequisites", lambda: None)
    monkeypatch.setattr(assembly, "build", fail)
    monkeypatch.setattr(assembly, "build_project_images", lambda *_arguments: ProjectImages({}, (), ()))
    with pytest.raises(BuildError, match="go build"):
        assembly.prepare(settings)


def test_ignoring_events_is_allowed() -> None:
    ignore(PhaseEvent("anything", "done"))
