"""What the engine answers from: file and registry, addresses, health, solutions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import RoutingSolution
from voxfleet_gateway.decisions.dns.leaf_exploration import Exploration
from voxfleet_gateway.decisions.dns.planning import LAST_GOOD_SECONDS, ModelReport, RegionState
from voxfleet_gateway.decisions.dns.records import Endpoint
from voxfleet_gateway.decisions.dns.scopes import Address, Leaf
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.dns.engine import Engine, Source
from voxfleet_gateway.dns.inputs.url_rules import UrlRules
from voxfleet_gateway.dns.inputs.zone_file import ZoneFile
from voxfleet_gateway.dns.telemetry import FALLBACK, REGISTRY
from voxfleet_gateway.regions import ModelEntry

RULES = UrlRules(("example.net", "example.org"))
EU_URL, ASIA_URL = "https://eu.example.net", "https://asia.example.net"
SHANGHAI = AddressFacts("", "CN", None, 31.2, 121.5)


def leaf(_address: Address) -> Leaf:
    return Leaf(SHANGHAI, 12)


def zone_file(**more: Any) -> ZoneFile:
    return ZoneFile.model_validate({"zone": "tts.example.com", "nameServers": [{"name": "ns.example.net"}], **more})


def entry(name: str = "vox", *, created: int = 0, **more: Any) -> ModelEntry:
    regions = [
        {"name": "asia", "latitude": 31.2, "longitude": 121.5, "gateway_url": ASIA_URL},
        {"name": "eu", "latitude": 50.1, "longitude": 8.7, "gateway_url": EU_URL},
    ]
    content = {
        "schema": "voxfleet.dev/registry/v1",
        "namespace": "voices",
        "name": name,
        "model": "vox-1.5",
        "created_at": datetime.fromtimestamp(created, UTC),
        "regions": regions,
        **more,
    }
    return ModelEntry.model_validate(content)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class States:
    """Health and reports by region."""

    known: dict[str, RegionState] = field(default_factory=dict)

    def __call__(self, source: Source, _now: float) -> RegionState:
        return self.known.get(source[0], RegionState())


def ask(engine: Engine, name: str = "vox-1-5", kind: str = "A") -> list[str]:
    parameters = {"qname": f"{name}.tts.example.com.", "qtype": kind, "real-remote": "20.1.2.0/24"}
    response = json.loads(engine.answering.respond(json.dumps({"method": "lookup", "parameters": parameters}).encode()))
    return [record["content"] for record in response["result"] if record["qtype"] == kind]


RESOLVED: Mapping[str, Endpoint] = {
    EU_URL: Endpoint((ip_address("192.0.2.2"),)),
    ASIA_URL: Endpoint((ip_address("192.0.2.1"),)),
}


def new_engine(states: States | None = None, clock: Clock | None = None, **more: Any) -> Engine:
    engine = Engine(
        zone_file(**more), leaf, (entry(),), RESOLVED, states or States(), clock or Clock(), url_rules=RULES
    )
    engine.refresh()
    return engine


def test_models_of_the_registry_resolve_to_their_gateways_addresses() -> None:
    engine = new_engine()
    assert ask(engine) == ["192.0.2.1"]
    assert ask(engine, "vox.voices") == ["192.0.2.1"]
    assert engine.urls == {EU_URL, ASIA_URL}
    assert engine.sources == {("asia", ASIA_URL), ("eu", EU_URL)}


def test_addresses_of_the_file_win_and_need_no_resolving() -> None:
    engine = new_engine(regions=[{"name": "asia", "addresses": ["192.0.2.9"]}])
    assert ask(engine) == ["192.0.2.9"]
    assert ask(engine, "asia.regions") == ["192.0.2.9"]
    assert engine.urls == {EU_URL}


def test_a_region_without_an_address_is_not_chosen() -> None:
    engine = new_engine()
    engine.resolved = {EU_URL: RESOLVED[EU_URL]}
    engine.refresh()
    assert ask(engine) == ["192.0.2.2"]
    engine.resolved = {}
    engine.refresh()
    assert ask(engine) == []


def test_one_resources_gateway_url_is_not_used_for_another_resource() -> None:
    """Its author must not direct clients of other resources to hosts of one's choice."""
    engine = new_engine()
    regions = [{"name": "asia", "gateway_url": "https://elsewhere.example.org"}]
    engine.entries = (entry(), entry("other", created=1, model="other", regions=regions))
    engine.resolved = {**RESOLVED, "https://elsewhere.example.org": Endpoint((ip_address("203.0.113.66"),))}
    engine.refresh()
    assert ask(engine) == ["192.0.2.1"]
    assert ask(engine, "other") == ["203.0.113.66"]
    assert ask(engine, "asia.regions") == []


