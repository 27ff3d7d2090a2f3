"""The benchmark's folder on the path, as when it is run."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "gateway"
Load = Callable[[str], Any]


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    """Import a module of the benchmark by its name; other benchmarks have modules of the same names."""
    names = {".".join(path.relative_to(BENCHMARK).with_suffix("").parts) for path in BENCHMARK.rglob("*.py")}
    names |= {name.partition(".")[0] for name in names}
    names.discard("__main__")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(BENCHMARK))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARK))
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(before)
