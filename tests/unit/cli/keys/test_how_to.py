"""The commands of docs/keys-and-tenants.md work as they are written."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.keys.entries import stored_keys

PAGE = (Path(__file__).parents[4] / "docs" / "keys-and-tenants.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
ENTRY = re.search(r"named `<id>.json`:\n\n```json\n(.*?)```", PAGE, re.DOTALL)


def words(line: str) -> list[str]:
    return shlex.split(line.partition(" > ")[0].removeprefix("voxfleet "))


def test_the_page_has_every_command() -> None:
    assert {words(line)[1] for line in COMMANDS if line.startswith("voxfleet keys ")} == {
        "create", "list", "rotate", "revoke", "--file",
    }  # fmt: skip


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("voxfleet ")])
def test_a_command_of_the_page(line: str, run: Any, server: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    created = run("create", "--tenant", "acme", "--model", "a/b", "--output", "json")
    server.secret["data"]["k-0123456789.json"] = next(iter(server.secret["data"].values()))
    assert created.exit_code == 0
    arguments = words(line)[1:]
    result = CliRunner().invoke(app, ["keys", *arguments]) if "--file" in line else run(*arguments)
    assert result.exit_code == 0, result


def test_every_option_is_on_the_page() -> None:
    group: Any = get_command(app).commands["keys"]  # type: ignore[attr-defined]
    commands = [group, *group.commands.values()]
    options = {name for command in commands for each in command.params for name in each.opts if name.startswith("--")}
    assert len(options) > 10
    assert {name for name in options if name not in PAGE} == {"--help"} & options


def test_the_entry_of_the_page_is_one() -> None:
    assert ENTRY is not None
    (key,) = stored_keys({"k-1.json": ENTRY[1]})
    assert key.entry is not None, key.mistake
