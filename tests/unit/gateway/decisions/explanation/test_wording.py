"""A decision in words: every way it can end has a sentence that names the regions and the figures."""

import json
import re
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.explanation.reasons import REFUSED
from voxfleet_gateway.decisions.explanation.wording import (
    REASON_WORDS,
    REGION_WORDS,
    SUMMARY_WORDS,
    explain_decision,
    reason_words,
    state_words,
)
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER, RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules, Location

LOCALES = Path(__file__).parents[5] / "web/src/locales"
NEAR, FAR = 0.02, 0.2
ASKED = RouteRequest("eu", Location(52.5, 13.4), "DE", rtt_seconds=(NEAR, FAR), rtt_source="distance")


def awake(name: str, **fields: Any) -> RegionView:
    return replace(RegionView(name, ready_pods=1, rows=4, free_requests=8), **fields)


def decided(*views: RegionView, **request: Any) -> DecisionRecord:
    asked = replace(ASKED, rtt_seconds=(NEAR, FAR)[: len(views)], **request)
    standings = stand_all(views)
    return DecisionRecord(asked, standings, decide(standings, asked))


def sentences(*views: RegionView, **request: Any) -> tuple[str, list[str]]:
    words = explain_decision(decided(*views, **request))
    return words.summary, [each.verdict for each in words.regions]


def test_every_filter_has_words() -> None:
    assert {*REFUSAL_BY_FILTER} <= {*REGION_WORDS}
    assert {f"{REFUSED}{reason}" for reason in REFUSAL_BY_FILTER} <= {*SUMMARY_WORDS}


PAGE = re.compile(r"\{\{(\w+)\}\}")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_has_words_for_every_reason_and_they_name_the_same(language: str) -> None:
    locale = json.loads((LOCALES / language / "fleet.json").read_text())["reasons"]
    assert locale.keys() == REASON_WORDS.keys()
    for code, words in REASON_WORDS.items():
        assert {*PAGE.findall(locale[code])} == {name for _, name, _, _ in Formatter().parse(words) if name}


def test_the_page_says_in_english_what_the_command_line_says() -> None:
    locale = json.loads((LOCALES / "en" / "fleet.json").read_text())["reasons"]
    assert {code: PAGE.sub(r"{\1}", words) for code, words in locale.items()} == REASON_WORDS


@pytest.mark.parametrize(
    ("view", "fault", "verdict"),
    [
        (
            RegionView("us", is_reachable=False),
            "",
            "it is in another cluster, and this gateway has no connection to it",
        ),
        (RegionView("us", is_reachable=False), "its {URL}", "it is in another cluster, and its {URL}"),
        (RegionView("us", is_stale=True), "", "its gateway does not report, or the last report is too old"),
        (
            RegionView("us", is_stale=True),
            "connect: refused",
            "its gateway does not report, or the last report is too old: connect: refused",
        ),
        (RegionView("us", is_suspended=True), "a fault", "it is suspended (spec.suspend, or the region's own)"),
    ],
)
def test_why_a_peer_is_not_used_is_said_where_it_is_known(view: RegionView, fault: str, verdict: str) -> None:
    words = explain_decision(decided(awake("eu"), view), {"us": fault})
    assert words.regions[1].verdict == f"not used: {verdict}"


@pytest.mark.parametrize(
    ("views", "summary", "verdicts"),
    [
        (
            (awake("eu"), awake("us")),
            "eu is the nearest region that may serve this client, and it can serve now.",
            ["chosen: it serves now", "not used: expected 180 ms later"],
        ),
        (
            (awake("eu", running=4, waiting=3, service_seconds=2.0), awake("us")),
            "eu is nearer, but busy: us is expected to respond 1.8 s sooner.",
            ["not used: expected 1.8 s later", "chosen: it serves now"],
        ),
        (
            (RegionView("eu"), awake("us")),
            "eu is nearer, but asleep: us is expected to respond 29.8 s sooner than its wake ends.",
            ["not used: expected 29.8 s later", "chosen: it serves now"],
        ),
        (
            (RegionView("eu", failure="no GPU"), RegionView("us")),
            (
                "eu is nearer, but its last wake failed: no GPU; us is the next one. "
                "It can't serve yet, so the request waits. That takes about 30 s."
            ),
            ["not used: its last wake failed: no GPU", "chosen: the request waits for it"],
        ),
        (
            (RegionView("eu"), RegionView("us")),
            (
                "eu is where the client belongs; it has no server now, so the request waits for its wake. "
                "That takes about 30 s."
            ),
            [
                "chosen: the request waits for it",
                "not used: it can't serve now, and a request waits for its nearest region only (eu)",
            ],
        ),
        (
            (awake("eu", allowed_countries=("FR", "IT")),),
            "No region of this model may serve this client's country.",
            ["not used: allowedClients is FR, IT, and the client's country is DE"],
        ),
        ((), "This model has no regions.", []),
    ],
)
def test_the_sentences(views: tuple[RegionView, ...], summary: str, verdicts: list[str]) -> None:
    assert sentences(*views) == (summary, verdicts)


