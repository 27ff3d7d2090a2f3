"""The software bill of materials names each package of the locks, and nothing that is for development alone."""

import importlib.util
import json
import re
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts/sbom.py"
SCHEMAS = Path(__file__).with_name("schemas")  # of CycloneDX, Apache-2.0, as cyclonedx-python-lib 11 ships them
SCHEMA_FOLDER = "http://cyclonedx.org/schema/"  # what `$ref` is relative to


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sbom"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def written(folder: Path, *flags: str) -> dict[str, Any]:
    out = folder / "sbom.cdx.json"
    command = [sys.executable, str(SCRIPT), "--name", "voxfleet-x", "--version", "1.2.3", "--out", str(out), *flags]
    subprocess.run(command, check=True, capture_output=True)
    document: dict[str, Any] = json.loads(out.read_text())
    return document


@pytest.mark.parametrize("part", ["operator", "gateway", "inference", "notebook"])
def test_every_pinned_package_is_a_component_with_the_hashes_of_its_files(tmp_path: Path, part: str) -> None:
    lock = ROOT / f"requirements/{part}.txt"
    site = next((ROOT / ".venv/lib").glob("python3.*/site-packages"))
    document = written(tmp_path, "--requirements", str(lock), "--packages", str(site))
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==(\S+)", lock.read_text(), re.MULTILINE))
    components = {each["name"]: each for each in document["components"]}
    assert {name: each["version"] for name, each in components.items()} == pins
    given = len(re.findall("--hash=sha256:", lock.read_text()))
    files = [file for each in document["components"] for file in each["externalReferences"]]
    assert given == len(files)
    assert all(re.fullmatch("[0-9a-f]{64}", file["hashes"][0]["content"]) for file in files)
    assert document["dependencies"][0]["dependsOn"] == [each["bom-ref"] for each in document["components"]]
    if part != "notebook":  # Jupyter is not in the development environment
        lacking = [name for name, each in components.items() if "licenses" not in each]
        assert len(lacking) <= len(components) / 10, lacking


def test_the_pages_packages_are_those_that_are_built_into_them(tmp_path: Path) -> None:
    document = written(tmp_path, "--web", str(ROOT / "web/package-lock.json"))
    package = json.loads((ROOT / "web/package.json").read_text())
    components = {each["name"]: each for each in document["components"]}
    assert package["dependencies"].keys() <= components.keys()
    assert not components.keys() & {"vite", "vitest", "typescript", "axe-core", "@biomejs/biome"}
    assert components["react"]["licenses"] == [{"expression": "MIT"}]
    assert components["@mantine/core"]["purl"].startswith("pkg:npm/%40mantine/core@")
    [file] = components["react"]["externalReferences"]
    assert file["hashes"][0]["alg"] == "SHA-512"


def test_the_same_locks_give_the_same_bytes_and_another_version_another_number(tmp_path: Path) -> None:
    flags = ("--requirements", str(ROOT / "requirements/gateway.txt"))
    first, again = written(tmp_path, *flags), written(tmp_path, *flags)
    other = written(tmp_path, *flags, "--version", "2")
    assert first == again
    assert first["serialNumber"] != other["serialNumber"]
    assert first["metadata"]["component"]["version"] == "1.2.3"


def package(folder: Path, name: str, version: str) -> None:
    (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
    (folder / f"{name}-{version}.dist-info/METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
    )


@pytest.mark.parametrize(
    ("installed", "faults"),
    [
        ({"Some_Thing": "1.0", "torch": "2.11.0+cpu"}, ""),
        (
            {"Some_Thing": "1.0", "torch": "2.11.0+cpu", "extra": "3"},
            "extra 3 is installed, and the requirements do not list it\n",
        ),
        ({"Some_Thing": "1.0"}, "torch 2.11.0+cpu is in the requirements, and not installed\n"),
        (
            {"Some_Thing": "1.1", "torch": "2.11.0+cpu"},
            """some-thing 1.1 is installed, and the requirements do not list it
some-thing 1.0 is in the requirements, and not installed
""",
        ),
    ],
)
def test_an_image_whose_packages_are_not_those_of_the_list_is_not_built(
    tmp_path: Path, installed: dict[str, str], faults: str
) -> None:
    for name, version in installed.items():
        package(tmp_path / "site", name, version)
    (tmp_path / "requirements.txt").write_text("some-thing==1.0 \\\n    --hash=sha256:00\ntorch==2.11.0+cpu\n")
    flags = ["--requirements", "requirements.txt", "--packages", "site", "--exact", "--out", "bill.json"]
    command = [sys.executable, str(SCRIPT), "--name", "x", "--version", "1", *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == faults
    assert (done.returncode == 0) == (faults == "") == (tmp_path / "bill.json").exists()


@pytest.mark.parametrize("part", ["operator", "gateway", "inference"])
def test_bills_follow_the_schema_of_cyclonedx(tmp_path: Path, part: str) -> None:
    site = next((ROOT / ".venv/lib").glob("python3.*/site-packages"))
    web = () if part == "operator" else ("--web", str(ROOT / "web/package-lock.json"))
    document = written(
        tmp_path, "--requirements", str(ROOT / f"requirements/{part}.txt"), "--packages", str(site), *web
    )
    schema = cyclonedx()
    assert [str(error.message) for error in schema.iter_errors(document)] == []
    document["components"][0]["hashes"] = [{"alg": "SHA-256", "content": "not a hash"}]
    assert [error.instance_path for error in schema.iter_errors(document)] == [
        ["components", 0, "hashes", 0, "content"]
    ]


def cyclonedx() -> jsonschema_rs.Draft7Validator:
    """Return the schema of CycloneDX 1.5, which refers to the two others beside it."""
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry = jsonschema_rs.Registry([(SCHEMA_FOLDER + name, each) for name, each in schemas.items()])
    bill = next(each for name, each in schemas.items() if name.startswith("bom-"))
    return jsonschema_rs.Draft7Validator(bill, registry=registry, validate_formats=True)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT", "License: other"], {"expression": "MIT"}),
        (["Classifier: License :: OSI Approved :: BSD License"], {"license": {"name": "BSD License"}}),
        (["License: Apache 2.0"], {"license": {"name": "Apache 2.0"}}),
        (["Classifier: Programming Language :: Python"], None),
    ],
)
def test_a_licence_is_read_from_metadata(sbom: ModuleType, lines: list[str], licence: dict[str, Any] | None) -> None:
    assert sbom.licence_of(HeaderParser().parsestr("\n".join(lines))) == licence
