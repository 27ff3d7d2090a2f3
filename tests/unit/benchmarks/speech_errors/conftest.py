"""The benchmark's folder on the path, as when it is run."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "speech_errors"
Load = Callable[[str], Any]


@pytest.fixture(scope="session")
def load() -> Iterator[Load]:
    """Import a module of the benchmark by its name; other benchmarks have modules of the same names."""
    names = {".".join(path.relative_to(BENCHMARK).with_suffix("").parts) for path in BENCHMARK.rglob("*.py")}
    names |= {"recognition", "speaking"}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules and name != "__main__"}
    sys.path.insert(0, str(BENCHMARK))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARK))
    for name in names - {"__main__"}:
        sys.modules.pop(name, None)
    sys.modules.update(before)
