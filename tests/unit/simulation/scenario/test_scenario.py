"""A wrong scenario is refused with the field and its value."""

from pathlib import Path
from typing import Any

import pytest
from voxfleet_simulation.commands import BUNDLED
from voxfleet_simulation.errors import ScenarioError
from voxfleet_simulation.scenario.scenario import parse_scenario, read_scenario

PLACE = {"latitude": 1.0, "longitude": 2.0}
VALID: dict[str, Any] = {
    "name": "small",
    "spec": {"regions": [{"name": "eu", "location": {"latitude": "1", "longitude": "2"}}]},
    "demand": {"requests": 10, "countries": [{"name": "DE", "location": PLACE}]},
}


@pytest.mark.parametrize("path", sorted(BUNDLED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_bundled_scenario_is_valid_and_named_as_its_file(path: Path) -> None:
    scenario = read_scenario(path).scenario
    assert scenario.name == path.stem.replace("_", "-")
    assert scenario.description


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Big"}, "name:.*'Big'"),
        ({"sed": 1}, "sed:.*given 1"),
        ({"demand": VALID["demand"] | {"hourly": [1.0]}}, "demand.hourly: .*24"),
        ({"demand": {"countries": VALID["demand"]["countries"]}}, "either requests or trace"),
        (
            {"demand": VALID["demand"] | {"countries": [{"name": "DE", "location": PLACE, "timeZone": "Mars"}]}},
            "'Mars'",
        ),
        ({"outages": [{"region": "us", "startHour": 1, "minutes": 5}]}, "outages.region: no such region: us"),
        ({"network": {"roundTrips": {"DE": {"mars": 1}}}}, "network.roundTrips: no such region: mars"),
        ({"spec": {"regions": [{"name": "eu"}]}}, r"spec.regions\[eu\].location is missing"),
        ({"spec": VALID["spec"] | {"autoscaling": {"minReplica": 1}}}, "spec.autoscaling.minReplica: no such field"),
        (
            {"spec": VALID["spec"] | {"autoscaling": {"minReplicas": 9, "maxReplicas": 2}}},
            "minReplicas 9 is above maxReplicas 2",
        ),
        ({"machines": {"node": {"median": 9, "p95": 3}}}, "p95 must not be below median, given 3.0 and 9.0"),
    ],
)
def test_an_error_names_the_field_and_the_value(change: dict[str, Any], expected: str) -> None:
    parse_scenario(VALID, "valid.yaml")
    with pytest.raises(ScenarioError, match=expected):
        parse_scenario(VALID | change, "wrong.yaml")


def test_an_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml cannot be read"):
        read_scenario(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(ScenarioError, match=r"list\.yaml: a scenario is a mapping"):
        read_scenario(tmp_path / "list.yaml")
