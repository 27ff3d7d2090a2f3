"""What a release needs of the checkout: that its version is the same everywhere, and its notes from the changelog.

    python3 scripts/release.py check VERSION     fail unless pyproject, packages, charts and changelog have the version
    python3 scripts/release.py notes VERSION     print the changelog's section

Needs nothing but Python 3.11, because it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_CHARTS: Final = ("voxfleet", "voxfleet-crds")
_PARTS: Final = ("operator", "gateway", "inference")  # whose programs print their version
_ARGUMENTS: Final = 2


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


def main(arguments: list[str]) -> int:
    """Run `check` or `notes`; return the exit status."""
    if len(arguments) != _ARGUMENTS or arguments[0] not in {"check", "notes"}:
        print(__doc__, file=sys.stderr)
        return 2
    command, version = arguments
    if command == "notes":
        print(notes(ROOT, version))
        return 0
    said = list(faults(ROOT, version))
    print("\n".join(said), end="\n" if said else "", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
