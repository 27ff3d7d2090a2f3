"""A scenario: the resource's spec, and everything around it.

Knows how a file is read, and that every error names the field, its value and the file. Does not know runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator
from voxfleet_operator.resources import Autoscaling, Region, VoxTTSDeploymentSpec, effective_autoscaling

from voxfleet_simulation.errors import ScenarioError
from voxfleet_simulation.scenario.fields import (
    Demand,
    Gateways,
    Goals,
    Machines,
    Network,
    Outage,
    Period,
    ScenarioModel,
    Service,
    Sweeps,
)

HOUR_SECONDS = 3600.0
LONGEST_VALUE = 80  # characters of a wrong value in an error


class Scenario(ScenarioModel):
    """One file."""

    name: str = Field(pattern="^[a-z][-a-z0-9]{0,40}$")
    description: str = ""
    seed: int = Field(default=1, ge=0)
    period: Period = Period()
    spec: VoxTTSDeploymentSpec
    demand: Demand
    service: Service = Service()
    network: Network = Network()
    machines: Machines = Machines()
    gateways: Gateways = Gateways()
    outages: tuple[Outage, ...] = ()
    goals: Goals = Goals()
    sweeps: Sweeps = Sweeps()

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        known = [region.name for region in self.spec.regions]
        drought_regions = [name for drought in self.machines.droughts for name in drought.regions]
        for field, names in (
            ("outages.region", [outage.region for outage in self.outages]),
            ("machines.droughts.regions", drought_regions),
            ("network.roundTrips", [name for row in self.network.round_trips.values() for name in row]),
        ):
            unknown = sorted(set(names) - set(known))
            if unknown:
                raise ValueError(f"{field}: no such region: {', '.join(unknown)}; spec.regions has {', '.join(known)}")
        for region in self.spec.regions:
            limits = self.autoscaling(region)
            if limits.min_replicas > limits.max_replicas:
                text = f"minReplicas {limits.min_replicas} is above maxReplicas {limits.max_replicas}"
                raise ValueError(f"spec.regions[{region.name}].autoscaling: {text}")
            if region.location is None:
                raise ValueError(f"spec.regions[{region.name}].location is missing: round trips follow from it")
        return self

    def autoscaling(self, region: Region) -> Autoscaling:
        """Return the effective autoscaling of a region."""
        return effective_autoscaling(self.spec, region)

    @cached_property
    def begins_at(self) -> float:
        """The first instant of the run, in seconds since 1970."""
        return self.period.start.timestamp()

    @cached_property
    def ends_at(self) -> float:
        """The end of arrivals; requests that are open then are served to their end."""
        return self.begins_at + self.period.hours * HOUR_SECONDS

    @property
    def rows(self) -> int:
        """Requests that one server decodes at once."""
        return self.spec.serving.max_batch_size


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario and the folder that its trace is relative to."""

    scenario: Scenario
    folder: Path


def read_scenario(path: Path) -> ScenarioFile:
    """Read a file. Raises ScenarioError, which names the file, the field and its value."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is no YAML: {error}") from error
    return ScenarioFile(parse_scenario(raw, str(path)), path.parent)


def parse_scenario(raw: Any, source: str) -> Scenario:
    """Check what a YAML file holds. Raises ScenarioError."""
    if not isinstance(raw, dict):
        raise ScenarioError(f"{source}: a scenario is a mapping with name, spec and demand, given {type(raw).__name__}")
    try:
        scenario = Scenario.model_validate(raw)
    except ValidationError as error:
        lines = [f"{_path(each['loc'])}: {_reason(each)}, given {_shortened(each['input'])}" for each in error.errors()]
        raise ScenarioError(f"{source}: " + "; ".join(lines)) from error
    # The resource's own models ignore fields that they do not know, as an older operator must.
    unknown = [*_unknown(raw.get("spec"), scenario.spec.model_dump(by_alias=True, exclude_unset=True), "spec")]
    if unknown:
        raise ScenarioError(f"{source}: {', '.join(unknown)}: no such field; see the resource's spec")
    return scenario


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "scenario"


def _reason(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _unknown(given: Any, known: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                yield f"{path}.{key}"
            else:
                yield from _unknown(value, known[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(known, list):
        for index, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(one, other, f"{path}[{index}]")
