"""What is inside of the image: the packages of its bill of materials and no others, no build's secrets, no caches."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Container
    from voxfleet_testbed.images.engine import Engine

USER = "65532"
FOLDERS = ("/opt/voxfleet/site-packages", "/opt/voxfleet/notebook-packages")


@pytest.fixture(scope="module")
def bill(container: Container) -> dict[str, Any]:
    return dict(json.loads(container.exec("cat", "/opt/voxfleet/sbom.cdx.json").stdout))


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_pip_lists_what_the_bill_of_materials_lists(
    container: Container, bill: dict[str, Any], figures: list[str]
) -> None:
    listed = [container.exec("python3", "-m", "pip", "list", "--format=json", f"--path={each}") for each in FOLDERS]
    installed = {(normalized(row["name"]), row["version"]) for each in listed for row in json.loads(each.stdout)}
    in_bill = {(row["name"], row["version"]) for row in bill["components"] if row["purl"].startswith("pkg:pypi/")}
    assert installed == in_bill
    assert {"torch", "fastapi", "jupyterlab"} <= {name for name, _ in in_bill}
    assert [row for row in bill["components"] if row["purl"].startswith("pkg:npm/react@")]
    figures.append(f"{len(in_bill)} packages of Python, {len(bill['components']) - len(in_bill)} of npm")


def test_the_image_for_cpus_lacks_what_pytorch_never_loads(container: Container, bill: dict[str, Any]) -> None:
    names = {row["name"] for row in bill["components"]}
    assert not names & {"triton", "nvidia-cusolver", "nvidia-cuda-nvrtc", "cuda-bindings"}
    torch = "import torch; print(torch.ones(2, 2) @ torch.ones(2, 2), torch.cuda.is_available())"
    assert container.exec("python3", "-c", torch).stdout.split()[-1] == "False"


def test_nothing_of_the_build_is_left(container: Container) -> None:
    for path in (
        "/etc/pip.conf",
        "/wheels",
        "/opt/voxfleet/hashed.txt",
        "/opt/voxfleet/image_packages.py",
        "/root/.cache",
    ):
        assert container.exec("test", "-e", path, check=False).returncode == 1, path
    assert container.exec("find", "/opt/voxfleet", "-user", USER, check=False).stdout == "", "all is root's"


def test_the_history_names_no_index(engine: Engine, image: str) -> None:
    history = engine.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
    assert "image_packages.py" in history
    assert not re.findall(r"https?://\S+", history)
