"""scripts/tests: failed tests run once more by themselves, a few at most, and are named."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "tests"

PASSES_AT_THE_SECOND_TRY = """
from pathlib import Path

def test_second_try(request):
    tried = Path(request.config.rootpath, "tried")
    first = not tried.exists()
    tried.touch()
    assert not first

def test_passes():
    pass
"""
ALWAYS_FAILS = (
    "import pytest\n\n@pytest.mark.parametrize('number', range({count}))\ndef test_fails(number):\n    assert False\n"
)


def run(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    (folder / "suite").mkdir()
    (folder / "suite" / "test_module.py").write_text(module)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = os.environ | {
        "PYTEST": str(Path(sys.executable).with_name("pytest")),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a dozen plugins of .venv take seconds to import
        "PYTEST_PLUGINS": "xdist.plugin",
    }
    command = ["bash", str(SCRIPT), "suite", "--numprocesses=2"]
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_test_that_passes_at_the_second_try_is_named_and_does_not_fail_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, PASSES_AT_THE_SECOND_TRY)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("passed at the second try only:\n  suite/test_module.py::test_second_try\n")
    assert "run-last-failure: rerun previous 1 failure" in done.stdout, "the test that had passed does not run again"


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, ALWAYS_FAILS.format(count=1))
    assert done.returncode == 1
    assert "second try" not in done.stdout


def test_many_failures_are_a_broken_change_and_do_not_run_again(tmp_path: Path) -> None:
    done = run(tmp_path, ALWAYS_FAILS.format(count=21))
    assert done.returncode == 1
    assert "more than 20 failed" in done.stdout
    assert done.stdout.count("21 failed") == 1


def test_an_interrupted_run_is_not_repeated(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_passes(): pass\n\nraise SystemExit(3)\n")
    assert done.returncode > 1
    assert "once more" not in done.stdout


def test_a_run_without_failures_prints_nothing_of_a_second_try(tmp_path: Path) -> None:
    done = run(tmp_path, "def test_passes(): pass\n")
    assert done.returncode == 0
    assert "tests:" not in done.stdout
