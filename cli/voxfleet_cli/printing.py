"""Tables for terminals and for pipes."""

from rich.console import Console
from rich.table import Table

LONGEST_LINE = 10_000


def print_table(table: Table, console: Console) -> None:
    """Print a table; cells wrap in a terminal, and are never cut or wrapped in a pipe."""
    if not console.is_terminal:
        console = Console(width=LONGEST_LINE)
    console.print(table, markup=False, highlight=False)
