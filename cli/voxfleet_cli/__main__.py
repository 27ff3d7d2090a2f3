"""The command line: `voxfleet keys ...`."""

import sys

import typer

from voxfleet_cli.errors import CliError
from voxfleet_cli.keys.commands import app as keys

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(keys, name="keys")


@app.callback()
def voxfleet() -> None:
    """Manage a VoxFleet installation through a kubeconfig."""


def main() -> None:
    """Run the command; an error is one line on standard error and exit status 1."""
    try:
        app()
    except CliError as error:
        sys.stderr.write(f"voxfleet: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
