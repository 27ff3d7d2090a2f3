"""How a command ends that did not do its work: a line on standard error, and an exit code."""

from __future__ import annotations

from typing import Final, NoReturn

import typer

# Exit codes: 2 is click's own for wrong usage; 3 says that the options were fine and the work failed.
USAGE_EXIT_CODE: Final = 2
FAILED_EXIT_CODE: Final = 3
TRY_AGAIN_EXIT_CODE: Final = 75  # EX_TEMPFAIL of sysexits.h


def end_with(message: str, exit_code: int) -> NoReturn:
    """End the process."""
    typer.echo(f"voxfleet-inference: {message}", err=True)
    raise typer.Exit(exit_code)
