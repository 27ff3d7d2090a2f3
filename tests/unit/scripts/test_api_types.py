"""The committed OpenAPI documents and their TypeScript types are those of this inference server and gateway."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not (ROOT / "web/node_modules").exists(), reason="needs web/node_modules: run scripts/web")
@pytest.mark.timeout(120)
def test_the_committed_types_are_current() -> None:
    checked = subprocess.run([ROOT / "scripts/api-types", "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
