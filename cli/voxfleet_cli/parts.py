"""Commands that other parts bring: found as entry points, loaded when they are run.

Knows: the group `voxfleet.commands`, whose functions take the arguments after the command's name and return the exit
code; the extra that each part is installed with.
Does not know: what the commands do. Nothing of a part is imported before one of its commands is run.
"""

import importlib
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

import typer

from voxfleet_cli.errors import PartMissingError

GROUP = "voxfleet.commands"
PANEL = "Without a cluster"  # of `voxfleet --help`
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

Run = Callable[[list[str]], int]


class PartCommand(NamedTuple):
    """A command of another part."""

    name: str  # words after `voxfleet`
    help: str
    extra: str  # of the package, with which the part's dependencies are installed


COMMANDS = (
    PartCommand(
        "route replay", "Decide the requests of a gateway's log again: `voxfleet route replay FILE`.", "gateway"
    ),
    PartCommand("simulate", "Run a scenario through the routing and scaling decisions.", "simulation"),
)


def add_part_commands(app: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Add every command of another part to the application, or to its group of the name's first word."""
    for command in COMMANDS:
        *group, name = command.name.split()
        target = groups[group[0]] if group else app
        panel = None if group else PANEL
        target.command(name, help=command.help, rich_help_panel=panel, context_settings=PASS_ON)(_runner(command))


def _runner(command: PartCommand) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        raise typer.Exit(load(command, entry_points(group=GROUP))([*context.args]))

    return run


def load(command: PartCommand, found: Iterable[EntryPoint]) -> Run:
    """Return the function behind a command. Raises PartMissingError, which says how to install its part."""
    entry = next((each for each in found if each.name == command.name), None)
    if entry is None:
        raise PartMissingError(f"`voxfleet {command.name}` is in no installed package; {_remedy(command)}")
    try:
        run: Run = getattr(importlib.import_module(entry.module), entry.attr)
    except ModuleNotFoundError as error:
        raise PartMissingError(
            f"`voxfleet {command.name}` needs the Python package {error.name}; {_remedy(command)}"
        ) from error
    return run


def _remedy(command: PartCommand) -> str:
    return f"install it with: {sys.executable} -m pip install 'voxfleet[{command.extra}]'"
