"""Which program comes from which Go module, and what changes a build's cache key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_testbed.programs.go_modules import (
    ALL_PROGRAMS,
    CLUSTER_PROGRAMS,
    DEFAULT_KUBERNETES,
    GO_MODULES,
    KUBERNETES,
    GoModule,
    build_key,
    by_go_module,
    go_modules,
    parse_version,
    required_go_version,
)
from voxfleet_testbed.settings import GO_SOURCES

MODULE = GoModule("example", {"server": "example.test/server/v3", "client": "example.test/cmd/client"})


def sources(folder: Path, go_mod: str = "module x\n\ngo 1.24.0\n") -> Path:
    (folder / "go.mod").write_text(go_mod)
    (folder / "go.sum").write_text("sums\n")
    return folder


def test_every_program_belongs_to_one_module() -> None:
    assert len(set(ALL_PROGRAMS)) == len(ALL_PROGRAMS)
    assert set(CLUSTER_PROGRAMS) <= set(ALL_PROGRAMS)


@pytest.mark.parametrize("module", GO_MODULES, ids=lambda module: module.name)
def test_every_module_has_its_go_mod(module: GoModule) -> None:
    go_mod = (GO_SOURCES / module.name / "go.mod").read_text()
    assert required_go_version(go_mod) >= (1, 24)


@pytest.mark.parametrize("version", KUBERNETES)
def test_each_kubernetes_is_built_from_the_modules_of_its_version(version: str) -> None:
    module = KUBERNETES[version]
    go_mod = (GO_SOURCES / module.name / "go.mod").read_text()
    patch = re.search(r"k8s.io/kubernetes v1\.(\S+)", go_mod)
    assert patch is not None
    assert f"gitVersion=v1.{patch[1]} " in module.linker_flags
    assert set(re.findall(r"=> k8s.io/\S+ (\S+)", go_mod)) == {f"v0.{patch[1]}"}
    assert [each.name for each in go_modules(version)] == [
        module.name if each is KUBERNETES[DEFAULT_KUBERNETES] else each.name for each in GO_MODULES
    ]


def test_etcd_is_built_first() -> None:
    assert [module.name for module in by_go_module(CLUSTER_PROGRAMS)][:2] == ["etcd", "kubernetes"]


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(ValueError, match="kube-apisever"):
        by_go_module(["kube-apisever"])


@given(st.sets(st.sampled_from(ALL_PROGRAMS)))
def test_grouping_loses_nothing(wanted: set[str]) -> None:
    assert {name for names in by_go_module(wanted).values() for name in names} == wanted


def test_the_key_is_stable(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.26.8", (1, 26, 8)), ("go1.24.0", (1, 24, 0)), ("go1.26rc1", (1, 26))]
)
def test_versions_compare_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_version(text) == numbers


def test_tags_change_the_key(tmp_path: Path) -> None:
    tagged = GoModule(MODULE.name, MODULE.packages, tags="small")
    assert build_key(tagged, sources(tmp_path)) != build_key(MODULE, tmp_path)
