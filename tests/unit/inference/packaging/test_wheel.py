"""The wheel: it holds the pages of web/, and is not built without them."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PACKAGES = ("operator", "inference", "gateway", "cli", "simulation")
PAGES = {"voxfleet_inference/server/page/static/": "index.html", "voxfleet_gateway/server/static/": "fleet.html"}
UV = Path(sys.executable).with_name("uv")


def build(checkout: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [str(UV), "build", "--wheel", "--out-dir", str(out), str(checkout)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_wheel_holds_the_pages_and_their_files(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder, page in PAGES.items():
        assert folder + page in names
        assert [name for name in names if name.startswith(folder + "assets/") and name.endswith(".js")]


@pytest.mark.parametrize("missing", PAGES)
def test_no_wheel_is_built_without_a_page(tmp_path: Path, missing: str) -> None:
    checkout = tmp_path / "checkout"
    for part in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "models", "*.so")
        shutil.copytree(ROOT / part, checkout / part, ignore=ignored)
    for file in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    [folder] = checkout.glob(f"*/{missing}")
    shutil.rmtree(folder)
    built = build(checkout, tmp_path / "out")
    assert built.returncode != 0
    assert f"{missing.rstrip('/')} holds no page: run scripts/web" in built.stderr
    assert not [*tmp_path.glob("out/*.whl")]
