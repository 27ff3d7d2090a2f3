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
# No modules: start.sh and the image; the CUDA path on fake tensors, whose fixtures replace CUDA for a whole folder;
# what two parts must have in common.
BESIDE_THE_PACKAGE = {"packaging", "without_gpu", "contracts"}


def mirrored(path: Path) -> bool:
    """Whether a path is a folder of a package, or a module: one with several files of tests has a folder for them."""
    return path.is_dir() or path.with_name(f"{path.name}.py").is_file()


@pytest.mark.parametrize("part", PACKAGES)
def test_every_folder_of_unit_tests_is_a_folder_or_a_module_of_its_package(part: str) -> None:
    tests = ROOT / "tests/unit" / part
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert folders
    strays = {
        folder
        for folder in folders
        if not mirrored(PACKAGES[part] / folder) and not BESIDE_THE_PACKAGE & set(folder.parts)
    }
    assert strays == set()
