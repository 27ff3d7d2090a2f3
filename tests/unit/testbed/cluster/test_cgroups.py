"""Cgroups in both versions of the hierarchy."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.cluster.cgroups import make_cgroup


def test_v1_has_the_cgroup_in_every_hierarchy_with_the_parents_cpus(tmp_path: Path) -> None:
    for hierarchy in ("memory", "cpuset"):
        (tmp_path / hierarchy).mkdir()
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (tmp_path / "cpuset" / name).write_text(value)
    make_cgroup("/voxfleet-x/eu-1", tmp_path)
    assert (tmp_path / "memory" / "voxfleet-x" / "eu-1").is_dir()
    assert (tmp_path / "cpuset" / "voxfleet-x" / "eu-1").is_dir()


def test_v2_enables_the_controllers_for_children(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids rdma")
    (tmp_path / "cgroup.subtree_control").write_text("")
    make_cgroup("/voxfleet-x", tmp_path)
    assert (tmp_path / "voxfleet-x").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
