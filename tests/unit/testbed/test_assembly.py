"""Programs and images are built in parallel, and no failure is hidden."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from voxfleet_testbed import assembly
from voxfleet_testbed.errors import BuildError
from voxfleet_testbed.images.project import ProjectImages
from voxfleet_testbed.settings import Settings, read_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"XDG_CACHE_HOME": str(tmp_path)})


def test_programs_and_images_are_built_in_parallel(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=60)
    made = ProjectImages({}, (), ())

    def make(*_arguments: object) -> ProjectImages:
        both.wait()  # breaks unless the other is under way too
        return made

    monkeypatch.setattr(assembly, "require_cluster_prerequisites", lambda: None)
    monkeypatch.setattr(assembly, "build", make)
    monkeypatch.setattr(assembly, "build_project_images", make)
    assert assembly.prepare(settings) is made


def test_a_failed_program_build_is_not_hidden_by_the_images(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise BuildError("`go build` failed")

    monkeypatch.setattr(assembly, "require_cluster_prerequisites", lambda: None)
    monkeypatch.setattr(assembly, "build", fail)
    monkeypatch.setattr(assembly, "build_project_images", lambda *_arguments: ProjectImages({}, (), ()))
    with pytest.raises(BuildError, match="go build"):
        assembly.prepare(settings)
