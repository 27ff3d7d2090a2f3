"""The bill is printed beside what two other ways would have cost."""

import io

from rich.console import Console
from voxfleet_demo.spot.costs import Bill, PricedNode
from voxfleet_demo.spot.spot_runner import bill_table


def test_the_bill_says_what_was_paid_and_what_was_saved() -> None:
    bill = Bill()
    bill.add([PricedNode("a", "spot", 0.35, 1.01), PricedNode("b", "on-demand", 1.01, 1.01)], 3600.0)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(bill_table(bill))
    text = console.export_text()
    assert "3600 node seconds on spot, 3600 on demand" in text
    assert "1.3600" in text
    assert "33%" in text  # 1.36 instead of 2.02
    assert "55%" in text  # 1.36 instead of three nodes at 1.01