def test_a_gateway_url_outside_the_allowed_domains_is_neither_asked_nor_resolved() -> None:
    engine = new_engine()
    engine.url_rules = UrlRules(("eu.example.net",))
    engine.refresh()
    assert engine.urls == {EU_URL}
    assert engine.sources == {("eu", EU_URL)}
    assert ask(engine) == ["192.0.2.2"]  # though its address is known from before
    engine.file = zone_file(regions=[{"name": "asia", "gatewayURL": ASIA_URL}])  # an administrator names it
    engine.refresh()
    assert engine.urls == {EU_URL, ASIA_URL}
    assert ask(engine) == ["192.0.2.1"]


def test_the_oldest_resource_owns_a_models_name() -> None:
    engine = new_engine()
    newer = entry("newer", created=5, regions=[{"name": "eu", "gateway_url": EU_URL}])
    older = entry("older", created=1)
    engine.entries = (newer, older)
    engine.refresh()
    assert ask(engine) == ["192.0.2.1"]
    assert ask(engine, "newer.voices") == ["192.0.2.2"]


def test_a_region_that_is_out_is_left_at_the_next_refresh() -> None:
    states = States()
    engine = new_engine(states)
    states.known = {"asia": RegionState(admission=0.0)}
    engine.refresh()
    assert ask(engine) == ["192.0.2.2"]


def test_queries_and_reports_make_a_problem_whose_solution_is_used() -> None:
    states, clock = States(), Clock()
    engine = new_engine(states, clock)
    assert engine.problems() == {}
    ask(engine)
    states.known = {"asia": RegionState(1.0, is_reporting=True, models={"voices/vox": ModelReport(8, 4)})}
    problem = engine.problems()["voices/vox"]
    assert [str(each.group) for each in problem.groups] == ["CN@3,8"]
    engine.use("voices/vox", RoutingSolution({problem.groups[0].group: {"eu": 1.0}}, overload=1.5))
    engine.refresh()
    assert ask(engine) == ["192.0.2.2"]
    assert engine.problems()["voices/vox"].previous == {problem.groups[0].group: {"eu": 1.0}}
    engine.refresh_gauges()
    assert FALLBACK.labels("none")._value.get() == 1
    clock.now += LAST_GOOD_SECONDS + 1
    engine.refresh()
    assert ask(engine) == ["192.0.2.1"]
    engine.refresh_gauges()
    assert FALLBACK.labels("geography")._value.get() == 1


def test_leaves_explore_for_an_epoch_that_all_engines_share() -> None:
    """The clock that orders solutions is each process's own; epochs are by the other one."""
    engine = new_engine(clock=Clock(17.0))
    other = replace(new_engine(clock=Clock(99.0)), wall_clock=Clock(6000.0), explore_share=0.5)
    engine.wall_clock, engine.explore_share = Clock(6599.0), 0.5

    def exploration(of: Engine) -> Exploration:
        of.refresh()
        return of.answering.data.plans["voices/vox"].exploration

    assert exploration(engine) == exploration(other) == Exploration(0.5, 10)
    engine.wall_clock = Clock(6600.0)
    assert exploration(engine) == Exploration(0.5, 11)
    engine.explore_share = 0.0
    assert exploration(engine) == Exploration(0.0, 0)  # no new plan at each epoch


def test_a_refresh_without_a_change_keeps_what_is_worked_out() -> None:
    engine = new_engine()
    ask(engine)
    kept = dict(engine.answering.answers)
    engine.refresh()
    assert engine.answering.answers == kept != {}


def test_a_model_that_is_gone_leaves_nothing() -> None:
    engine = new_engine()
    ask(engine)
    engine.entries = ()
    engine.refresh()
    assert ask(engine) == []
    assert engine.counts == {}


def test_label_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.dns.engine.MAX_REGIONS", 0)
    ask(new_engine())
    labels = {
        sample.labels["region"]
        for metric in REGISTRY.collect()
        if metric.name == "voxfleet_dns_answers"
        for sample in metric.samples
    }
    assert "other" in labels


def test_the_examples_zone_is_served() -> None:
    text = (Path(__file__).parents[4] / "examples/dns-zone.yaml").read_text()
    engine = Engine(ZoneFile.model_validate(yaml.safe_load(text)), leaf)
    assert ask(engine, "voxcpm-1-5") == ["192.0.2.40"]
