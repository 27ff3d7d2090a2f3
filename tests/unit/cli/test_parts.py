"""Commands of other parts: listed without loading a part, and a missing part says how to install it."""

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import pytest
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import PartMissingError
from voxfleet_cli.parts import COMMANDS, GROUP, load

REPLAY = COMMANDS[0]


def entry(value: str) -> EntryPoint:
    return EntryPoint(REPLAY.name, value, GROUP)


def test_the_package_names_every_command() -> None:
    assert {each.name for each in entry_points(group=GROUP)} == {each.name for each in COMMANDS}


def test_help_lists_the_commands_of_other_parts() -> None:
    assert "simulate" in CliRunner().invoke(app, ["--help"]).output
    assert "replay" in CliRunner().invoke(app, ["route", "--help"]).output


def test_help_imports_no_other_part() -> None:
    code = (
        "import sys, voxfleet_cli.__main__; "
        "print([name for name in sys.modules if name.startswith('voxfleet_') and not name.startswith('voxfleet_cli')])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"


def test_arguments_and_exit_code_are_passed_on() -> None:
    result = CliRunner().invoke(app, ["route", "replay", "--output", "json", "/nonexistent/file"])
    assert result.exit_code == 2
    assert CliRunner().invoke(app, ["route", "replay", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "`voxfleet route replay` is in no installed package"),
        ([entry("voxfleet_absent:run")], "needs the Python package voxfleet_absent"),
    ],
)
def test_a_missing_part_says_how_to_install_it(found: list[EntryPoint], message: str) -> None:
    with pytest.raises(PartMissingError) as raised:
        load(REPLAY, found)
    assert message in str(raised.value)
    assert "pip install 'voxfleet[gateway]'" in str(raised.value)
