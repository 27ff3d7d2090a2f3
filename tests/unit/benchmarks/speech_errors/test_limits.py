"""Which limits of the gate a run missed."""

from typing import Any

import pytest

from .conftest import Load

GOOD = {
    "word_error_rate": 0.06,
    "demo_word_error_rate": 0.04,
    "right_length_share": 0.95,
    "by_format": {"fp32": 0.04, "bf16": 0.05, "int8": 0.06, "reference": 0.045},
}


def missed(load: Load, **changed: Any) -> list[str]:
    limits = load("limits")
    return [str(each) for each in limits.judge(limits.Figures(**(GOOD | changed)), limits.Limits())]


def test_figures_on_their_limits_pass(load: Load) -> None:
    assert missed(load) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"word_error_rate": 0.061}, "word error rate at cfg 2: 0.061; the limit is 0.060"),
        ({"demo_word_error_rate": 0.0412}, "word error rate at the demo's setting: 0.041; the limit is 0.040"),
        ({"right_length_share": 0.9444}, "right lengths: 94.4% of the sentences; at least 95% are required"),
        (
            {"by_format": {"fp32": 0.04, "int8": 0.075, "reference": 0.05}},
            "number formats: int8 and fp32 are 0.035 apart; the limit is 0.020",
        ),
        ({"not_measured": {"int8": "there is no gcc"}}, "int8: not measured: there is no gcc"),
    ],
)
def test_each_missed_limit_is_named_with_its_figure(load: Load, changed: dict[str, Any], message: str) -> None:
    assert missed(load, **changed) == [message]


def test_all_missed_limits_are_named(load: Load) -> None:
    assert len(missed(load, word_error_rate=0.2, demo_word_error_rate=0.2, right_length_share=0.5)) == 3
