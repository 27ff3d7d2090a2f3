"""Writes the software bill of materials of an image: CycloneDX 1.5, from the locks that the image is installed from.

    python3 scripts/sbom.py --name voxfleet-inference --version 0.1.0 --requirements requirements/inference.txt \
        --web web/package-lock.json --packages /opt/voxfleet/site-packages --out sbom.cdx.json

Knows: the forms of hash-pinned requirements, of npm's lock and of CycloneDX. Licences are those of npm's lock and, with
`--packages`, of the installed packages' metadata. With `--exact` those folders must hold the packages of the
requirements and no others; an image is not built otherwise. The same locks give the same bytes.
Does not know: what Debian's packages of a base image are; scanners read those from its own database.
Uses the standard library alone: it runs inside of image builds.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
MAX_NAME = 100  # characters of a licence: some packages write its whole text into the field
CLASSIFIER = "License :: OSI Approved :: "
HASH_NAMES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a lock."""

    name: str
    version: str
    purl: str
    hashes: tuple[tuple[str, str], ...]  # algorithm, hex: one file each
    licence: Mapping[str, Any] | None = None  # in CycloneDX's form


def read_requirements(text: str, licences: Mapping[str, Mapping[str, Any]]) -> Iterator[Package]:
    """Yield the packages of hash-pinned requirements."""
    found = [*PINNED.finditer(text)]
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=True):
        name, version = normalized(match[1]), match[2]
        hashes = tuple(("SHA-256", each) for each in HASH.findall(text[match.start() : end]))
        yield Package(name, version, f"pkg:pypi/{name}@{quote(version)}", hashes, licences.get(name))


def read_npm_lock(text: str) -> Iterator[Package]:
    """Yield the packages that are built into the pages: those of an npm lock that are not for development alone."""
    for path, row in json.loads(text)["packages"].items():
        if not path or not row.keys().isdisjoint({"dev", "devOptional", "link"}):
            continue
        name = path.rpartition("node_modules/")[2]
        purl = f"pkg:npm/{quote(name, safe='/')}@{quote(row['version'])}"
        licence = {"expression": row["license"]} if row.get("license") else None
        yield Package(name, row["version"], purl, tuple(integrity_hashes(row)), licence)


def integrity_hashes(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the hashes of npm's `integrity` field."""
    for each in row.get("integrity", "").split():
        algorithm, _, digest = each.partition("-")
        yield HASH_NAMES[algorithm], base64.b64decode(digest).hex()


def read_licences(packages: Path) -> dict[str, dict[str, Any]]:
    """Return CycloneDX's form of each package's licence, from the metadata of an installation."""
    found = {}
    for file in packages.glob("*.dist-info/METADATA"):
        metadata = HeaderParser().parsestr(file.read_text(encoding="utf-8", errors="replace"))
        if licence := licence_of(metadata):
            found[normalized(str(metadata["Name"]))] = licence
    return found


def read_installed(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and version of each package that is installed in a folder."""
    for file in folder.glob("*.dist-info/METADATA"):
        metadata = HeaderParser().parsestr(file.read_text(encoding="utf-8", errors="replace"))
        yield normalized(str(metadata["Name"])), str(metadata["Version"])


def differences(listed: set[tuple[str, str]], installed: set[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each package that is listed or installed, and not both in the same version."""
    for name, version in sorted(installed - listed):
        yield f"{name} {version} is installed, and the requirements do not list it"
    for name, version in sorted(listed - installed):
        yield f"{name} {version} is in the requirements, and not installed"


def licence_of(metadata: Message) -> dict[str, Any] | None:
    """Return a package's licence: its SPDX expression (PEP 639), else its classifiers', else its text's first line."""
    if expression := metadata.get("License-Expression"):
        return {"expression": expression}
    given = metadata.get_all("Classifier", [])
    approved = [each.removeprefix(CLASSIFIER) for each in given if each.startswith(CLASSIFIER)]
    name = " / ".join(approved) or (metadata.get("License") or "").strip().partition("\n")[0]
    return {"license": {"name": name[:MAX_NAME]}} if name else None


def normalized(name: str) -> str:
    """Return a package's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bill_of(name: str, version: str, packages: list[Package]) -> dict[str, Any]:
    """Return the document; its serial number follows from its contents."""
    root: dict[str, Any] = {"type": "application", "bom-ref": name, "name": name, "version": version}
    root["licenses"] = [{"expression": "Apache-2.0"}]
    unique = {package.purl: package for package in packages}
    components = [component_of(unique[purl]) for purl in sorted(unique)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([root, components]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": sorted(unique)}],
    }


def component_of(package: Package) -> dict[str, Any]:
    """Return a package as a component. A lock has a hash for each of its files, which are its distributions'."""
    hashes = [{"alg": algorithm, "content": content} for algorithm, content in package.hashes]
    files = [{"type": "distribution", "url": package.purl, "hashes": [each]} for each in hashes]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "externalReferences": files or [{"type": "distribution", "url": package.purl}],
    }
    return component | ({"licenses": [dict(package.licence)]} if package.licence else {})


def main() -> int:
    """Write the document; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--requirements", type=Path, nargs="*", default=[])
    parser.add_argument("--web", type=Path, nargs="*", default=[])
    parser.add_argument("--packages", type=Path, nargs="*", default=[])
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    licences = {name: row for folder in given.packages for name, row in read_licences(folder).items()}
    packages = [each for file in given.requirements for each in read_requirements(file.read_text(), licences)]
    if given.exact:
        installed = {each for folder in given.packages for each in read_installed(folder)}
        faults = list(differences({(each.name, each.version) for each in packages}, installed))
        if faults:
            print("\n".join(faults), file=sys.stderr)
            return 1
    packages += [each for file in given.web for each in read_npm_lock(file.read_text())]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(bill_of(given.name, given.version, packages), indent=1) + "\n")
    print(f"{given.out}: {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
