"""Cgroups in both versions of the hierarchy."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.cluster.cgroups import make_cgroup, processes_in


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


def test_the_processes_of_a_cgroup_are_those_below_it_in_any_hierarchy(tmp_path: Path) -> None:
    lists = {"memory/run/eu-1/pod/a": "11\n12\n", "pids/run/eu-1/pod/a": "12\n13\n", "memory/run/us-1/pod/b": "14\n"}
    for folder, pids in lists.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cgroup.procs").write_text(pids)
    assert processes_in("/run/eu-1", tmp_path) == {11, 12, 13}
    assert processes_in("/run/none", tmp_path) == set()
