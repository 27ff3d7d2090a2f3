"""Kernel settings are restored after the last cluster, and only if they were saved."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.supervision.kernel_settings import NAMES, restore_kernel_settings, save_kernel_settings


def kernel(folder: Path, value: str) -> Path:
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    return folder


def test_kernel_settings_are_restored_after_the_last_cluster(tmp_path: Path) -> None:
    settings, saved, cgroups = kernel(tmp_path / "sys", "before"), tmp_path / "saved.json", tmp_path / "cgroups"
    save_kernel_settings(settings, saved)
    kernel(settings, "changed by a kubelet")
    save_kernel_settings(settings, saved)
    (cgroups / "memory" / "voxfleet-another").mkdir(parents=True)
    restore_kernel_settings(settings, saved, cgroups)
    assert (settings / NAMES[0]).read_text() == "changed by a kubelet"
    (cgroups / "memory" / "voxfleet-another").rmdir()
    restore_kernel_settings(settings, saved, cgroups)
    assert {(settings / name).read_text() for name in NAMES} == {"before"}
    assert not saved.exists()


def test_without_saved_values_nothing_is_restored(tmp_path: Path) -> None:
    settings = kernel(tmp_path / "sys", "as it is")
    restore_kernel_settings(settings, tmp_path / "saved.json", tmp_path)
    assert (settings / NAMES[0]).read_text() == "as it is"
