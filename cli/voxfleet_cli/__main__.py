"""The command line: `voxfleet status | explain | route | cost | keys | simulate`."""

import sys

import typer

from voxfleet_cli.cost.commands import cost
from voxfleet_cli.errors import CliError
from voxfleet_cli.fleet.commands import explain_command, status_command
from voxfleet_cli.keys.commands import app as keys
from voxfleet_cli.parts import add_part_commands
from voxfleet_cli.route.commands import app as route

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")
app.add_typer(route, name="route")
app.command("status")(status_command)
app.command("explain")(explain_command)
app.command()(cost)
add_part_commands(app, {"route": route})


@app.callback()
def voxfleet() -> None:
    """Manage a VoxFleet installation through a kubeconfig."""


def main() -> None:
    """Run the command; an error is one line on standard error."""
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"voxfleet: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
