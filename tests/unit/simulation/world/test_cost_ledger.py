"""The operator's cost ledger, fed with the simulator's pods and phases, against the simulator's own bill."""

from pathlib import Path
from typing import Any

import pytest
import voxfleet_simulation
import yaml
from voxfleet_operator.decisions.cost.ledger import Ledger, advance, with_rates
from voxfleet_operator.decisions.cost.rates import rate_of
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.names import POOL_SPOT
from voxfleet_simulation.results.statistics import statistics_of
from voxfleet_simulation.scenario.demand import make_arrivals
from voxfleet_simulation.scenario.scenario import Scenario, parse_scenario
from voxfleet_simulation.world import operator
from voxfleet_simulation.world.run import Variant
from voxfleet_simulation.world.simulation import simulate

BUNDLED = Path(voxfleet_simulation.__file__).parent / "scenarios"
FOREVER = 1e9
# The bill is of nodes, the ledger of pods: they are the same where a node boots at once and leaves with its pod.
BARE = {"node": {"median": 0.01, "p95": 0.02}, "keepSeconds": 0}


class Ledgers:
    """One ledger per region, brought up to date at each of the operator's decisions, as the operator does."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.regions = {region.name: region for region in scenario.spec.regions}
        self.by_region = {name: Ledger(scenario.begins_at) for name in self.regions}

    def record(self, observed: RegionState, plan: RegionPlan, now: float) -> None:
        rate = rate_of(self.regions[observed.name], observed, plan, self.scenario.spec.gpu.count)
        self.by_region[observed.name] = with_rates(advance(self.by_region[observed.name], now, FOREVER), (rate,))

    def months(self) -> list[Any]:
        ends_at = self.scenario.ends_at
        ledgers = [advance(ledger, ends_at, FOREVER) for ledger in self.by_region.values()]
        return [row for ledger in ledgers for row in ledger.months.values()]


@pytest.mark.parametrize(
    ("name", "demand"),
    [("quiet_app", {}), ("spot_drought", {"requests": 600}), ("region_lost", {"requests": 600})],
)
def test_the_ledger_has_the_gpu_seconds_and_the_money_of_the_bill(
    name: str, demand: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = yaml.safe_load((BUNDLED / f"{name}.yaml").read_text())
    raw["demand"] |= demand
    raw["machines"] |= BARE
    scenario = parse_scenario(raw, name)
    ledgers, decide = Ledgers(scenario), operator.decide

    def recorded(observed: RegionState, now: float) -> RegionPlan:
        plan = decide(observed, now)
        ledgers.record(observed, plan, now)
        return plan

    monkeypatch.setattr(operator, "decide", recorded)
    result = simulate(scenario, make_arrivals(scenario), Variant(name))
    billed, rows = statistics_of(scenario, result), ledgers.months()
    assert billed.gpu_hours_spot > 0
    assert sum(row.gpu_seconds for row in rows) == pytest.approx(3600 * billed.gpu_hours, rel=0.01)
    assert sum(row.spot_seconds for row in rows) == pytest.approx(3600 * billed.gpu_hours_spot, rel=0.01)
    assert sum(row.on_demand_paid + row.spot_paid for row in rows) == pytest.approx(billed.money, rel=0.01)
    assert sum(row.unpriced_seconds for row in rows) == 0
    on_demand = [end - begin for bill in result.bills for pool, begin, end in bill if pool != POOL_SPOT]
    assert sum(row.on_demand_seconds for row in rows) == pytest.approx(sum(on_demand), rel=0.01)
