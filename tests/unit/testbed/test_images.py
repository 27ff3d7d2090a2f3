"""Image archives, keys, and what a build is told about the package registry."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.images.archives import pause_archive, single_program_image, write_merged
from voxfleet_testbed.images.base_image import base_image_name, package_mirror
from voxfleet_testbed.images.buildah import ISOLATED, locked, pip_configuration, unfinished
from voxfleet_testbed.images.mounts import find_uv, install_command, make_site_packages
from voxfleet_testbed.images.project import KEPT_ARCHIVES, PARTS, copied_files, image_key, image_name, outdated_archives
from voxfleet_testbed.settings import REPOSITORY

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
def test_an_images_key_changes_with_what_goes_in(name: str, context: Path) -> None:
    before = key(context)
    with (context / name).open("a") as file:
        file.write("# more")
    assert key(context) != before


@pytest.mark.parametrize("name", ["other.py", "part/__pycache__/code.pyc"])
def test_an_images_key_ignores_what_stays_out(name: str, context: Path) -> None:
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


def test_an_archive_holds_one_program_that_starts() -> None:
    with tarfile.open(fileobj=io.BytesIO(single_program_image("localhost/x:1", "pause", b"ELF"))) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        config = json.load(archive.extractfile("config.json") or io.BytesIO())
        layer_bytes = (archive.extractfile("layer.tar") or io.BytesIO()).read()
    assert manifest == [{"Config": "config.json", "RepoTags": ["localhost/x:1"], "Layers": ["layer.tar"]}]
    assert config["config"]["Entrypoint"] == ["/pause"]
    with tarfile.open(fileobj=io.BytesIO(layer_bytes)) as layer:
        assert layer.getmember("pause").mode == 0o755
        assert (layer.extractfile("pause") or io.BytesIO()).read() == b"ELF"


def test_the_same_program_gives_the_same_archive() -> None:
    assert single_program_image("a", "b", b"c") == single_program_image("a", "b", b"c")


def test_the_pause_archive_is_made_once(tmp_path: Path) -> None:
    program = tmp_path / "pause-0123" / "pause"
    program.parent.mkdir()
    program.write_bytes(b"ELF")
    first = pause_archive(tmp_path, program)
    made_at = first.stat().st_mtime_ns
    assert pause_archive(tmp_path, program) == first
    assert first.stat().st_mtime_ns == made_at


def archive_of(path: Path, image: str, layers: dict[str, bytes]) -> Path:
    """An archive as buildah writes it: layers named by content, a manifest at the end."""
    manifest = [{"Config": f"{image}.json", "RepoTags": [f"localhost/{image}:1"], "Layers": list(layers)}]
    files = {**layers, f"{image}.json": b"{}", "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo(f"legacy-{image}/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, f"../{next(iter(layers))}"
        archive.addfile(link)
    return path


def test_merged_archives_hold_every_image_and_shared_layers_once(tmp_path: Path) -> None:
    one = archive_of(tmp_path / "one.tar", "one", {"base.tar": b"base", "1.tar": b"first"})
    two = archive_of(tmp_path / "two.tar", "two", {"base.tar": b"base", "2.tar": b"second"})
    stream = io.BytesIO()
    write_merged([one, two], stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as merged:
        names = merged.getnames()
        manifest = json.load(merged.extractfile("manifest.json") or io.BytesIO())
        assert (merged.extractfile("2.tar") or io.BytesIO()).read() == b"second"
    once = ["base.tar", "1.tar", "2.tar", "one.json", "two.json", "manifest.json"]
    assert sorted(names) == sorted([*once, "legacy-one/layer.tar", "legacy-two/layer.tar"])
    assert [entry["RepoTags"] for entry in manifest] == [["localhost/one:1"], ["localhost/two:1"]]


def test_archives_long_unused_are_outdated(tmp_path: Path) -> None:
    for age in range(KEPT_ARCHIVES + 2):
        archive = tmp_path / f"gateway-{age}.tar"
        archive.touch()
        os.utime(archive, (1000 - age, 1000 - age))
    (tmp_path / "operator-9.tar").touch()
    outdated = {archive.name for archive in outdated_archives("gateway", tmp_path)}
    assert outdated == {f"gateway-{KEPT_ARCHIVES}.tar", f"gateway-{KEPT_ARCHIVES + 1}.tar"}


def test_pip_settings_are_handed_on_without_what_is_not_about_the_registry() -> None:
    listing = ":env:.index-url='https://mirror.test/simple'\nglobal.cert='/somewhere'\nglobal.timeout='60'"
    assert pip_configuration(listing).splitlines() == [
        "[global]",
        "cert = /etc/ssl/certs/ca-certificates.crt",
        "index-url = https://mirror.test/simple",
        "timeout = 60",
    ]


def test_without_pip_settings_only_the_authorities_are_named() -> None:
    assert pip_configuration("") == "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"


def test_the_base_images_name_is_stable_and_local() -> None:
    assert base_image_name() == base_image_name()
    assert base_image_name().startswith("localhost/voxfleet-base:")


def test_what_broke_off_is_never_taken_for_finished(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with pytest.raises(KeyError), unfinished(target) as partial:  # noqa: PT012 - it must break off halfway
        partial.mkdir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with unfinished(target) as partial:
        partial.write_text("all")
    assert target.read_text() == "all"


def test_locks_are_held_one_at_a_time(tmp_path: Path) -> None:
    name = tmp_path / "thing"
    command = ["flock", "--nonblock", str(tmp_path / ".thing.lock"), "true"]
    with locked(name):
        assert subprocess.run(command, check=False).returncode == 1
    assert subprocess.run(command, check=False).returncode == 0


def test_a_builder_is_killed_with_its_caller_and_takes_its_children_along() -> None:
    assert "--pdeathsig" in ISOLATED
    assert {"--pid", "--mount", "--kill-child=KILL"} <= set(ISOLATED)


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


def test_the_base_comes_from_where_this_machine_installs() -> None:
    archives = "bookworm-updates http://b/debian\nbookworm http://a/debian\nbookworm http://c/debian\n"
    assert package_mirror(archives) == ("http://a/debian",)
    assert package_mirror("") == ()
