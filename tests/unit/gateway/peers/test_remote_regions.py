"""Which peers the registry's regions have: shared, bounded, and refused with a reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.peers.remote_regions import MAX_PEERS_PER_REGION, Peer, RemoteRegions
from voxfleet_gateway.peers.report import ModelReport, RegionReport
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey, Registry

URL = "https://us.tts.example.com:6007"


class World:
    """A fleet of eu's gateway, and what its registry says."""

    def __init__(self) -> None:
        self.registry, self.now, self.changes, self.suspicions = Registry(), 100.0, 0, []  # type: ignore[var-annotated]
        self.fleet = Fleet(lambda: self.registry, lambda _: (), dict, clock=lambda: self.now)
        self.fleet.gateway_region = "eu"
        self.regions = RemoteRegions(self.fleet, ("tts.example.com",), (), 2.0, self._changed, self.suspicions.append)
        self.fleet.on_models_change = self.regions.follow

    def _changed(self) -> None:
        self.changes += 1

    def put(self, name: str, **urls: str | None) -> None:
        """Declare a model in eu and in these regions."""
        fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": name, "model": name}
        rows = [RegionEntry(name="eu", local=False)]
        rows += [RegionEntry(name=region, gateway_url=url, local=False) for region, url in urls.items()]
        self.registry.put(ModelEntry(**fields, regions=tuple(rows)))
        self.fleet.refresh_models([("d", name)])

    def remove(self, name: str) -> None:
        """Take a model out of the registry."""
        self.registry.remove(self.registry.entries["d", name])
        self.fleet.refresh_models([("d", name)])

    def report(self, peer: Peer, *names: str, **fields: Any) -> None:
        """Let a peer report these models as awake, now."""
        awake = {"namespace": "d", "ready_pods": 1, "rows": 8, "free_requests": 9, **fields}
        rows = tuple(ModelReport(name=name, **awake) for name in names)
        report = RegionReport.model_validate({"region": peer.region, "at": "2026-11-30T12:00:00Z", "models": rows})
        self.regions.record_report(peer, report, self.now, self.regions.sent_before(peer), 0.1)


@pytest.fixture
def world() -> World:
    return World()


def key(name: str, region: str = "us") -> RegionKey:
    return RegionKey("d", name, region)


def test_models_share_a_peer_and_each_gets_its_row(world: World) -> None:
    world.put("a", us=URL)
    world.put("b", us=URL + "/")
    (peer,) = world.regions.keys_of
    assert world.changes == 1
    world.report(peer, "a")
    assert world.fleet.standing(key("a")).is_available
    assert not world.fleet.standing(key("b")).is_available, "a model without a row is asleep"
    assert world.fleet.standing(key("b")).unable_by is None, "and can be woken"


def test_a_model_s_languages_are_known_from_peers_also_once_it_sleeps_there(world: World) -> None:
    world.put("a", us=URL)
    model, (peer,) = world.registry.entries["d", "a"], {*world.regions.peer_of.values()}
    assert world.fleet.languages(model) == ()
    for fields in ({"languages": ("zh", "en")}, {}):
        world.report(peer, "a", **fields)
        assert world.fleet.languages(model) == ("zh", "en")
    world.report(peer)
    assert world.fleet.languages(model) == ("zh", "en")


def test_a_peer_without_models_is_forgotten(world: World) -> None:
    world.put("a", us=URL)
    world.put("b", us=URL)
    (peer,) = world.regions.keys_of
    world.report(peer, "a")
    world.remove("a")
    assert [*world.regions.keys_of] == [peer]
    assert world.regions.known() == {"us"}
    world.remove("b")
    assert (world.regions.keys_of, world.regions.reports, world.regions.known()) == ({}, {}, set())
    world.report(peer, "a")  # late
    assert world.regions.reports == {}


