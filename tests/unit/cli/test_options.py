"""Options of a group of commands, before and after the command."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.options import shared_first

NAMES = {"--file", "--context"}
WORDS = st.lists(st.sampled_from(["--file", "--file=x", "--context", "--", "list", "-o", "json", "--help"]))


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ("list -o json --file x", "--file x list -o json"),
        ("--file x list", "--file x list"),
        ("list --file=x --context c", "--file=x --context c list"),
        ("create --model -- --file", "create --model -- --file"),
        ("list --file", "list --file"),
        ("list --help", "list --help"),
    ],
)
def test_shared_options_come_first(args: str, found: str) -> None:
    assert shared_first(args.split(), NAMES) == found.split()


@given(WORDS)
def test_no_argument_is_lost(args: list[str]) -> None:
    assert sorted(shared_first(args, NAMES)) == sorted(args)


def test_a_group_reads_its_options_after_the_command(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    for args in (["keys", "--file", str(file), "list"], ["keys", "list", "--file", str(file)]):
        result = CliRunner().invoke(app, args, catch_exceptions=False)
        assert (result.exit_code, result.output) == (0, "no keys\n")
    absent = CliRunner().invoke(app, ["voices", "list", "--kubeconfig", "/nonexistent"])
    assert "no access to a cluster by --kubeconfig /nonexistent: there is no such file" in str(absent.exception)


def test_help_after_the_command_is_the_commands() -> None:
    shown = CliRunner().invoke(app, ["voices", "list", "--help"]).output
    assert "List the built-in voices" in shown
