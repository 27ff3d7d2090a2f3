from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.rule import Rule, applied
from voxfleet_inference.text.rule_table import RULES, rules_of

ALL = [
    pytest.param(rule, id=f"{language}-{kind}-{rule.example}")
    for language, kinds in RULES.items()
    for kind, rules in kinds.items()
    for rule in rules
]
TEXTS = st.text(alphabet=st.sampled_from("0123456789 -–~:./,$￥€%年月日点元第vVx×°'()+&①½IVXaApm是以"), max_size=60)


@pytest.mark.parametrize("rule", ALL)
def test_a_rule_reads_its_example_as_it_says(rule: Rule) -> None:
    assert rule.applied(rule.example) == rule.spoken


@given(st.sampled_from(sorted(RULES)), TEXTS)
def test_what_the_rules_have_read_is_read_once(language: str, text: str) -> None:
    spoken = applied(rules_of(language), text)
    assert sum(each.isdigit() for each in spoken) <= sum(each.isdigit() for each in text) + text.count("401")


@pytest.mark.parametrize("unit", ["1", "1-", "1,", "1.", "1:", "$1", "年1", "a 1 ", "I", "(1) ", "won 1 ", "第1-"])
def test_a_long_run_of_one_pattern_is_read_at_once(unit: str) -> None:
    for language in RULES:
        assert applied(rules_of(language), unit * (2000 // len(unit)))
