"""What gateways send one another counts once, and is bounded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.exchange import MAX_ROWS, ExchangedCells, export, merge
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.regions import Location

REGIONS = ("eu", "us")
HERE = ClientNetwork("192.0.2.0/24", 64496, "DE", Location(50.1, 8.7))
samples = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(REGIONS), st.floats(0.001, 2.0), st.floats(0, 1e5)), max_size=30
)


def learned(taken: list[tuple[int, str, float, float]]) -> RttModel:
    model = RttModel()
    for prefix, region, seconds, at_seconds in taken:
        network = ClientNetwork(f"192.0.{prefix}.0/24", prefix, "DE", None)
        model.record(network, region, seconds, prior_seconds=0.1, now_seconds=at_seconds)
    return model


def sent(model: RttModel, now_seconds: float, max_age_seconds: float = 1e9) -> ExchangedCells:
    return ExchangedCells.model_validate_json(json.dumps(export(model, now_seconds, max_age_seconds)))


def weights(model: RttModel) -> dict[str, float]:
    rows = export(model, 1e5)["cells"]
    return {f"{row['level']} {row['key']} {row['region']}": row["weight"] for row in rows}


@given(samples)
def test_a_restarted_gateway_estimates_what_its_sister_does(taken: list[tuple[int, str, float, float]]) -> None:
    sister, restarted = learned(taken), RttModel()
    merge(restarted, sent(sister, 1e5), REGIONS, 2e5)  # whose clock began elsewhere
    for prefix in range(4):
        network = ClientNetwork(f"192.0.{prefix}.0/24", prefix, "DE", None)
        for region in REGIONS:
            expected = sister.estimate(network, region, 0.1, 1e5)
            found = restarted.estimate(network, region, 0.1, 2e5)
            assert found.seconds == pytest.approx(expected.seconds, rel=0.05)


@given(samples, samples)
def test_sending_twice_or_back_changes_nothing(
    first: list[tuple[int, str, float, float]], second: list[tuple[int, str, float, float]]
) -> None:
    one, other = learned(first), learned(second)
    merge(one, sent(other, 1e5), REGIONS, 1e5)
    assert merge(one, sent(other, 1e5), REGIONS, 1e5) == 0
    merge(other, sent(one, 1e5), REGIONS, 1e5)
    before = weights(one)
    merge(one, sent(other, 1e5), REGIONS, 1e5)
    assert weights(one) == pytest.approx(before, abs=0.01)


def test_only_what_is_new_is_sent_on_request() -> None:
    model = learned([(0, "eu", 0.05, 0.0), (1, "eu", 0.05, 1000.0)])
    keys = {row["key"][0] for row in export(model, 1000.0, 60.0)["cells"] if row["level"] == "prefix"}
    assert keys == {"192.0.1.0/24"}


def test_regions_that_are_unknown_here_are_left_out() -> None:
    model = RttModel()
    assert merge(model, sent(learned([(0, "eu", 0.05, 0.0)]), 0.0), ("us",), 0.0) == 0
    assert not model.levels["prefix"].cells


def test_an_export_is_bounded_and_has_the_coarse_levels() -> None:
    model = RttModel()
    for index in range(MAX_ROWS):
        network = ClientNetwork(f"10.{index // 256}.{index % 256}.0/24", 64496, "DE", None)
        model.record(network, "eu", 0.05, prior_seconds=0.1, now_seconds=float(index))
    rows = export(model, MAX_ROWS)["cells"]
    assert len(rows) == MAX_ROWS
    assert {row["level"] for row in rows} == {"prefix", "asn", "country"}
    assert [f"10.{(MAX_ROWS - 1) // 256}.{(MAX_ROWS - 1) % 256}.0/24"] == [
        row["key"][0] for row in rows if row["level"] == "prefix"
    ][:1]
    assert len(json.dumps(rows)) < 2 * 2**20


@pytest.mark.parametrize(
    "change",
    [
        {"level": "planet"},
        {"key": []},
        {"key": ["a", "b", "c", "d", "e"]},
        {"region": ""},
        {"region": "x" * 64},
        {"mean": 99},
        {"mean": float("nan")},
        {"weight": 0},
        {"weight": 31},
        {"age_seconds": -1},
        {"age_seconds": float("inf")},
    ],
)
def test_a_figure_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    (row, *_) = export(learned([(0, "eu", 0.05, 0.0)]), 0.0)["cells"]
    with pytest.raises(ValidationError):
        ExchangedCells.model_validate({"cells": [row | change]})
    assert ExchangedCells.model_validate({"cells": [row]})
