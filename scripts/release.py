"""What a release needs of the checkout: that its version is the same everywhere, and its notes from the changelog.

    python3 scripts/release.py check VERSION     fail unless pyproject, packages, charts and changelog have the version
    python3 scripts/release.py notes VERSION     print the changelog's section
    python3 scripts/release.py plugin VERSION BASE_URL FOLDER
                                                 write kubectl's plugin as an archive, with the wheel that is in
                                                 FOLDER, and its manifest for krew, which names it below BASE_URL

Needs nothing but Python 3.11, because it runs before anything is installed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_CHARTS: Final = ("voxfleet", "voxfleet-crds")
_PARTS: Final = ("operator", "gateway", "inference")  # whose programs print their version
_PLUGIN: Final = ("cli/kubectl/kubectl-voxfleet", "cli/kubectl/kubectl_complete-voxfleet", "LICENSE")
_ARGUMENTS: Final = {"check": 2, "notes": 2, "plugin": 4}


def faults(root: Path, version: str) -> Iterator[str]:
    """Yield a line for each place that has another version."""
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if found != version:
        yield f"pyproject.toml has version {found}, not {version}"
    for part in _PARTS:
        path = f"{part}/voxfleet_{part}/__init__.py"
        own = re.search(r'^__version__: Final = "(.*)"$', (root / path).read_text(encoding="utf-8"), re.MULTILINE)
        if own is None or own[1] != version:
            yield f"{path} has version {own[1] if own else 'nowhere'}, not {version}"
    if f"\nversion={version}\n" not in (root / _PLUGIN[0]).read_text(encoding="utf-8"):
        yield f"{_PLUGIN[0]} has another version, not {version}"
    for chart in _CHARTS:
        text = (root / f"charts/{chart}/Chart.yaml").read_text(encoding="utf-8")
        for field in ("version", "appVersion"):
            value = re.search(rf"^{field}: \"?([^\"\n]+)\"?$", text, re.MULTILINE)
            if value is None or value[1] != version:
                yield f"charts/{chart}/Chart.yaml has {field} {value[1] if value else 'nowhere'}, not {version}"
    if not notes(root, version):
        yield f"CHANGELOG.md has no section [{version}], or it is empty"


def notes(root: Path, version: str) -> str:
    """Return the section of a version, without its heading; empty if there is none."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return section[1].strip() if section else ""


def write_plugin(root: Path, version: str, base_url: str, folder: Path) -> None:
    """Write the archive of kubectl's plugin, the same bytes each time, and the manifest with its address and hash.

    Raises FileNotFoundError where the version's wheel is not in the folder.
    """
    name = f"kubectl-voxfleet-{version}.tar.gz"  # krew unpacks gzip and zip
    with (
        (folder / name).open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        wheel = folder / f"voxfleet-{version}-py3-none-any.whl"
        for path in (*(root / each for each in _PLUGIN), wheel):
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode = len(content), 0o755 if path.parent.name == "kubectl" else 0o644
            archive.addfile(entry, io.BytesIO(content))
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    template = (root / "cli/kubectl/krew.yaml").read_text(encoding="utf-8")
    manifest = template[template.index("apiVersion") :]  # without the comment about what is filled in
    for word, value in (("VERSION", version), ("URI", f"{base_url.rstrip('/')}/{name}"), ("SHA256", digest)):
        manifest = manifest.replace(word, value)
    (folder / "voxfleet-krew.yaml").write_text(manifest, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run a command; return the exit status."""
    if not arguments or len(arguments) != _ARGUMENTS.get(arguments[0]):
        print(__doc__, file=sys.stderr)
        return 2
    command, version, *rest = arguments
    if command == "notes":
        print(notes(ROOT, version))
        return 0
    if command == "plugin":
        write_plugin(ROOT, version, rest[0], Path(rest[1]))
        return 0
    said = list(faults(ROOT, version))
    print("\n".join(said), end="\n" if said else "", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
