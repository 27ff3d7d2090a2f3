"""Missing packages and missing root are named in one line."""

from __future__ import annotations

import pytest
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.programs.packages import (
    PACKAGE_OF,
    POLICY_PACKAGE_OF,
    is_installed,
    missing_packages,
    require_cluster_prerequisites,
)


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


def test_a_node_without_containers_needs_no_container_runtime() -> None:
    require_cluster_prerequisites(0, lambda program: program != "runc", POLICY_PACKAGE_OF)
    with pytest.raises(UnavailableError, match="missing packages: iptables;"):
        require_cluster_prerequisites(0, lambda program: program != "iptables", POLICY_PACKAGE_OF)


def test_missing_root_is_one_clear_line() -> None:
    with pytest.raises(UnavailableError, match="needs root"):
        require_cluster_prerequisites(1000, lambda _program: True)


def test_programs_are_found_on_path_and_by_absolute_path() -> None:
    assert is_installed("sh")
    assert is_installed("/bin/sh")
    assert not is_installed("/usr/lib/cni/no-such-plugin")
    assert all(package for package in PACKAGE_OF.values())
