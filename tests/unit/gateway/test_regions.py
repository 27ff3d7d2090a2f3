"""The registry: reading the operator's ConfigMaps, and which model owns which name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import RegistryEntryError
from voxfleet_gateway.regions import ModelEntry, RegionEntry, Registry, parse_entry

CONTRACT = {
    "schema": "voxfleet.dev/registry/v1", "namespace": "default", "name": "narrator", "model": "voxcpm-1.5",
    "owns_model_name": True, "created_at": "2026-11-23T20:00:00Z", "generation": 3, "suspended": False,
    "gateway": {"hold_seconds": 600, "max_held_requests": 256, "spill": True}, "idle_timeout_seconds": 1800,
    "regions": [{
        "name": "eu-central", "latitude": 50.11, "longitude": 8.68, "gateway_url": None, "allowed_clients": [],
        "suspended": False, "local": True, "max_replicas": 4,
        "service": {"namespace": "default", "name": "narrator-eu-central-ab12c"},
        "lease": {"namespace": "voxfleet-demand", "name": "x"},
        "phase": "Asleep", "message": "", "retry_after_seconds": None, "predicted_wake_seconds": None,
    }],
}  # fmt: skip


def entry(**fields: Any) -> ModelEntry:
    return parse_entry({"model.json": json.dumps(CONTRACT | fields)})


def test_the_contract_s_example_is_read() -> None:
    read = entry(field_of_a_newer_operator=1)
    assert (read.full_name, read.model, read.gateway.hold_seconds) == ("default/narrator", "voxcpm-1.5", 600)
    (region,) = read.regions
    assert region.name == "eu-central"
    assert region.service is not None
    assert region.service.name == "narrator-eu-central-ab12c"


@pytest.mark.parametrize(
    ("data", "quoted"),
    [
        ({}, "model.json"),
        ({"other": "{}"}, "other"),
        ({"model.json": "{"}, "not JSON"),
        ({"model.json": "[" * 100_000}, "not JSON"),
        ({"model.json": "[]"}, "model.json"),
        ({"model.json": json.dumps(CONTRACT | {"schema": "v9"})}, "v9"),
        ({"model.json": json.dumps(CONTRACT | {"regions": [{"name": "x", "phase": "Dreaming"}]})}, "Dreaming"),
        ({"model.json": json.dumps(CONTRACT | {"regions": [{"name": "x", "latitude": 91}]})}, "latitude"),
    ],
)
def test_an_error_names_what_is_wrong_with_an_entry(data: dict[str, str], quoted: str) -> None:
    with pytest.raises(RegistryEntryError, match=quoted):
        parse_entry(data)


def test_the_oldest_owns_the_bare_name() -> None:
    old, new = entry(name="old", created_at="2025-01-01T00:00:00Z"), entry(name="new")
    registry = Registry.of([new, old])
    assert registry.resolve("voxcpm-1.5") == old
    assert registry.resolve("default/new") == new
    assert registry.names() == ("voxcpm-1.5", "default/new", "default/old")


def test_a_model_that_does_not_own_its_name_answers_to_the_full_one_only() -> None:
    registry = Registry.of([entry(owns_model_name=False)])
    assert registry.resolve("voxcpm-1.5") is None
    assert registry.resolve("default/narrator") is not None


def test_a_bare_name_cannot_shadow_another_model_s_full_name() -> None:
    registry = Registry.of([entry(name="thief", model="default/narrator"), entry()])
    found = registry.resolve("default/narrator")
    assert found is not None
    assert found.name == "narrator"


def test_an_alias_is_a_name_that_the_oldest_owns() -> None:
    old = entry(name="old", created_at="2025-01-01T00:00:00Z", model="m", aliases=["tts-1"])
    new = entry(name="new", model="tts-1", aliases=["tts-1-hd", "default/old"])
    registry = Registry.of([new, old])
    assert registry.resolve("tts-1") == old
    assert registry.resolve("tts-1-hd") == new
    assert registry.resolve("default/old") == old, "an alias cannot shadow a full name"
    registry.remove(old)
    assert registry.resolve("tts-1") == new
    registry.put(new.model_copy(update={"aliases": ()}))
    assert registry.names() == ("tts-1", "default/new")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans()), max_size=9))
def test_every_model_is_always_reachable(rows: list[tuple[str, str, bool]]) -> None:
    models = {name: entry(name=name, model=model, owns_model_name=owns) for name, model, owns in rows}
    registry = Registry.of(models.values())
    for model in models.values():
        assert registry.resolve(model.full_name) == model


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["x", "y", "default/a"]),
            st.lists(st.sampled_from(["x", "y", "z", "default/a"]), unique=True, max_size=2),
            st.booleans(),
            st.booleans(),
        )
    )
)
def test_changes_one_by_one_lead_to_the_same_names_as_all_at_once(
    rows: list[tuple[str, str, list[str], bool, bool]],
) -> None:
    registry, present = Registry(), {}
    for name, model, aliases, owns, removed in rows:
        created_at = f"2025-01-0{'abc'.index(name) + 1}T00:00:00Z"
        named = [each for each in aliases if each != model]
        made = entry(name=name, model=model, aliases=named, owns_model_name=owns, created_at=created_at)
        present[name] = made
        registry.put(made)
        if removed:
            registry.remove(present.pop(name))
    at_once = Registry.of(present.values())
    assert registry.names() == at_once.names()
    assert registry.by_name == at_once.by_name
    assert registry.claims == at_once.claims


@pytest.mark.parametrize(
    ("local", "gateway_region", "here"),
    [
        ({"eu": True, "us": True, "ap": False}, "eu", {"eu", "us"}),
        ({"eu": True, "us": False, "ap": False}, "us", {"us"}),  # in the remote cluster the hub's regions are elsewhere
        ({"eu": True, "us": False}, "", {"eu"}),
        ({"eu": True, "us": False}, "sa", {"eu"}),
    ],
)
def test_a_gateway_reaches_the_regions_of_its_own_cluster(
    local: dict[str, bool], gateway_region: str, here: set[str]
) -> None:
    regions = tuple(RegionEntry(name=name, local=is_local) for name, is_local in local.items())
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": "m"}
    assert ModelEntry(**fields, regions=regions).regions_here(gateway_region) == here
