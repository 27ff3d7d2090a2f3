"""Ways in: which are made, and for each that is not the reason, the field and the way out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.ways_in import Surroundings, Way, decide_ways_in, hosts_of, is_within
from voxfleet_operator.resources import Key, Resource, read_resource

EVERYTHING: dict[str, Any] = {
    "ingress": {"host": "tts.example.com"},
    "route": {"parentRefs": [{"name": "public"}]},
    "monitoring": {"podMonitor": True},
    "notebook": {"enabled": True, "tlsSecretName": "tls", "host": "lab.example.com"},
}
OPEN = Surroundings(
    served=frozenset({"HTTPRoute", "ReferenceGrant", "PodMonitor"}),
    host_owners={"tts.example.com": Key("default", "narrator"), "lab.example.com": Key("default", "narrator")},
    allowed_domains=("example.com",),
    has_notebooks=True,
)


def resource(**spec: Any) -> Resource:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u1", "creationTimestamp": "2026-11-23T20:00:00Z"}
    return read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], **spec}})


def around(**changes: Any) -> Surroundings:
    fields = {name: getattr(OPEN, name) for name in Surroundings.__slots__}
    return Surroundings(**{**fields, **changes})


def test_nothing_is_made_unasked() -> None:
    assert not decide_ways_in(resource(), OPEN).made


def test_everything_asked_is_made_where_nothing_forbids_it() -> None:
    found = decide_ways_in(resource(**EVERYTHING), OPEN)
    assert (found.made, found.refusals) == (frozenset(Way), ())


@pytest.mark.parametrize(
    ("changes", "way", "reason", "words"),
    [
        ({"served": frozenset({"PodMonitor"})}, Way.ROUTE, "KindNotServed", ("spec.route", "HTTPRoute", "install")),
        (
            {"served": frozenset({"HTTPRoute", "ReferenceGrant"})},
            Way.POD_MONITOR,
            "KindNotServed",
            ("spec.monitoring.podMonitor", "monitoring.coreos.com/v1", "port 9090"),
        ),
        (
            {"host_owners": {"tts.example.com": Key("team", "older")}},
            Way.INGRESS,
            "HostTaken",
            ("spec.ingress.host", "team/older", "remove it"),
        ),
        ({"has_notebooks": False}, Way.NOTEBOOK, "FeatureNotAvailable", ("spec.notebook", "notebooks.enabled")),
    ],
)
def test_a_way_that_is_not_made_has_a_reason_and_keeps_no_other(
    changes: dict[str, Any], way: Way, reason: str, words: tuple[str, ...]
) -> None:
    found = decide_ways_in(resource(**EVERYTHING), around(**changes))
    assert found.made == frozenset(Way) - {way}
    assert {each for each, _ in found.refusals} == {reason}
    for word in words:
        assert word in found.refusals[0][1]


def test_no_host_is_allowed_by_default() -> None:
    found = decide_ways_in(resource(**EVERYTHING), around(allowed_domains=()))
    assert found.made == {Way.ROUTE, Way.POD_MONITOR}, "a notebook without its host would be without its TLS"
    assert [reason for reason, _ in found.refusals] == ["HostForbidden", "HostForbidden"]
    assert "allowedIngressDomains allows none, not tts.example.com" in found.refusals[0][1]


def test_both_kinds_of_a_route_are_named_when_the_whole_api_is_missing() -> None:
    found = decide_ways_in(resource(route=EVERYTHING["route"]), around(served=frozenset()))
    assert [("HTTPRoute" in text, "ReferenceGrant" in text) for _, text in found.refusals] == [
        (True, False),
        (False, True),
    ]


def test_in_a_remote_cluster_its_own_servers_are_scraped_and_nothing_else_is_made() -> None:
    remote = {"name": "ap", "kubeConfigSecretRef": {"name": "k"}, "gatewayURL": "https://ap.example.com"}
    asked = resource(**EVERYTHING, regions=[{"name": "eu"}, remote])
    assert decide_ways_in(asked, around(kubeconfig="k/value")).made == {Way.POD_MONITOR}
    refused = decide_ways_in(asked, around(kubeconfig="k/value", served=frozenset()))
    assert "the cluster of k/value does not serve PodMonitor" in refused.refusals[0][1]


def test_the_host_of_a_notebook_that_is_off_is_not_asked_for() -> None:
    assert hosts_of(resource(notebook={"host": "lab.example.com"}).spec) == ()
    assert hosts_of(resource(**EVERYTHING).spec) == ("tts.example.com", "lab.example.com")


LABELS = st.text("abc", min_size=1, max_size=3)


@given(st.lists(LABELS, min_size=1, max_size=4), st.lists(LABELS, min_size=1, max_size=3))
def test_property_a_host_is_within_a_domain_exactly_when_its_last_labels_are_the_domain(
    host: list[str], domain: list[str]
) -> None:
    assert is_within(".".join(host), (".".join(domain),)) == (host[-len(domain) :] == domain)
