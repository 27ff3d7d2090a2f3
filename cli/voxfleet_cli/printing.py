"""Tables and lines of progress, for terminals and for pipes."""

from rich.console import Console
from rich.table import Table

LONGEST_LINE = 10_000


def print_table(table: Table, console: Console) -> None:
    """Print a table; cells wrap in a terminal, and are never cut or wrapped in a pipe."""
    if not console.is_terminal:
        console = Console(width=LONGEST_LINE)
    console.print(table, markup=False, highlight=False)


def say(console: Console, line: str) -> None:
    """Print one line of progress; it wraps in a terminal alone."""
    console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
