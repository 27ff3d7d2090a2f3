"""Releases: one version everywhere, notes from the changelog, workflow files that actionlint accepts."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

RELEASE = REPOSITORY / ".github/workflows/release.yml"
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", REPOSITORY / "scripts/release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for chart in ("voxfleet", "voxfleet-crds"):
        (tmp_path / "charts" / chart).mkdir(parents=True)
        (tmp_path / "charts" / chart / "Chart.yaml").write_text('name: x\nversion: 1.2.3\nappVersion: "1.2.3"\n')
    for part in ("operator", "gateway", "inference"):
        (tmp_path / part / f"voxfleet_{part}").mkdir(parents=True)
        (tmp_path / part / f"voxfleet_{part}/__init__.py").write_text('"""X."""\n\n__version__: Final = "1.2.3"\n')
    (tmp_path / "cli/kubectl").mkdir(parents=True)
    (tmp_path / "cli/kubectl/kubectl-voxfleet").write_text("#!/bin/sh\nversion=1.2.3\nexit 1\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# C\n\n## [Unreleased]\n\n- new\n\n## [1.2.3] - 2026-12-24\n\n- done\n\n## [1.2.2]\n\n- old\n"
    )
    return tmp_path


def test_a_checkout_that_is_ready(release: ModuleType, checkout: Path) -> None:
    assert list(release.faults(checkout, "1.2.3")) == []
    assert release.notes(checkout, "1.2.3") == "- done"
    assert release.notes(checkout, "1.2.2") == "- old"


def test_every_other_version_is_named(release: ModuleType, checkout: Path) -> None:
    said = "\n".join(release.faults(checkout, "1.2.4"))
    assert said.count("not 1.2.4") == 9
    assert "CHANGELOG.md has no section [1.2.4]" in said
    assert list(release.faults(checkout, "1x2x3")) != []


def test_this_checkout_has_one_version(release: ModuleType) -> None:
    version = yaml.safe_load((REPOSITORY / "charts/voxfleet/Chart.yaml").read_text())["version"]
    assert [line for line in release.faults(REPOSITORY, version) if "CHANGELOG" not in line] == []


def test_the_manifest_for_krew_names_the_archive_and_its_hash(release: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"voxfleet-1\.2\.3-py3-none-any\.whl"):
        release.write_plugin(REPOSITORY, "1.2.3", "https://e.example/v1.2.3/", tmp_path)
    (tmp_path / "voxfleet-1.2.3-py3-none-any.whl").write_bytes(b"wheel")
    release.write_plugin(REPOSITORY, "1.2.3", "https://e.example/v1.2.3/", tmp_path)
    manifest = yaml.safe_load((tmp_path / "voxfleet-krew.yaml").read_text())
    [platform] = manifest["spec"]["platforms"]
    archive = tmp_path / platform["uri"].removeprefix("https://e.example/v1.2.3/")
    assert manifest["spec"]["version"] == "v1.2.3"
    assert platform["uri"].endswith(".tar.gz"), "krew unpacks gzip and zip"
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        modes = {each.name: each.mode for each in packed.getmembers()}
    assert set(modes) == {each["from"] for each in platform["files"]}
    assert modes[platform["bin"]] == 0o755
    first = archive.read_bytes()
    release.write_plugin(REPOSITORY, "1.2.3", "https://e.example/v1.2.3/", tmp_path)
    assert archive.read_bytes() == first


@pytest.mark.parametrize("arguments", [[], ["check"], ["notes", "1", "2"], ["plugin", "1.2.3"], ["other", "1.2.3"]])
def test_wrong_arguments_print_the_commands(release: ModuleType, arguments: list[str], capsys: Any) -> None:
    assert release.main(arguments) == 2
    assert "release.py plugin VERSION" in capsys.readouterr().err


def test_the_release_attaches_the_plugin() -> None:
    [step] = [each["run"] for each in yaml.safe_load(RELEASE.read_text())["jobs"]["release"]["steps"] if "run" in each]
    assert step.index("scripts/release.py plugin") < step.index("sha256sum") < step.index("gh release create")


@pytest.mark.parametrize("program", ["voxfleet", "voxfleet-operator", "voxfleet-gateway", "voxfleet-inference"])
def test_every_program_prints_the_version(program: str) -> None:
    command = [str(Path(sys.executable).with_name(program)), "--version"]
    version = yaml.safe_load((REPOSITORY / "charts/voxfleet/Chart.yaml").read_text())["version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{program} {version}\n"


def test_actionlint_accepts_every_workflow(testbed_settings: Settings) -> None:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["actionlint"])
    shellcheck = Path(sys.executable).with_name("shellcheck")
    command = [str(programs.path("actionlint")), "-shellcheck", str(shellcheck), *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout
    assert len(WORKFLOWS) == 2


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.name, name, job) for path in WORKFLOWS for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    ]


@pytest.mark.parametrize(("file", "name", "job"), jobs(), ids=lambda value: value if isinstance(value, str) else "")
def test_jobs_have_least_rights_and_keep_no_credentials(file: str, name: str, job: dict[str, Any]) -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows" / file).read_text())
    rights = job.get("permissions", workflow.get("permissions"))
    assert isinstance(rights, dict), f"{name} has the repository's default rights"
    assert {key for key, value in rights.items() if value == "write"} <= {"id-token", "attestations", "contents"}
    assert rights.get("contents") != "write" or name == "release"
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_release_names_the_files_that_exist() -> None:
    text = RELEASE.read_text()
    matrix = yaml.safe_load(text)["jobs"]["images"]["strategy"]["matrix"]["include"]
    assert all((REPOSITORY / each["part"] / "Dockerfile").is_file() for each in matrix)
    assert "scripts/release.py check" in text


def test_the_release_builds_a_tag_for_gpus_and_one_for_cpus() -> None:
    matrix = yaml.safe_load(RELEASE.read_text())["jobs"]["images"]["strategy"]["matrix"]["include"]
    tags = [(each["part"], each.get("suffix", ""), each.get("dependencies", "")) for each in matrix]
    assert tags == [("operator", "", ""), ("gateway", "", ""), ("inference", "", ""), ("inference", "-cpu", "cpu")]


def test_images_get_the_pages_that_a_clean_checkout_lacks_and_the_releases_version() -> None:
    """Without the pages a build ends; without the argument every image is labelled with the Dockerfile's version."""
    found = yaml.safe_load(RELEASE.read_text())["jobs"]
    uploaded = next(step["with"] for step in found["prepare"]["steps"] if step.get("with", {}).get("name") == "pages")
    folders = uploaded["path"].split()
    [served_by] = re.findall(r"^served_by=\((.+)\)$", (REPOSITORY / "scripts/web").read_text(), re.MULTILINE)
    assert folders == served_by.split()
    assert "prepare" in found["images"]["needs"]
    assert {"name": "pages"} in [step.get("with") for step in found["images"]["steps"]], (
        "unpacked at the checkout's root"
    )
    build = next(step["run"] for step in found["images"]["steps"] if step.get("id") == "build")
    dockerfile = (REPOSITORY / "inference/Dockerfile").read_text()
    declared = set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    given = set(re.findall(r'--build-arg "(\w+)=', build))
    assert {"VERSION", "REVISION"} <= given <= declared
