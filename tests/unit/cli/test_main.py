"""The page of the command line names every command and every option."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from voxfleet_cli import __main__
from voxfleet_cli.errors import UsageError

PAGE = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text(encoding="utf-8")
COMMON = {"--help", "--kubeconfig", "--context", "--install-completion", "--show-completion"}


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    own = {name for each in group.params for name in each.opts if name.startswith("--")}
    if not hasattr(group, "commands"):
        yield words, own
        return
    for name, command in group.commands.items():
        for found, options in commands(command, (*words, name)):
            yield found, options | own


FOUND = dict(commands(get_command(__main__.app)))


def row_of(words: tuple[str, ...]) -> str:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `voxfleet {words[0]}")]
    return next(line for line in rows if all(re.search(rf"[ `]{word}[` ]", line) for word in words))


@pytest.mark.parametrize("words", FOUND, ids=" ".join)
def test_a_command_and_its_options_are_on_the_page(words: tuple[str, ...]) -> None:
    options = FOUND[words] - COMMON
    assert {option for option in options if f"`{option}`" not in row_of(words)} == set()


def test_an_error_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise UsageError("--month must be a month")

    monkeypatch.setattr(__main__, "app", fail)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert (ended.value.code, capsys.readouterr().err) == (2, "voxfleet: --month must be a month\n")
