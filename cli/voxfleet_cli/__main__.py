"""The command line: every command, its place in `--help`, and the name that it was started by."""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Annotated

import typer

from voxfleet_cli.cost.commands import cost
from voxfleet_cli.demand.commands import sleep, wake
from voxfleet_cli.doctor.commands import doctor
from voxfleet_cli.errors import CliError
from voxfleet_cli.fleet.commands import explain_command, status_command
from voxfleet_cli.keys.commands import app as keys
from voxfleet_cli.kubectl import COMPLETE, complete
from voxfleet_cli.parts import add_part_commands
from voxfleet_cli.report.commands import report
from voxfleet_cli.route.commands import app as route
from voxfleet_cli.speech.speak import speak
from voxfleet_cli.speech.voices import app as voices

FLEET, SPEECH, REPAIR = "The fleet", "Speech and keys", "When something is wrong"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
# Help has one line of a terminal for each: what a command does is in its own --help.
for name, command, panel, line in (
    ("status", status_command, FLEET, "Show every region's phase and servers; --watch follows them."),
    ("wake", wake, FLEET, "Wake regions, as a request would."),
    ("sleep", sleep, FLEET, "Put regions to sleep before their idle timeout."),
    ("cost", cost, FLEET, "Show what a month's GPUs cost, and what was saved."),
    ("speak", speak, SPEECH, "Speak a text into a file or a pipe."),
    ("explain", explain_command, REPAIR, "Show why a resource is in its state, and the way out."),
    ("doctor", doctor, REPAIR, "Check an installation for what commonly goes wrong."),
    ("report", report, REPAIR, "Write a support bundle without secrets and texts."),
):
    app.command(name, short_help=line, rich_help_panel=panel)(command)
app.add_typer(voices, name="voices", rich_help_panel=SPEECH, short_help="List, show, add and delete voices.")
app.add_typer(keys, name="keys", rich_help_panel=SPEECH, short_help="Manage the API keys of the gateways.")
app.add_typer(route, name="route", rich_help_panel=REPAIR, short_help="Show why a request goes to which region.")
add_part_commands(app, {"route": route})


def _print_version(is_asked: bool) -> None:  # noqa: FBT001  # as typer calls it
    if not is_asked:
        return
    try:
        sys.stdout.write(f"voxfleet {version('voxfleet')}\n")
    except PackageNotFoundError:
        sys.stdout.write("voxfleet, from a checkout that is not installed\n")
    raise typer.Exit


@app.callback()
def voxfleet(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Manage a VoxFleet installation through a kubeconfig.

    Exit codes: 0 it is done, 1 it failed, 2 an argument is wrong; some commands have more, as their --help says.
    """


def main() -> None:
    """Run the command; an error is one line on standard error."""
    is_plugin = PurePath(sys.argv[0]).name.startswith("kubectl-voxfleet")
    name = "kubectl voxfleet" if is_plugin else "voxfleet"
    if sys.argv[1:2] == [COMPLETE]:
        sys.stdout.write(complete(typer.main.get_command(app), sys.argv[2:]))
        return
    try:
        app(prog_name=name)
    except CliError as error:
        sys.stderr.write(f"voxfleet: {error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe, such as head, has ended: nothing is left to print, at the interpreter's end neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
