"""What is learned of round trips, at which level, and what bounds it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.rtt_model import (
    LEVELS,
    MAX_SECONDS,
    MIN_SECONDS,
    PASS_ON_SECONDS,
    RttModel,
    coarser_groups,
)
from voxfleet_gateway.regions import Location

HOUR = 3600.0
FRANKFURT = Location(50.11, 8.68)
PRIOR = 0.1


def network(
    prefix: int = 0, asn: int | None = 64496, country: str = "DE", place: Location | None = FRANKFURT
) -> ClientNetwork:
    return ClientNetwork(f"10.{prefix // 256}.{prefix % 256}.0/24", asn, country, place)


def learned(seconds: float, *networks: ClientNetwork, samples: int = 1, is_reported: bool = False) -> RttModel:
    model = RttModel()
    for index in range(samples):
        for each in networks:
            model.record(
                each, "eu", seconds, prior_seconds=PRIOR, now_seconds=float(index * 2), is_reported=is_reported
            )
    return model


def estimate(model: RttModel, of: ClientNetwork, region: str = "eu", now_seconds: float = HOUR) -> float:
    return model.estimate(of, region, PRIOR, now_seconds).seconds


def test_without_a_measurement_distance_is_the_estimate() -> None:
    found = RttModel().estimate(network(), "eu", PRIOR, 0.0)
    assert found.seconds == pytest.approx(PRIOR)
    assert not found.is_measured


def test_a_prefix_is_known_after_few_samples() -> None:
    model = learned(0.04, network(), samples=5)
    assert estimate(model, network()) == pytest.approx(0.04, rel=0.05)
    assert model.estimate(network(), "eu", PRIOR, HOUR).is_measured
    assert estimate(model, network(), "us") == pytest.approx(PRIOR)


def test_neighbours_learn_from_one_another_the_less_the_farther_they_are() -> None:
    model = learned(0.04, *(network(index) for index in range(10)), samples=3)
    same_asn = estimate(model, network(99))
    same_area = estimate(model, network(99, asn=64497))
    same_country = estimate(model, network(99, asn=64497, place=Location(54.0, 25.0)))
    abroad = estimate(model, network(99, country="FR"))
    assert 0.04 < same_asn < same_area < same_country < abroad
    assert abroad == pytest.approx(PRIOR)


def test_coarser_levels_learn_ratios() -> None:
    """A city nearer to the region than those that were measured is estimated nearer."""
    model = learned(0.05, *(network(index) for index in range(20)), samples=3)
    assert model.estimate(network(99), "eu", 0.2, HOUR).seconds == pytest.approx(0.1, rel=0.05)


def test_what_clients_report_changes_their_own_prefix_alone() -> None:
    model = learned(0.02, *(network(index) for index in range(50)), samples=5, is_reported=True)
    assert estimate(model, network(3)) < 0.03
    assert estimate(model, network(99)) == pytest.approx(PRIOR)
    assert all(not model.levels[level].cells for level in ("asn", "area", "country"))


def test_one_wild_sample_does_not_decide() -> None:
    model = learned(0.04, network(), samples=20)
    model.record(network(), "eu", 2.9, prior_seconds=PRIOR, now_seconds=HOUR)
    assert estimate(model, network()) < 0.06


def test_a_prefix_is_sampled_once_in_a_second() -> None:
    model = RttModel()
    used = [model.record(network(), "eu", 0.05, prior_seconds=PRIOR, now_seconds=step / 10) for step in range(25)]
    assert sum(used) == 3


def test_one_busy_prefix_is_not_its_country() -> None:
    model = learned(0.02, network(), samples=100)  # in 200 s
    assert model.levels["country"].cells[("DE",)]["eu"].weight == 1
    assert model.levels["prefix"].cells[(network().prefix,)]["eu"].weight > 20
    model.record(network(), "eu", 0.02, prior_seconds=PRIOR, now_seconds=PASS_ON_SECONDS)
    assert model.levels["country"].cells[("DE",)]["eu"].weight == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, MIN_SECONDS / 2, MAX_SECONDS * 2, math.nan, math.inf])
def test_what_is_no_round_trip_is_ignored(seconds: float) -> None:
    model = RttModel()
    assert not model.record(network(), "eu", seconds, prior_seconds=PRIOR, now_seconds=0.0)
    assert not model.levels["prefix"].cells


def test_an_unknown_client_teaches_nothing() -> None:
    assert not RttModel().record(ClientNetwork(), "eu", 0.05, prior_seconds=PRIOR, now_seconds=0.0)
    assert coarser_groups(ClientNetwork("192.0.2.0/24")) == ()


def test_what_is_old_gives_way_to_distance() -> None:
    model = learned(0.04, network(), samples=5)
    assert estimate(model, network(), now_seconds=60 * 24 * HOUR) == pytest.approx(PRIOR, rel=0.01)


def test_memory_is_bounded_and_the_longest_unused_goes() -> None:
    model = RttModel()
    for prefix in range(LEVELS["prefix"] + 100):
        each = network(prefix, asn=prefix)
        model.record(each, "eu", 0.04, prior_seconds=PRIOR, now_seconds=0.0)
        model.estimate(network(0, asn=0), "eu", PRIOR, 0.0)  # the first stays in use
    assert {level: len(groups.cells) for level, groups in model.levels.items()} == {
        "prefix": LEVELS["prefix"],
        "asn": LEVELS["asn"],
        "area": 1,
        "country": 1,
    }
    assert ("10.0.0.0/24",) in model.levels["prefix"].cells
    assert ("10.0.1.0/24",) not in model.levels["prefix"].cells


networks = st.builds(
    network,
    st.integers(0, 5),
    st.none() | st.integers(1, 3),
    st.sampled_from(["", "DE", "CN"]),
    st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180)),
)
samples = st.tuples(networks, st.sampled_from(["eu", "us"]), st.floats(-1, 5), st.booleans(), st.floats(0, 1e6))


@given(st.lists(samples, max_size=60), networks, st.floats(0.02, 0.4), st.floats(0, 1e6))
def test_an_estimate_is_a_round_trip_whatever_was_measured(
    taken: list[tuple[ClientNetwork, str, float, bool, float]], asked: ClientNetwork, prior: float, now: float
) -> None:
    model = RttModel()
    for each, region, seconds, is_reported, at_seconds in taken:
        model.record(each, region, seconds, prior_seconds=prior, now_seconds=at_seconds, is_reported=is_reported)
    for found in model.estimates(asked, (("eu", prior), ("us", prior)), now):
        assert MIN_SECONDS / 2 < found.seconds < MAX_SECONDS * 2
        assert found.weight >= 0
