"""What the speech server's image is built of: the packages of its tag for CPUs, and what its steps read."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def packages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_packages", ROOT / "scripts/image_packages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["image_packages"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def names(requirements: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==", requirements, re.MULTILINE))


def lock() -> str:
    return (ROOT / "requirements/inference.txt").read_text()


def test_the_image_for_gpus_has_the_whole_lock(packages: ModuleType) -> None:
    assert packages.select(lock(), "install") == packages.Selection(lock(), "")


def test_the_image_for_cpus_has_every_package_but_those_of_cuda(packages: ModuleType) -> None:
    chosen = packages.select(lock(), "cpu")
    assert re.fullmatch(r"torch==([\d.]+)\+cpu\ntorchaudio==([\d.]+)\+cpu\n", chosen.pinned)
    lacking = names(lock()) - names(chosen.hashed) - {"torch", "torchaudio"}
    assert {each for each in lacking if not each.startswith(("nvidia-", "cuda-", "triton"))} == set()
    assert {"nvidia-cublas", "triton"} <= lacking
    assert "nvidia-ml-py" in names(chosen.hashed), "telemetry imports it"
    assert chosen.hashed.count("--hash=") > len(names(chosen.hashed))


def test_pytorch_of_pypi_keeps_the_libraries_that_it_is_linked_with(packages: ModuleType) -> None:
    """Follow libtorch_python.so through the development environment, whose PyTorch is the lock's."""
    chosen = packages.select(lock(), "cpu-pypi")
    assert chosen.pinned == ""
    owners = library_owners()
    needed = {owners[library] for library in linked_with("libtorch_python.so") if library in owners}
    assert {"torch", "nvidia-cublas", "nvidia-nvjitlink", "nvidia-nvshmem-cu13"} <= needed
    assert needed <= names(chosen.hashed)
    of_cuda = {each for each in names(chosen.hashed) if packages.of_cuda(each)}
    assert of_cuda == {each for each in needed if packages.of_cuda(each)}, "no package more than these"


def library_owners() -> dict[str, str]:
    """Return the package of each library that lies in the environment."""
    return {
        Path(str(file)).name: str(found.metadata["Name"]).lower()
        for found in importlib.metadata.distributions()
        for file in found.files or []
        if ".so" in Path(str(file)).name
    }


def linked_with(first: str) -> set[str]:
    """Return the names of the libraries that the dynamic linker loads for one of PyTorch's."""
    site = Path(importlib.metadata.distribution("torch").locate_file(""))
    paths = {path.name: path for folder in ("torch/lib", "nvidia") for path in (site / folder).rglob("*.so*")}
    found: set[str] = set()
    left = [first]
    while left:
        name = left.pop()
        if name not in found and name in paths:
            found.add(name)
            dynamic = subprocess.run(
                ["readelf", "--dynamic", str(paths[name])], capture_output=True, check=True, text=True
            )
            left += re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic.stdout)
    return found


def test_a_variant_that_is_none_is_refused_with_those_that_are(tmp_path: Path) -> None:
    lists = ("--hashed", str(tmp_path / "hashed"), "--pinned", str(tmp_path / "pinned"))
    command = [sys.executable, str(ROOT / "scripts/image_packages.py"), "gpu", str(ROOT / "requirements/inference.txt")]
    done = subprocess.run([*command, *lists], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "DEPENDENCIES is 'gpu'; it must be install, cpu, cpu-pypi or mounted\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["operator", "gateway", "inference"])
def test_every_pip_of_an_image_takes_settings_and_wheels_from_outside(part: str) -> None:
    """An index's password in a build argument would stay in the image's history."""
    text = "\n".join(each for each in (ROOT / part / "Dockerfile").read_text().splitlines() if each[:1] != "#")
    installing = [
        run for run in re.findall(r"^RUN (.+?[^\\])$", text, re.MULTILINE | re.DOTALL) if "pip install" in run
    ]
    assert installing
    for run in installing:
        assert "--mount=type=secret,id=pip,target=/etc/pip.conf " in run
        assert "--mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt " in run
        assert "--mount=type=bind,from=wheels,target=/wheels " in run
        assert "--find-links /wheels" in run


@pytest.mark.parametrize("part", ["operator", "gateway", "inference"])
def test_the_build_context_holds_what_the_dockerfile_copies(part: str) -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / part / "Dockerfile").read_text(), re.MULTILINE)
    admitted = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in " ".join(copied).split():
        assert (ROOT / source).exists()
        assert {source, *map(str, Path(source).parents)} & admitted, f"{source} is not in the build context"
