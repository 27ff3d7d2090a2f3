"""The commands of the docs, an API server with the charts, and a folder that looks like a checkout."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from voxfleet_testbed.cluster.control_plane import running_control_plane
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

LINKED = ("charts", "examples", "inference", "operator", "gateway", ".venv")


@pytest.fixture(scope="session")
def site() -> Iterator[dict[str, ModuleType]]:
    """The modules of scripts/site that read the pages."""
    sys.path.insert(0, str(REPOSITORY / "scripts/site"))
    yield {name: importlib.import_module(name) for name in ("markdown_files", "command_blocks", "command_checks")}
    sys.path.remove(str(REPOSITORY / "scripts/site"))


@pytest.fixture(scope="session")
def blocks(site: dict[str, ModuleType]) -> list[Any]:
    """Every fenced block of the pages."""
    files = site["markdown_files"]
    pages = [path for path in files.with_linked_files(files.pages_of_repository()) if path.suffix == ".md"]
    return [block for page in pages for block in site["command_blocks"].blocks_of(page)]


@pytest.fixture(scope="session")
def commands(site: dict[str, ModuleType], blocks: list[Any]) -> list[Any]:
    """Every command that is not marked, each line once: pages repeat some."""
    split = site["command_blocks"].commands_of
    found = [each for block in blocks if block.has_commands for each in split(block) if not each.not_run]
    return list({each.words: each for each in found}.values())


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder for what commands write, where the paths of the docs exist."""
    for name in LINKED:
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, reached by the context names of the docs, and the programs that talk to it."""

    kubeconfig: Path
    programs: dict[str, Path]
    environment: dict[str, str]

    def run(self, words: list[str], folder: Path, sent: str = "") -> subprocess.CompletedProcess[str]:
        """Run helm or kubectl."""
        return subprocess.run(
            [str(self.programs[words[0]]), *words[1:]],
            cwd=folder,
            env=self.environment,
            input=sent,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="package")
def cluster(testbed_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server of its own; nothing is installed yet."""
    programs = find_programs(testbed_settings)
    home = tmp_path_factory.mktemp("home")
    with skipping(testbed_settings):
        build(programs, ["helm", "kubectl"])
    with skipping(testbed_settings), running_control_plane(testbed_settings) as started:
        config = yaml.safe_load(started.kubeconfig.read_text())
        context = config["contexts"][0]["context"]
        config["contexts"] += [{"name": name, "context": context} for name in ("ap", "hub")]
        (home / "kubeconfig").write_text(yaml.safe_dump(config))
        homes = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **homes, "KUBECONFIG": str(home / "kubeconfig"), "HOME": str(home)}
        paths = {name: programs.path(name) for name in ("helm", "kubectl")}
        yield Cluster(home / "kubeconfig", paths, environment)
