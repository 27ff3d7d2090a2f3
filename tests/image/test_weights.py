"""An image of weights, by the line of docs/weights-and-caches.md: in a registry's format, and mounted as a volume."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from documented import ROOT

if TYPE_CHECKING:
    from voxfleet_testbed.images.engine import Engine

PAGE = ROOT / "docs/weights-and-caches.md"
TAG = "localhost/voxfleet-weights:image-check"
DEMO = ROOT / "inference/models/demo"


@pytest.fixture(scope="module")
def weights(engine: Engine) -> Iterator[str]:
    [line] = re.findall(r"^printf .*\| docker build .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for given, mine in (
        ("docker ", f"{engine.program} "),
        ("registry.example.com/voices/voxcpm:1.5", TAG),
        ("/path/to/VoxCPM1.5", shlex.quote(str(DEMO))),
    ):
        assert given in line
        line = line.replace(given, mine)
    subprocess.run(["sh", "-ec", line], env=engine.variables(), check=True, capture_output=True)
    yield TAG
    engine.run("rmi", "--force", TAG, check=False)


def test_the_image_has_the_files_at_its_root_and_nothing_else(engine: Engine, weights: str, tmp_path: Path) -> None:
    engine.run("save", weights, "--output", str(tmp_path / "image.tar"))
    with tarfile.open(tmp_path / "image.tar") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        found = [name for layer in manifest[0]["Layers"] for name in layer_files(archive, layer)]
    assert sorted(found) == sorted(str(each.relative_to(DEMO)) for each in DEMO.rglob("*") if each.is_file())


def layer_files(archive: tarfile.TarFile, layer: str) -> list[str]:
    with tarfile.open(fileobj=archive.extractfile(layer)) as opened:
        return [entry.name.removeprefix("./") for entry in opened if entry.isfile()]


def test_a_server_speaks_with_weights_of_a_mounted_image(
    engine: Engine, weights: str, start_container: Callable[..., Any], tmp_path: Path
) -> None:
    """As a kubelet mounts an image volume: the image comes in a registry's format, its files are the volume's."""
    if engine.program != "podman":
        pytest.skip("Docker mounts images from version 28 on, as an experiment; run this with Podman")
    layout = f"oci:{tmp_path / 'layout'}"
    engine.run("push", weights, layout)
    assert json.loads((tmp_path / "layout/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    engine.run("rmi", "--force", weights)
    pulled = engine.run("pull", "--quiet", layout).stdout.strip()
    engine.run("tag", pulled, weights)
    mount = f"--mount=type=image,source={weights},destination=/models/voxcpm"
    with start_container(extra=(mount,)) as running:
        running.wait_for_ready()
        assert running.exec("test", "-s", "/models/voxcpm/config.json").returncode == 0
        assert running.exec("touch", "/models/voxcpm/file", check=False).returncode != 0
        code, printed = running.interrupt()
    assert code in {0, 130}, printed
    assert "the model in /models/voxcpm on cpu" in printed
