"""A peer's figures: about its own region alone, first to be forgotten, and of groups that clients can be in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.exchange import ExchangedCells, export
from voxfleet_gateway.decisions.rtt.peer_exchange import is_group, merge_from_peer, read_from_peer
from voxfleet_gateway.decisions.rtt.rtt_model import Level, RttModel
from voxfleet_gateway.regions import Location

HERE = ClientNetwork("192.0.2.0/24", 64496, "DE", Location(50.1, 8.7))
ROW = {"level": "prefix", "key": ["192.0.2.0/24"], "region": "us", "mean": -3.0, "weight": 9.0, "age_seconds": 0.0}


def cells(*rows: dict[str, Any]) -> ExchangedCells:
    return ExchangedCells.model_validate({"cells": [ROW | row for row in rows]})


def merged(model: RttModel, received: ExchangedCells, region: str, now_seconds: float) -> int:
    """Merge as a gateway does what it has received as JSON."""
    return merge_from_peer(model, read_from_peer(received.model_dump_json().encode(), region), region, now_seconds)


def learned(region: str, seconds: float = 0.05, now_seconds: float = 0.0) -> RttModel:
    model = RttModel()
    model.record(HERE, region, seconds, prior_seconds=0.1, now_seconds=now_seconds)
    return model


def test_a_region_learns_of_its_peer_what_the_peer_has_measured() -> None:
    there, here = learned("us", 0.2), learned("eu", 0.01)
    sent = ExchangedCells.model_validate(export(there, 0.0, region="us"))
    assert merged(here, sent, "us", 0.0) == 4, "one figure per level"
    for region, model in (("us", there), ("eu", learned("eu", 0.01))):
        expected = model.estimate(HERE, region, 0.1, 0.0)
        assert here.estimate(HERE, region, 0.1, 0.0).seconds == pytest.approx(expected.seconds, rel=0.01)
    assert merged(here, sent, "us", 0.0) == 0, "what is sent twice counts once"


@given(st.lists(st.sampled_from(["eu", "us", "ap"]), max_size=20), st.floats(-10, 10), st.floats(0.1, 30))
def test_a_peer_claims_round_trips_to_its_own_region_alone(regions: list[str], mean: float, weight: float) -> None:
    model = learned("eu")
    before = {region: model.estimate(HERE, region, 0.1, 0.0) for region in ("eu", "ap")}
    merged(model, cells(*({"region": name, "mean": mean, "weight": weight} for name in regions)), "us", 0.0)
    assert {region: model.estimate(HERE, region, 0.1, 0.0) for region in before} == before
    assert not [row for row in export(model, 0.0, region="us")["cells"] if row["region"] != "us"]


def test_the_heavier_figure_stays() -> None:
    model = RttModel()
    assert merged(model, cells({"weight": 9.0}), "us", 0.0) == 1
    assert merged(model, cells({"weight": 8.0, "mean": -1.0}), "us", 0.0) == 0
    assert merged(model, cells({"weight": 10.0, "mean": -1.0}), "us", 0.0) == 1
    assert model.levels["prefix"].cells["192.0.2.0/24",]["us"].mean == -1.0


def test_what_peers_send_replaces_nothing_that_was_measured_here() -> None:
    model = learned("eu")
    groups = model.levels["prefix"]
    groups.limit = 8
    many = [{"key": [f"10.0.{index}.0/24"]} for index in range(100)]
    assert merged(model, cells(*many), "us", 0.0) == 4, "half of the places"
    assert merged(model, cells(*({"region": "ap"} | row for row in many)), "ap", 0.0) == 4
    assert merged(model, cells({"key": ["10.9.9.0/24"], "region": "sa"}), "sa", 0.0) == 1
    assert len(groups.cells) == 6, "the groups of two peers are the same"
    for index in range(20):
        merged(model, cells({"key": [f"10.1.{index}.0/24"], "region": f"r{index}"}), f"r{index}", 0.0)
    assert len(groups.cells) == 8
    assert HERE.prefix in {key[0] for key in groups.cells}
    # Own measurements take the places of what peers sent, and not the other way round.
    for index in range(7):
        network = ClientNetwork(f"172.16.{index}.0/24")
        model.record(network, "eu", 0.01, prior_seconds=0.1, now_seconds=0.0)
    assert {key[0] for key in groups.cells} == {HERE.prefix} | {f"172.16.{index}.0/24" for index in range(7)}


def test_a_figure_that_says_nothing_any_more_gives_way() -> None:
    model = learned("eu")
    model.levels["prefix"].limit = 2
    assert merged(model, cells({"key": ["10.0.1.0/24"], "weight": 0.1}), "us", 0.0) == 1
    assert merged(model, cells({"key": ["10.0.2.0/24"], "region": "ap"}), "ap", 0.0) == 0
    later = 3 * 12 * 3600.0
    assert merged(model, cells({"key": ["10.0.2.0/24"], "region": "ap"}), "ap", later) == 1
    assert [key[0] for key in model.levels["prefix"].cells] == ["10.0.2.0/24", HERE.prefix]


@pytest.mark.parametrize(
    ("level", "key", "expected"),
    [
        ("prefix", ("192.0.2.0/24",), True),
        ("prefix", ("2001:db8::/48",), True),
        ("prefix", ("192.0.2.0/25",), False),
        ("prefix", ("192.0.2.1",), False),
        ("prefix", (1,), False),
        ("prefix", (None,), False),
        ("prefix", ("192.0.2.0/24", "DE"), False),
        ("asn", (64496, "DE"), True),
        ("asn", (64496, "DE", 5, 1), True),
        ("asn", (64496,), False),
        ("asn", (-1, "DE"), False),
        ("asn", ("DE", "DE"), False),
        ("area", ("DE", 5, 1), True),
        ("area", ("DE", 9, -18), True),
        ("area", ("DE", 10, 1), False),
        ("area", ("DE", 5), False),
        ("area", ("DE",), False),
        ("area", ("DE", "5", 1), False),
        ("country", ("DE",), True),
        ("country", ("QQ",), False),
        ("country", ("DE", 5, 1), False),
        ("country", (None,), False),
    ],
)
def test_only_keys_that_a_client_can_have_are_groups(
    level: Level, key: tuple[str | int | None, ...], *, expected: bool
) -> None:
    assert is_group(level, key) is expected
