"""Defaults, environment variables, and their documentation."""

from __future__ import annotations

from pathlib import Path

from voxfleet_testbed.settings import read_settings


def test_settings_have_defaults() -> None:
    settings = read_settings({})
    assert settings.cache == Path.home() / ".cache" / "voxfleet"
    assert settings.kubeconfig is settings.kubebuilder_assets is None
    assert not settings.ci


def test_settings_follow_the_environment(tmp_path: Path) -> None:
    settings = read_settings(
        {"XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path / "t"), "KUBECONFIG": "/k", "CI": "true"}
    )
    assert settings.cache == tmp_path / "voxfleet"
    assert settings.runs.parent == tmp_path / "t"
    assert settings.kubeconfig == Path("/k")
    assert settings.ci


def test_every_setting_is_documented() -> None:
    documentation = read_settings.__globals__["__doc__"]
    for variable in ("XDG_CACHE_HOME", "TMPDIR", "KUBEBUILDER_ASSETS", "KUBECONFIG", "CI", "TESTBED_KUBERNETES"):
        assert variable in documentation
