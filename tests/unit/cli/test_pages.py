"""The pages about routing, costs and the command line: their commands exist, and their examples are real output."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from voxfleet_cli.__main__ import app
from voxfleet_cli.cost.commands import cost_table
from voxfleet_cli.cost.ledger import CostLedger, RegionCost
from voxfleet_cli.cost.report import report
from voxfleet_cli.route import commands
from voxfleet_gateway.decisions.record import from_json
from voxfleet_gateway.server.internal.explain import explained

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("routing-explained", "costs", "command-line")}
HOUR = 3600.0


def lines(page: str) -> list[str]:
    """The calls of `voxfleet` in the page's blocks for a shell, also behind a pipe."""
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [found for block in blocks for found in re.findall(r"(?:^|\| )(voxfleet .*)$", block, re.MULTILINE)]


CALLS = [line for page in PAGES.values() for line in lines(page)]


@pytest.mark.parametrize("line", CALLS)
def test_a_command_of_a_page_exists_with_its_options(line: str) -> None:
    command, words = get_command(app), shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    known = {name for each in command.params for name in each.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_both_pages_have_commands() -> None:
    assert {line.split()[1] for line in CALLS} == {"route", "cost", "speak", "voices"}


def block(page: str, beginning: str) -> list[str]:
    blocks = [text.partition("\n")[2] for text in PAGES[page].split("```")[1::2]]
    (found,) = [text for text in blocks if text.startswith(beginning)]
    return [line.rstrip() for line in found.splitlines()]


def test_the_explained_decision_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = (ROOT / "tests/unit/gateway/recorded/decisions.jsonl").read_text().splitlines()
    (line,) = [each for each in map(json.loads, recorded) if each["request_id"] == "spill-wake"]
    about = {"gateway": "voxfleet-gateway-ap-east-7c9d", "gateway_region": "ap-east", "model": "default/narrator"}
    commands._print(about | {"client": "203.0.113.9"} | explained(from_json(line).record))
    printed = [each.rstrip() for each in capsys.readouterr().out.splitlines()]
    assert printed == block("routing-explained", "model  ")


def test_the_table_of_costs_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    both: dict[str, Any] = {"on_demand_seconds": 41.2 * HOUR, "spot_seconds": 163.9 * HOUR}
    both |= {"on_demand_paid": 41.2 * 1.01, "spot_paid": 163.9 * 0.35, "spot_saved": 163.9 * 0.66}
    eu = RegionCost(**both, asleep_seconds=541.3 * HOUR, asleep_cost=541.3 * 1.01, baseline_gpus=3)
    us = RegionCost(
        on_demand_seconds=2.4 * HOUR,
        on_demand_paid=2.4 * 1.2,
        asleep_seconds=705.1 * HOUR,
        asleep_cost=705.1 * 1.2,
        baseline_gpus=1,
    )
    months = {("2026-11", "eu-central"): eu, ("2026-11", "us-east"): us}
    found = report("2026-11", [CostLedger("default", "narrator", months)])
    commands.print_table(cost_table(found, with_namespace=False), commands.Console())
    printed = [each.rstrip() for each in capsys.readouterr().out.splitlines()]
    assert printed == block("costs", "2026-11 until")[2:]
