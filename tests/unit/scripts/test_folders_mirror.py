"""Unit tests lie where their module lies: a reader finds any test by its module's path."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "operator": ROOT / "operator/voxfleet_operator",
    "gateway": ROOT / "gateway/voxfleet_gateway",
    "cli": ROOT / "cli/voxfleet_cli",
    "simulation": ROOT / "simulation/voxfleet_simulation",
    "inference": ROOT / "inference/voxfleet_inference",
    "testbed": ROOT / "testbed/voxfleet_testbed",
    "demo": ROOT / "demo/voxfleet_demo",
}
# No modules: start.sh and the image; the CUDA path on fake tensors, whose fixtures replace CUDA for a whole folder.
BESIDE_THE_PACKAGE = {"packaging", "without_gpu"}


@pytest.mark.parametrize("part", PACKAGES)
def test_every_folder_of_unit_tests_is_a_folder_of_its_package(part: str) -> None:
    tests = ROOT / "tests/unit" / part
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert folders
    strays = {
        folder
        for folder in folders
        if not (PACKAGES[part] / folder).is_dir() and not BESIDE_THE_PACKAGE & set(folder.parts)
    }
    assert strays == set()
