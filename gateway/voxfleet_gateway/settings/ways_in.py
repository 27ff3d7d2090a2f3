"""The settings of the way in: ports, TLS, proxies in front, and what is known of clients by them."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from voxfleet_gateway.settings.lists import Networks, parse_networks


class WayInSettings(BaseSettings):
    """What stands between clients and the gateway."""

    trusted_proxies: Networks = Field(
        default="",
        description="Comma-separated CIDRs of proxies that are believed about their clients: the address header, and "
        "without a location database `Voxfleet-Client-Location` and `Voxfleet-Client-Country` "
        "(docs/geography.md).",
    )
    client_address_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        default="X-Forwarded-For",
        description="Header in which trusted proxies append the address of their client: `X-Forwarded-For` or "
        "`Forwarded`; the other one is ignored.",
    )
    proxy_protocol: Networks = Field(
        default="",
        description="Comma-separated CIDRs of TCP load balancers that begin every connection to the API's port with a "
        "PROXY header, version 1 or 2, before TLS; a connection from there without one is closed; empty: "
        "none.",
    )
    location_database: str = Field(
        default="",
        description="Comma-separated files in MaxMind's format, or folders whose `.mmdb` files are read, with "
        "countries, places and AS numbers; read again when they change; each takes its size in memory; "
        "empty: clients' places are known by headers only.",
    )
    host: str = Field(default="", description="Address that the ports are bound to; empty: all, IPv4 and IPv6.")
    port: int = Field(default=6006, ge=0, le=65535, description="Port of the API; 0: any free port.")
    metrics_port: int = Field(default=9090, ge=0, le=65535, description="Port of `/metrics`.")
    internal_port: int = Field(
        default=9091,
        ge=0,
        le=65535,
        description="Port of `/internal/load`, `/internal/explain` (docs/routing-explained.md), and of `/health/live` "
        "and `/health/ready` for probes.",
    )
    tls_certificate: str = Field(
        default="",
        description="Certificate chain (PEM) of the API's port, read again when it changes; empty: plain HTTP.",
    )
    tls_key: str = Field(default="", description="The certificate's private key (PEM).")
    allowed_origins: str = Field(
        default="", description="Comma-separated origins whose pages may use the API in browsers (CORS); `*` for all."
    )
    keep_alive_seconds: float = Field(
        default=75,
        ge=1,
        description="How long an idle connection is kept; longer than the load balancer in front keeps it (most 60 s, "
        "Google Cloud's 600 s).",
    )

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> "WayInSettings":
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("--tls-certificate and --tls-key are set together or not at all")
        return self

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The CIDRs of `trusted_proxies`."""
        return parse_networks(self.trusted_proxies)

    @property
    def balancer_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The CIDRs of `proxy_protocol`."""
        return parse_networks(self.proxy_protocol)

    @property
    def location_paths(self) -> tuple[Path, ...]:
        """The paths of `location_database`."""
        return tuple(Path(part.strip()) for part in self.location_database.split(",") if part.strip())
