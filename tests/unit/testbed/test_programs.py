"""Which programs are built, under which key, and what is said when something is missing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.events import Progress
from voxfleet_testbed.programs import go_builds
from voxfleet_testbed.programs.go_builds import Programs, build, build_command, check_go, find_programs
from voxfleet_testbed.programs.go_modules import (
    ALL_PROGRAMS,
    CLUSTER_PROGRAMS,
    GO_MODULES,
    GoModule,
    build_key,
    by_go_module,
    parse_version,
    required_go_version,
)
from voxfleet_testbed.programs.packages import (
    PACKAGE_OF,
    is_installed,
    missing_packages,
    require_cluster_prerequisites,
)
from voxfleet_testbed.settings import GO_SOURCES, read_settings

MODULE = GoModule("example", {"server": "example.test/server/v3", "client": "example.test/cmd/client"})


def sources(folder: Path, go_mod: str = "module x\n\ngo 1.24.0\n") -> Path:
    (folder / "go.mod").write_text(go_mod)
    (folder / "go.sum").write_text("sums\n")
    return folder


def test_every_program_belongs_to_one_module() -> None:
    assert len(set(ALL_PROGRAMS)) == len(ALL_PROGRAMS)
    assert set(CLUSTER_PROGRAMS) <= set(ALL_PROGRAMS)


@pytest.mark.parametrize("module", GO_MODULES, ids=lambda module: module.name)
def test_every_module_has_its_module_file(module: GoModule) -> None:
    go_mod = (GO_SOURCES / module.name / "go.mod").read_text()
    assert required_go_version(go_mod) >= (1, 24)


def test_etcd_comes_first_because_others_wait_for_it() -> None:
    assert [module.name for module in by_go_module(CLUSTER_PROGRAMS)][:2] == ["etcd", "kubernetes"]


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(ValueError, match="kube-apisever"):
        by_go_module(["kube-apisever"])


@given(st.sets(st.sampled_from(ALL_PROGRAMS)))
def test_grouping_loses_nothing(wanted: set[str]) -> None:
    assert {name for names in by_go_module(wanted).values() for name in names} == wanted


def test_the_key_stays_while_nothing_changes(tmp_path: Path) -> None:
    assert build_key(MODULE, sources(tmp_path)) == build_key(MODULE, tmp_path)
    assert build_key(MODULE, tmp_path).startswith("example-")


@pytest.mark.parametrize(
    ("name", "text"), [("go.mod", "module y\n"), ("go.sum", "other\n"), ("main.go", "package main\n")]
)
def test_the_key_changes_with_each_source(name: str, text: str, tmp_path: Path) -> None:
    before = build_key(MODULE, sources(tmp_path))
    (tmp_path / name).write_text(text)
    assert build_key(MODULE, tmp_path) != before


def test_the_key_changes_with_the_flags(tmp_path: Path) -> None:
    stamped = GoModule(MODULE.name, MODULE.packages, "-s -w -X a=b")
    assert build_key(stamped, sources(tmp_path)) != build_key(MODULE, tmp_path)


def test_one_command_builds_several_programs() -> None:
    command = build_command(MODULE, ["server", "client"], Path("/out"))
    assert command[-2:] == ["example.test/server/v3", "example.test/cmd/client"]
    assert command[command.index("-o") + 1] == "/out/"


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.26.8", (1, 26, 8)), ("go1.24.0", (1, 24, 0)), ("go1.26rc1", (1, 26))]
)
def test_versions_compare_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_version(text) == numbers


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


def test_a_build_of_ones_own_is_preferred(tmp_path: Path) -> None:
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
    monkeypatch.setattr(go_builds, "GO_MODULES", (module,))
    monkeypatch.setattr(go_builds, "by_go_module", lambda names: {module: tuple(names)})
    return module


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
def test_two_who_build_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_missing_packages_are_each_named_once() -> None:
    assert missing_packages(lambda program: program not in {"containerd", "ctr", "buildah"}) == (
        "containerd",
        "buildah",
    )
    assert missing_packages(lambda _program: True) == ()


def test_missing_packages_are_one_clear_line() -> None:
    with pytest.raises(UnavailableError, match="missing packages: runc; install them with") as raised:
        require_cluster_prerequisites(0, lambda program: program != "runc")
    assert "\n" not in str(raised.value)


def test_a_user_without_root_is_told_so() -> None:
    with pytest.raises(UnavailableError, match="needs root"):
        require_cluster_prerequisites(1000, lambda _program: True)


def test_programs_are_looked_up_on_the_path_and_by_their_place() -> None:
    assert is_installed("sh")
    assert is_installed("/bin/sh")
    assert not is_installed("/usr/lib/cni/no-such-plugin")
    assert all(package for package in PACKAGE_OF.values())
