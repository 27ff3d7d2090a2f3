"""Every setting of the gateway, read once at the start: environment VOXFLEET_X_Y, or flag --x-y, which wins over it.

Knows: names, defaults, bounds. docs/gateway-settings.md lists the same, and a test compares them.
"""

import re
import socket
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from voxfleet_gateway.errors import SettingsError

MAX_PORT = 65535
# Labels of letters, digits and hyphens, the last one not a number: an address is no domain.
DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!\d+\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class Settings(BaseSettings):
    """The gateway: the always-on entry point of a region."""

    model_config = SettingsConfigDict(
        env_prefix="VOXFLEET_",
        cli_prog_name="voxfleet-gateway",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        frozen=True,
        extra="ignore",
    )

    region: str = Field(default="", description="The region that this gateway runs in; empty: none.")
    internal_key: SecretStr = Field(min_length=1, description="Key that the internal bearer tokens are derived from.")
    system_namespace: str = Field(default="voxfleet-system", description="Namespace of the model ConfigMaps.")
    demand_namespace: str = Field(default="voxfleet-demand", description="Namespace of the demand Leases.")
    trusted_proxies: str = Field(
        default="", description="Comma-separated CIDRs of proxies that report whose requests they pass on."
    )
    client_address_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        default="X-Forwarded-For", description="Header in which trusted proxies append the address of their client."
    )
    proxy_protocol: str = Field(
        default="",
        description="Comma-separated CIDRs of load balancers that begin connections to the API with a PROXY header.",
    )
    location_database: str = Field(
        default="",
        description="Comma-separated MaxMind-format files, or folders of them, with countries, places, AS numbers.",
    )
    pod_name: str = Field(default_factory=socket.gethostname, description="Name in reports and as Lease holder.")
    host: str = Field(default="", description="Address that the ports are bound to; empty: all, IPv4 and IPv6.")
    port: int = Field(default=6006, ge=0, le=65535, description="Port of the API; 0: any free port.")
    metrics_port: int = Field(default=9090, ge=0, le=65535, description="Port of /metrics.")
    internal_port: int = Field(default=9091, ge=0, le=65535, description="Port of /internal/load.")
    tls_certificate: str = Field(
        default="",
        description="Certificate chain (PEM) of the API's port, read again when it changes; empty: plain HTTP.",
    )
    tls_key: str = Field(default="", description="The certificate's private key (PEM).")
    allowed_origins: str = Field(
        default="", description="Comma-separated origins whose pages may use the API in browsers; * for all."
    )
    keep_alive_seconds: float = Field(
        default=75, ge=1, description="How long an idle connection is kept; longer than the load balancer keeps it."
    )
    hold_seconds: float = Field(
        default=25,
        ge=0,
        description="How long a request is held whose client names neither its read timeout nor Prefer: wait=N.",
    )
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1024, description="Largest request body; a larger one is refused with 413."
    )
    max_bodies_bytes: int = Field(
        default=128 * 2**20, ge=2**20, description="Bytes of request bodies held at once; beyond it 503."
    )
    max_held_requests: int = Field(
        default=2048, ge=1, description="Requests held at once by this process; one model's are at most half of them."
    )
    max_held_audio_seconds: float = Field(
        default=100_000, ge=1, description="Seconds of audio that held requests ask for, of all models; one's are half."
    )
    replicas: int = Field(
        default=2,
        ge=1,
        description="Gateways of this region, which share its pods' places, until their Service is read.",
    )
    gateway_service: str = Field(
        default="",
        description="Service of this region's gateways, in the system namespace; empty: the others are unknown.",
    )
    keys_folder: str = Field(
        default="", description="Folder of the mounted Secret with API keys; empty: requests need no key."
    )
    tenants_file: str = Field(default="", description="JSON file with the tenants' limits; empty: no limits.")
    max_message_bytes: int = Field(
        default=2**20, ge=1024, description="Largest WebSocket message; after a larger one the session is closed."
    )
    max_sessions: int = Field(
        default=1000, ge=1, description="WebSocket sessions open at once; beyond it a handshake is refused with 503."
    )
    voices_dir: str = Field(default="", description="Folder of stored voices; empty: none can be made.")
    max_voices: int = Field(default=1000, ge=0, description="Most stored voices of one tenant.")
    max_voices_bytes: int = Field(default=256 * 2**20, ge=0, description="Most bytes of one tenant's voices.")
    max_all_voices_bytes: int = Field(default=4 * 2**30, ge=0, description="Most bytes of all voices.")
    voice_peers: str = Field(
        default="", description="Comma-separated host:port of port 9091 of other gateways with the same voices."
    )
    voice_sync_seconds: float = Field(default=10, gt=0, description="How often voices are compared with the peers.")
    peer_tls_folder: str = Field(
        default="",
        description="Folder of the mounted Secret with tls.crt, tls.key and ca.crt, by which regions know one another; "
        "empty: no other cluster's region is reached.",
    )
    peer_port: int = Field(default=6007, ge=0, le=65535, description="Port for gateways of other regions.")
    peer_poll_seconds: float = Field(default=2, gt=0, description="How often a peer is asked for its report.")
    allowed_peer_domains: str = Field(
        default="", description="Comma-separated domains in which the hosts of gatewayURLs may lie; empty: none."
    )
    allowed_peer_networks: str = Field(
        default="",
        description="Comma-separated CIDRs that gatewayURLs may name addresses of, loopback and link-local included.",
    )
    drain_seconds: float = Field(default=120, ge=0, description="After SIGTERM: time for open requests to end.")
    drain_grace_seconds: float = Field(
        default=5,
        ge=0,
        description="After SIGTERM, and after the newest request: time in which new requests are still served.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    kubeconfig: str = Field(default="", description="Path of a kubeconfig; empty: the pod's service account.")

    @field_validator("trusted_proxies", "allowed_peer_networks", "proxy_protocol")
    @classmethod
    def _networks_parse(cls, text: str) -> str:
        parse_networks(text)
        return text

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> "Settings":
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("--tls-certificate and --tls-key are set together or not at all")
        return self

    @model_validator(mode="after")
    def _peer_certificate_has_a_region(self) -> "Settings":
        if self.peer_tls_folder and not self.region:
            raise ValueError("--peer-tls-folder needs --region, which the certificate is for")
        return self

    @field_validator("allowed_peer_domains")
    @classmethod
    def _domains_parse(cls, text: str) -> str:
        parse_domains(text)
        return text

    @field_validator("voice_peers")
    @classmethod
    def _peers_parse(cls, text: str) -> str:
        parse_peers(text)
        return text

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of `voice_peers`."""
        return parse_peers(self.voice_peers)

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


@cache
def parse_domains(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of domains. Raises ValueError, which names the wrong one."""
    domains = tuple(part.strip().lower().removesuffix(".") for part in text.split(",") if part.strip())
    for domain in domains:
        if not DOMAIN.fullmatch(domain):
            raise ValueError(f"{domain!r:.80} is no domain, as tts.example.com is one")
    return domains


@cache
def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read a comma-separated list of CIDRs. Raises ValueError, which names the wrong one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_peers(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of host:port. Raises ValueError, which names the wrong one."""
    peers = tuple(part.strip() for part in text.split(",") if part.strip())
    for peer in peers:
        host, _, port = peer.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) <= MAX_PORT:
            raise ValueError(f"{peer!r} is not host:port")
    return peers


def read_settings(arguments: list[str]) -> Settings:
    """Read flags and environment. Raises SettingsError; `--help` prints and exits."""
    try:
        return CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        raise SettingsError("; ".join(_mistake(detail) for detail in error.errors())) from error


def _mistake(detail: ErrorDetails) -> str:
    """Return one line that names the variable, the flag, and the value that was given."""
    name = str(detail["loc"][0]) if detail["loc"] else "settings"
    # The key must not reach a terminal or a log.
    given = "" if detail["type"] == "missing" or name == "internal_key" else f", given {detail['input']!r:.60}"
    return f"VOXFLEET_{name.upper()} (--{name.replace('_', '-')}): {detail['msg']}{given}"
