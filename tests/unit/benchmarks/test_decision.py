"""The benchmark of decisions measures each of its rows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from decision import measure


def test_every_row_is_measured_and_the_line_stays_below_its_bound() -> None:
    found = measure(32)
    assert {*found} == {
        "decide_us", "one_region_changed_us", "all_regions_changed_us", "record_us", "line_bytes",
    }  # fmt: skip
    assert all(value > 0 for value in found.values())
    assert found["line_bytes"] < 4096
