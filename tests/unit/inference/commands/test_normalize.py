from __future__ import annotations

import pytest
from typer.testing import CliRunner
from voxfleet_inference.commands.cli import app
from voxfleet_inference.text.rule_table import RULES


def test_a_line_per_sentence_is_printed_as_the_model_is_given_it() -> None:
    done = CliRunner().invoke(app, ["normalize", "It costs **$1,234.56**. [pause:1s] 今天是2025-09-28。"])
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "It costs one thousand, two hundred and thirty-four dollars and fifty-six cents.",
        "[pause 1 s]",
        "今天是二零二五年九月二十八日。",
    ]


def test_the_rules_are_printed_with_their_examples() -> None:
    done = CliRunner().invoke(app, ["normalize", "--rules"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == sum(len(rules) for kinds in RULES.values() for rules in kinds.values())
    assert "en  years         the 1990s  ->  the nineteen nineties" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "give a text, or --rules"), (["a", "--rules"], "give a text"), (["\U0001f600"], "a letter or a digit")],
)
def test_a_wrong_use_is_one_line(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["normalize", *arguments])
    assert done.exit_code == 2
    assert words in done.output
    assert len(done.output.splitlines()) == 1
