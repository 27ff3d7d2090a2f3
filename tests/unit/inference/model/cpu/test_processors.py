"""A container's CPU quota, as control groups of both versions write it."""

from pathlib import Path

import pytest
from voxfleet_inference.model.cpu.processors import granted_processors, processors_of


@pytest.mark.parametrize(
    ("quota", "processors"),
    [
        (["200000", "100000"], 2.0),
        (["50000", "100000"], 0.5),
        (["max", "100000"], None),
        (["-1", "100000"], None),
        (["200000", "0"], None),
        ([], None),
    ],
)
def test_a_quota_is_work_per_time(quota: list[str], processors: float | None) -> None:
    assert processors_of(quota) == processors


def test_both_versions_of_control_groups_are_read(tmp_path: Path) -> None:
    assert granted_processors(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert granted_processors(tmp_path) == 3.0
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert granted_processors(tmp_path) == 1.5
