"""The table has a row per fault, with what was wrong."""

from collections import Counter

from rich.console import Console
from voxfleet_demo.chaos.outcomes import Ending, FaultKind, Outcome, count
from voxfleet_demo.chaos.report import TABLE_WIDTH, as_lines, as_table


def test_a_row_has_the_counts_and_the_verdict() -> None:
    outcomes = [Outcome("us-east", Ending.ANSWERED, 3.25), Outcome("us-east", Ending.CUT, 1.0, "half")]
    result = count(FaultKind("rolls", "a planned fault"), 61.0, outcomes)
    console = Console(width=TABLE_WIDTH, record=True)
    console.print(as_table([result]))
    row = next(line for line in console.export_text().splitlines() if "rolls" in line)
    assert row.replace("│", " ").split() == [
        "rolls",
        "2",
        "1",
        "0",
        "0",
        "1",
        "0",
        "0",
        "0",
        "0",
        "0",
        "3.2",
        "s",
        "61",
        "1",
        "cut",
    ]
    assert result.details == Counter({"cut at us-east: half": 1})
    lines = [line.strip() for line in as_lines(result).splitlines()]
    assert lines == [
        "2 requests: 1 answered, 1 cut; longest wait 3.2 s, longest failure 1.0 s",
        "1 x cut at us-east: half",
        "1 cut",
    ]
