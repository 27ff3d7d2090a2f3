"""The modules of scripts/site, and the pages of the repository."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def site() -> Iterator[dict[str, ModuleType]]:
    """The modules by name; they import one another as `python scripts/site` runs them."""
    folder = str(ROOT / "scripts/site")
    sys.path.insert(0, folder)
    names = [path.stem for path in (ROOT / "scripts/site").glob("*.py") if path.stem != "__main__"]
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(folder)
    for name in names:
        del sys.modules[name]
