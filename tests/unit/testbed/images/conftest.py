"""A stand-in for buildah and debootstrap, which need root: it records commands and remembers which images it built."""

from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_testbed.images import base_image, buildah


class Recorder:
    """Replaces run_isolated; answers `buildah images` from the tags that `buildah bud` was given."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.images: set[str] = set()

    def __call__(self, *command: str) -> str:
        self.commands.append(command)
        verb = command[4] if command[0] == "buildah" else command[0]
        if verb == "bud":
            self.images.add(next(word for word in command if word.startswith("--tag=")).removeprefix("--tag="))
        if verb == "images":
            wanted = command[-1].removeprefix("reference=")
            return "an-id\n" if wanted in self.images else ""
        if verb == "push":
            Path(command[-1].split(":")[1]).write_text("archive")
        return ""

    def verbs(self) -> list[str]:
        return [command[4] if command[0] == "buildah" else command[0] for command in self.commands]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(buildah, "run_isolated", recorder)
    monkeypatch.setattr(base_image, "run_isolated", recorder)
    return recorder
