"""Reads the zone file: the zone, its name servers, regions and models, in YAML.

Knows: fields, bounds, what must fit together. Does not know: the registry, reports; how answers are made.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from voxfleet_gateway.decisions.dns.records import HTTPS_PORT, Endpoint, ZoneRecords
from voxfleet_gateway.decisions.dns.served_models import ServedModel, ServedRegion
from voxfleet_gateway.errors import ZoneFileError
from voxfleet_gateway.regions import Location

MAX_REGIONS = 64  # as label values of metrics too
MAX_MODELS = 2000
MAX_SERVERS = 13
MAX_ADDRESSES = 8  # of one region: an answer stays below 1,232 bytes
NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?")

Address = IPv4Address | IPv6Address
Name = Annotated[str, Field(min_length=1, max_length=253)]


class _Border(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class FileServer(_Border):
    """A name server; one inside the zone needs addresses (glue)."""

    name: Name
    addresses: tuple[Address, ...] = Field(default=(), max_length=MAX_ADDRESSES)


class FileLocation(_Border):
    """A place, in degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class FileRegion(_Border):
    """A region. With the registry its entry fills what is missing here."""

    name: Name
    addresses: tuple[Address, ...] = Field(default=(), max_length=MAX_ADDRESSES)  # empty: of the gatewayURL's host
    port: int = Field(default=HTTPS_PORT, ge=1, le=65535)
    location: FileLocation | None = None
    slots: float = Field(default=0, ge=0, le=1e6)  # requests at once, where the region does not report
    price_per_gpu_hour: float = Field(default=0, ge=0, le=1e6)
    allowed_clients: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ()
    gateway_url: str = Field(default="", alias="gatewayURL", max_length=512, pattern=r"^(https://[^/\s]+/?)?$")


class FileModel(_Border):
    """A model, for an engine without the registry."""

    namespace: Name = "default"
    name: Name
    model: str = Field(default="", max_length=253)  # what clients send; empty: the name
    regions: tuple[str, ...] = ()  # empty: all


class ZoneFile(_Border):
    """The whole file."""

    zone: Name
    name_servers: tuple[FileServer, ...] = Field(min_length=1, max_length=MAX_SERVERS)
    hostmaster: str = ""
    ttl: int = Field(default=30, ge=1, le=86_400)
    serial: int = Field(default=1, ge=1, le=2**32 - 1)
    default_region: str = ""
    alpn: tuple[str, ...] = ()  # beside http/1.1, as h2 of a load balancer
    regions: tuple[FileRegion, ...] = Field(default=(), max_length=MAX_REGIONS)
    models: tuple[FileModel, ...] = Field(default=(), max_length=MAX_MODELS)

    @model_validator(mode="after")
    def _names_fit(self) -> "ZoneFile":
        for name in (self.zone, self.hostmaster or self.zone, *(server.name for server in self.name_servers)):
            if not NAME.fullmatch(name.lower()):
                raise ValueError(f"{name!r} is no domain name: labels have letters, digits and hyphens")
        for server in self.name_servers:
            if absolute(server.name).endswith(f".{self.apex}") and not server.addresses:
                raise ValueError(f"name server {server.name!r} is in the zone and needs addresses, which are its glue")
        known = [region.name for region in self.regions]
        if len(set(known)) < len(known):
            raise ValueError("regions: two of them have the same name")
        for model in self.models:
            for region in model.regions:
                if region not in known:
                    raise ValueError(f"model {model.name!r} names region {region!r}; regions are {', '.join(known)}")
        return self

    @property
    def apex(self) -> str:
        """The zone's name as PowerDNS writes names."""
        return absolute(self.zone)

    @property
    def records(self) -> ZoneRecords:
        """What the static records are made of."""
        servers = tuple(absolute(server.name) for server in self.name_servers)
        hostmaster = absolute(self.hostmaster) if self.hostmaster else f"hostmaster.{self.apex}"
        return ZoneRecords(self.apex, servers, hostmaster, self.ttl, self.serial)

    @property
    def glue(self) -> dict[str, tuple[Address, ...]]:
        """Addresses of the name servers inside the zone."""
        listed = {absolute(server.name): server.addresses for server in self.name_servers}
        return {name: addresses for name, addresses in listed.items() if name.endswith(f".{self.apex}")}

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """The regions with addresses."""
        return {
            region.name: Endpoint(region.addresses, region.port, self.alpn)
            for region in self.regions
            if region.addresses
        }

    @property
    def served_regions(self) -> dict[str, ServedRegion]:
        """The regions as models have them, by name."""
        return {region.name: _served_region(region) for region in self.regions}

    @property
    def served_models(self) -> tuple[ServedModel, ...]:
        """The file's own models."""
        regions = self.served_regions
        return tuple(
            ServedModel(
                model.namespace,
                model.name,
                model.model or model.name,
                tuple(regions[name] for name in model.regions or regions),
            )
            for model in self.models
        )


def _served_region(region: FileRegion) -> ServedRegion:
    place = region.location
    return ServedRegion(
        region.name,
        None if place is None else Location(place.latitude, place.longitude),
        region.allowed_clients,
        region.price_per_gpu_hour,
        region.slots,
        gateway_url=region.gateway_url.rstrip("/"),
    )


def absolute(name: str) -> str:
    """Return a lower-case name with the dot at its end."""
    return f"{name.lower().rstrip('.')}."


def read_zone_file(path: Path) -> ZoneFile:
    """Read and check the file. Raises ZoneFileError, which names the file, the field and its value."""
    try:
        return ZoneFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        given = "" if first["type"] in {"missing", "value_error"} else f", given {first['input']!r:.80}"
        raise ZoneFileError(f"{path}: {where + ': ' if where else ''}{first['msg']}{given}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ZoneFileError(f"{path} is no readable YAML: {error!s:.300}") from error