def test_without_spill_the_rule_is_named() -> None:
    _, verdicts = sentences(RegionView("eu"), awake("us"), rules=GatewayRules(spill=False))
    assert verdicts[1] == "not used: spec.gateway.spill is false, and eu is nearer"


def test_a_suspended_model_is_the_reason_of_all() -> None:
    summary, verdicts = sentences(awake("eu"), awake("us"), is_model_suspended=True)
    assert "suspended" in summary
    assert verdicts == ["not used: the model is suspended (spec.suspend)"] * 2


def test_the_client_and_the_wakes() -> None:
    words = explain_decision(decided(RegionView("eu"), awake("us")))
    assert (
        words.client == "The client is at 52.50, 13.40; its country is DE. Round trips are estimated from the distance."
    )
    assert words.wakes == "A request wakes eu."
    unknown = explain_decision(decided(awake("eu"), client=None, client_country=None, rtt_source="assumed"))
    assert unknown.client == (
        "The client's location is unknown; its country is unknown. It is assumed to be where the gateway is."
    )
    assert unknown.wakes == ""


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (awake("eu"), "awake: 1 server, 0 of 4 rows in use, room for 8 more requests"),
        (awake("eu", ready_pods=2, waiting=3), "awake: 2 servers, 0 of 4 rows in use, 3 waiting, room for 8 more"),
        (RegionView("eu"), "asleep; a wake takes about 30 s"),
        (RegionView("eu", wake_elapsed_seconds=12), "waking for 12 s, about 18 s to go"),
        (awake("eu", is_falling_asleep=True), "falling asleep; a request wakes it, in about 30 s"),
        (RegionView("eu", failure="no GPU"), "failed: no GPU"),
    ],
)
def test_the_state_of_a_region(view: RegionView, words: str) -> None:
    assert state_words(view).startswith(words)


views = st.builds(
    RegionView,
    name=st.sampled_from(["eu", "us", "ap", "sa"]),
    is_reachable=st.booleans(),
    is_suspended=st.booleans(),
    allowed_countries=st.sampled_from([(), ("DE",), ("US", "DE")]),
    failure=st.none() | st.sampled_from(["broken", "{braces} {0}"]),
    price_per_gpu_hour=st.floats(0, 10),
    ready_pods=st.integers(0, 2),
    rows=st.integers(0, 64),
    running=st.integers(0, 80),
    free_requests=st.integers(0, 5),
    circuit_left_seconds=st.sampled_from([0.0, 8.0]),
    is_falling_asleep=st.booleans(),
    wake_elapsed_seconds=st.floats(0, 100),
    free_places=st.integers(0, 2),
)
requests = st.builds(
    RouteRequest,
    gateway_region=st.just("eu"),
    client_country=st.sampled_from([None, "DE", "FR"]),
    rules=st.builds(GatewayRules, spill=st.booleans()),
    is_model_suspended=st.booleans(),
)


@given(
    st.lists(views, max_size=4, unique_by=lambda view: view.name),
    requests,
    st.lists(st.floats(0, 0.5), min_size=4, max_size=4),
)
def test_words_agree_with_the_decision(snapshot: list[RegionView], request: RouteRequest, rtts: list[float]) -> None:
    asked, standings = replace(request, rtt_seconds=tuple(rtts[: len(snapshot)])), stand_all(snapshot)
    record = DecisionRecord(asked, standings, decide(standings, asked))
    words = explain_decision(record)
    chosen = [each for each in words.regions if each.is_chosen]
    assert [each.region for each in chosen] == ([] if record.decision.action == "refuse" else [record.decision.region])
    assert all(each.verdict.startswith("chosen") for each in chosen)
    for each in words.regions:
        assert each.verdict.startswith("not used: ") or each.is_chosen
        if each.score_seconds is not None:
            assert each.score_seconds == pytest.approx(each.rtt_seconds + sum(each.waits.values()), abs=1e-4)
    assert words.summary
    # Every code is one that the page and the command line have words for, and a refusal says what the response says.
    codes = [*words.reasons, *(each.reason for each in words.regions)]
    assert {reason.code for reason in codes} <= REASON_WORDS.keys()
    if record.decision.action == "refuse":
        assert reason_words(words.reasons[0]) == record.decision.message
    # A region that is put off for its score has a worse one.
    assert not any("expected -" in each.verdict for each in words.regions)
