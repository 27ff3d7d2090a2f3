"""An image built from a folder of wheels alone, which the line of docs/guides/air-gap.md has filled."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from documented import ROOT
from voxfleet_testbed.images.project import build_base_archive

if TYPE_CHECKING:
    from voxfleet_testbed.images.engine import Engine
    from voxfleet_testbed.settings import Settings

PAGE = ROOT / "docs/guides/air-gap.md"
TAG = "localhost/voxfleet-gateway:image-check"


def line(program: str, path: str) -> list[str]:
    """Return the page's command of a program for the gateway, whose packages are small."""
    joined = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    [found] = [each for each in re.findall(rf"^{program} .*$", joined, re.MULTILINE) if "wheels" in each]
    words = shlex.split(found.replace("inference", "gateway"))
    return [re.sub(r"\bwheels$", path, word) if word.endswith("wheels") else word for word in words]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    program, *arguments = line("pip download", str(folder))
    assert program == "pip"
    python = os.environ.get("PYTHON", sys.base_prefix + "/bin/python3")  # .venv has no pip
    subprocess.run([python, "-m", "pip", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=500)
    return folder


def test_the_gateway_is_built_of_wheels_without_an_index(
    engine: Engine, testbed_settings: Settings, wheels: Path, figures: list[str]
) -> None:
    base, archive = build_base_archive(testbed_settings)
    engine.run("load", "--input", str(archive))
    program, verb, *arguments = line("docker build", str(wheels))
    assert program == "docker"
    arguments[arguments.index("--tag") + 1] = TAG
    context = arguments.pop()
    assert context == "."
    command = [verb, *arguments, f"--build-arg=BASE_IMAGE={base}"]
    try:
        built = engine.run(*command, str(ROOT), check=False)
        assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
        inside = engine.run("run", "--rm", "--entrypoint=python3", TAG, "-c", "import aiohttp, voxfleet_gateway")
        assert inside.stderr == ""
        figures.append(f"the gateway's image of {len(list(wheels.iterdir()))} wheels, without an index")
        (next(wheels.glob("aiohttp-*"))).unlink()
        lacking = engine.run(*command, "--no-cache", str(ROOT), check=False)
        assert lacking.returncode != 0
        assert "No matching distribution found for aiohttp" in lacking.stdout + lacking.stderr
    finally:
        engine.run("rmi", "--force", TAG, check=False)
