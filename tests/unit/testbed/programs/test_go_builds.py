"""Builds run once, are cached, and explain what is missing or does not compile."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.events import Progress
from voxfleet_testbed.programs import go_builds
from voxfleet_testbed.programs.go_builds import Programs, build, build_command, check_go, find_programs
from voxfleet_testbed.programs.go_modules import (
    GO_MODULES,
    GoModule,
)
from voxfleet_testbed.settings import read_settings

MODULE = GoModule("example", {"server": "example.test/server/v3", "client": "example.test/cmd/client"})


def test_one_command_builds_several_programs() -> None:
    command = build_command(MODULE, ["server", "client"], Path("/out"))
    assert command[-2:] == ["example.test/server/v3", "example.test/cmd/client"]
    assert command[command.index("-o") + 1] == "/out/"


def test_go_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"Go 1\.\d+ or newer is needed to build etcd, and `go` is not on PATH"):
        check_go(GO_MODULES[0])


def test_an_old_go_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(UnavailableError, match=r"this is go1\.19\.8"):
        check_go(GO_MODULES[0])


def test_nothing_is_done_when_all_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    for name in ("etcd", "kubelet"):
        programs.path(name).parent.mkdir(parents=True)
        programs.path(name).write_text("built")
    monkeypatch.setattr(go_builds, "_build_module", pytest.fail)
    build(programs, ("etcd", "kubelet"))
    assert programs.missing(("etcd", "kubelet", "helm")) == ("helm",)


def test_kubebuilder_assets_take_precedence(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "etcd").write_text("mine")
    programs = find_programs(
        read_settings({"KUBEBUILDER_ASSETS": str(tmp_path / "assets"), "XDG_CACHE_HOME": str(tmp_path)})
    )
    assert programs.path("etcd") == tmp_path / "assets" / "etcd"
    assert programs.path("kubelet").is_relative_to(tmp_path / "voxfleet" / "programs")


def test_a_small_module_really_builds_and_is_cached(tmp_path: Path) -> None:
    programs, seen = Programs(tmp_path), []
    build(programs, ["pause"], lambda event: seen.append((event.phase, event.state)))
    assert programs.path("pause").stat().st_mode & 0o111
    assert seen[0] == ("build pause", "started")
    assert seen[-1] == ("build pause", "done")
    seen.clear()
    build(programs, ["pause"], lambda event: seen.append((event.phase, event.state)))
    assert seen == []


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GoModule:
    """A module of one small program, for builds that fail or race."""
    module = GoModule("small", {"small": "."})
    (tmp_path / "go" / "small").mkdir(parents=True)
    (tmp_path / "go" / "small" / "go.mod").write_text("module example.test/small\n\ngo 1.24.0\n")
    (tmp_path / "go" / "small" / "main.go").write_text("package main\n\nfunc main() {}\n")
    monkeypatch.setattr(go_builds, "GO_SOURCES", tmp_path / "go")
    monkeypatch.setattr(go_builds, "go_modules", lambda _version: (module,))
    monkeypatch.setattr(go_builds, "by_go_module", lambda names, _modules: {module: tuple(names)})
    return module


def test_files_of_the_module_are_kept_beside_its_programs(small: GoModule, tmp_path: Path) -> None:
    module = replace(small, assets=("config/stages.yaml",))
    published = tmp_path / "go" / "small" / "config"
    published.mkdir()
    (published / "stages.yaml").write_text("stages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(go_builds, "go_modules", lambda _version: (module,))
        patch.setattr(go_builds, "by_go_module", lambda names, _modules: {module: tuple(names)})
        programs = Programs(tmp_path / "cache")
        build(programs, ["small"])
        assert programs.asset("small", "stages.yaml").read_text() == "stages"


@pytest.mark.parametrize(
    ("package", "file"),
    [("go.etcd.io/etcd/server/v3", "server"), ("sigs.k8s.io/karpenter/kwok", "kwok"), (".", "example")],
)
def test_a_built_file_is_found_by_its_packages_name(package: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("program")
    assert go_builds._built(tmp_path, package, "example") == tmp_path / file


@pytest.mark.usefixtures("small")
def test_a_program_that_does_not_compile_is_explained_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / "go" / "small" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    programs = Programs(tmp_path / "cache")
    with pytest.raises(BuildError, match="undefined: undefined"):
        build(programs, ["small"])
    assert programs.missing(["small"]) == ("small",)


@pytest.mark.usefixtures("small")
def test_a_module_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    (tmp_path / "go" / "small" / "go.mod").write_text("module example.test/small\n\ngo 1.24.0\n\nrequire nonsense\n")
    with pytest.raises(BuildError, match="go list"):
        build(Programs(tmp_path / "cache"), ["small"])


@pytest.mark.usefixtures("small")
def test_parallel_builds_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds: list[Path] = []
    really = go_builds._build_module

    def counted(module: GoModule, names: tuple[str, ...], folder: Path, progress: Progress) -> None:
        builds.append(folder)
        really(module, names, folder, progress)

    monkeypatch.setattr(go_builds, "_build_module", counted)
    threads = [threading.Thread(target=build, args=(Programs(tmp_path / "cache"), ["small"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert Programs(tmp_path / "cache").missing(["small"]) == ()


def test_a_version_of_kubernetes_is_chosen() -> None:
    assert find_programs(read_settings({"TESTBED_KUBERNETES": "1.37"})).kubernetes == "1.37"
    assert find_programs(read_settings({})).kubernetes == "1.34"
    with pytest.raises(UnavailableError, match=r"'1\.36'; versions that can be built: 1\.34, 1\.37"):
        find_programs(read_settings({"TESTBED_KUBERNETES": "1.36"}))
