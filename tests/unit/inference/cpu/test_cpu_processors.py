"""A container's share of the processors, as control groups of both versions write it."""

from pathlib import Path

import pytest
from voxfleet_inference.engine.process import EngineSettings, Limits
from voxfleet_inference.model.cpu.processors import granted_processors, processors_of
from voxfleet_inference.worker import loading


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


def test_both_versions_of_control_groups(tmp_path: Path) -> None:
    assert granted_processors(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert granted_processors(tmp_path) == 3.0
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert granted_processors(tmp_path) == 1.5


@pytest.mark.parametrize(("granted", "threads"), [(None, 8), (3.7, 3), (0.5, 1), (64.0, 8)])
def test_threads_follow_what_was_granted(
    granted: float | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(max_rows=1, max_waiting=1)
    monkeypatch.setattr(loading, "granted_processors", lambda: granted)
    monkeypatch.setattr(loading.torch, "get_num_threads", lambda: 8)
    settings = EngineSettings(model_path=tmp_path, limits=limits)
    assert loading._cpu_threads(settings) == 1  # a small model
    monkeypatch.setattr(loading, "_WORTH_DIVIDING_BYTES", 0)
    assert loading._cpu_threads(settings) == threads
    assert loading._cpu_threads(EngineSettings(model_path=tmp_path, limits=limits, cpu_threads=5)) == 5