def test_own_and_local_regions_have_no_peer(world: World) -> None:
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "a", "model": "a"}
    rows = (RegionEntry(name="eu", gateway_url=URL), RegionEntry(name="north", gateway_url=URL))
    world.registry.put(ModelEntry(**fields, regions=rows))
    world.fleet.refresh()
    assert world.regions.keys_of == {}
    assert world.regions.known() == {"north"}, "it is another region all the same"


def test_a_refused_url_leaves_the_region_unreachable_and_is_named(world: World) -> None:
    world.put("a", us="https://evil.com", ap=None)
    assert "'evil.com' lies in none" in world.regions.refused[key("a")]
    for region in ("us", "ap"):
        assert world.fleet.standing(key("a", region)).excluded_by == "unreachable"
    world.put("a", us=URL)
    assert world.regions.refused == {}
    assert world.fleet.standing(key("a")).excluded_by is None


def test_a_changed_url_is_another_peer_and_nothing_is_believed_of_the_old_one(world: World) -> None:
    world.put("a", us=URL)
    (old,) = world.regions.keys_of
    world.report(old, "a")
    world.put("a", us="https://new.tts.example.com")
    assert [peer.url.host for peer in world.regions.keys_of] == ["new.tts.example.com"]
    assert not world.fleet.standing(key("a")).is_available


def test_authors_cannot_have_any_number_of_urls_polled(world: World) -> None:
    for number in range(20):
        world.put(f"m{number}", us=f"https://us{number}.tts.example.com")
    assert len(world.regions.keys_of) == MAX_PEERS_PER_REGION
    assert "has 4 gatewayURLs already" in world.regions.refused[key("m10")]
    world.put("m0", us="https://moved.tts.example.com")
    assert key("m0") not in world.regions.refused, "a changed URL takes its old one's place"


@pytest.mark.parametrize("failure", list(UpstreamFailure))
def test_after_a_failure_nothing_is_sent_until_the_next_report(failure: UpstreamFailure, world: World) -> None:
    world.put("a", us=URL)
    (peer,) = world.regions.keys_of
    world.report(peer, "a")
    world.now += 0.1
    world.regions.record_failure(key("a"), failure)
    assert not world.fleet.standing(key("a")).is_available
    assert world.suspicions == [peer]
    world.now += 0.1
    world.report(peer, "a")
    assert world.fleet.standing(key("a")).is_available


def test_a_peer_that_reports_well_and_fails_is_left_alone_longer_and_longer(world: World) -> None:
    world.put("a", us=URL)
    (peer,) = world.regions.keys_of
    for _ in range(8):
        world.now += 0.1
        world.report(peer, "a")
        world.regions.record_failure(key("a"), UpstreamFailure.ERROR_5XX)
        world.now += 0.1
        world.report(peer, "a")
    view = world.fleet.standing(key("a")).view
    assert not view.is_available
    assert view.circuit_left_seconds > 0
    world.now += 60
    world.report(peer, "a")
    assert world.fleet.standing(key("a")).view.free_requests == 1, "one request tries it"
    world.regions.record_answer(key("a"))
    assert world.fleet.standing(key("a")).view.free_requests == 9


NAMES, REGIONS = st.sampled_from(["a", "b", "c"]), st.sampled_from(["us", "ap", "sa"])


@given(st.lists(st.tuples(NAMES, st.dictionaries(REGIONS, st.sampled_from([URL, "https://x", None]))), max_size=12))
def test_after_any_changes_peers_are_those_of_the_registry(changes: list[tuple[str, dict[str, str | None]]]) -> None:
    world = World()
    for name, urls in changes:
        if urls:
            world.put(name, **urls)
        elif ("d", name) in world.registry.entries:
            world.remove(name)
    rows = [(model, row) for model in world.registry.entries.values() for row in model.regions if row.name != "eu"]
    assert world.regions.known() == {row.name for _, row in rows}
    wanted = {model.key(row.name) for model, row in rows if row.gateway_url == URL}
    assert world.regions.peer_of.keys() == wanted
    assert {each for keys in world.regions.keys_of.values() for each in keys} == wanted
    assert all((world.regions.state(each) is not None) == (each in wanted) for each in world.fleet.regions)
