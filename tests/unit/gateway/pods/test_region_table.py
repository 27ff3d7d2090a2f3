"""Which regions there are while the registry changes; nothing is forgotten before it is removed."""

from typing import Any

import pytest
from voxfleet_gateway.pods.region_table import RegionTable
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey

REF = ("default", "narrator")


def model(*names: str) -> ModelEntry:
    regions = tuple(RegionEntry(name=name, service=ObjectRef(namespace="default", name=name)) for name in names)
    fields: dict[str, Any] = {"namespace": "default", "name": "narrator", "model": "m", "regions": regions}
    return ModelEntry(schema="voxfleet.dev/registry/v1", **fields)


def key(name: str) -> RegionKey:
    return RegionKey(*REF, name)


@pytest.mark.parametrize("later", [model("us"), None])
def test_a_region_that_is_named_no_longer_is_marked_and_stays_until_it_is_removed(later: ModelEntry | None) -> None:
    table = RegionTable()
    assert table.apply(REF, model("eu", "us"), "eu") == ((key("eu"), key("us")), [])
    kept = table.regions[key("us")]
    keys, gone = table.apply(REF, later, "eu")
    assert (key("eu") in gone, table.regions[key("eu")].is_registered) == (True, False)
    assert table.regions[key("us")] is kept
    assert kept.is_registered == (key("us") in keys)
    table.remove(key("eu"))
    assert key("eu") not in table.regions
    assert table.index.of_service(("default", "eu")) == []


def test_a_region_that_is_named_again_keeps_its_counters() -> None:
    table = RegionTable()
    table.apply(REF, model("eu"), "eu")
    table.regions[key("eu")].traffic.open_requests = 3
    table.apply(REF, None, "eu")
    table.apply(REF, model("eu"), "eu")
    assert (table.regions[key("eu")].traffic.open_requests, table.regions[key("eu")].is_registered) == (3, True)
