"""Every setting of the DNS engine, read once at the start: environment VOXFLEET_X_Y, or flag --x-y, which wins over it.

Knows: names, defaults, bounds, meanings; the table in docs/dns.md is made from them.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from voxfleet_gateway.decisions.rtt.exploration import SHARE
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.settings import Domains, Networks, Peers


class DnsSettings(BaseSettings):
    """The DNS engine: answers PowerDNS's remote backend with the region that suits a client."""

    model_config = SettingsConfigDict(
        env_prefix="VOXFLEET_",
        cli_prog_name="voxfleet-gateway dns",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        frozen=True,
        extra="ignore",
    )

    zone_file: str = Field(min_length=1, description="YAML file with the zone, its name servers, regions and models.")
    backend_socket: str = Field(
        default="/run/voxfleet-dns/backend.sock",
        min_length=1,
        max_length=107,  # what a socket's address holds
        description="Unix socket that PowerDNS's remote backend connects to.",
    )
    backend_socket_mode: str = Field(
        default="0660", pattern=r"^0[0-7]{3}$", description="Permissions of the socket, in octal digits."
    )
    registry: bool = Field(default=False, description="Read models and regions from the cluster's registry too.")
    system_namespace: str = Field(default="voxfleet-system", description="Namespace of the model ConfigMaps.")
    kubeconfig: str = Field(default="", description="Path of a kubeconfig; empty: the pod's service account.")
    location_database: str = Field(
        default="", description="Comma-separated MaxMind-format files, or folders of them; empty: no client is located."
    )
    peer_tls_folder: str = Field(
        default="",
        description="Folder with tls.crt, tls.key and ca.crt, by which regions report; empty: no region is asked.",
    )
    allowed_peer_domains: Domains = Field(
        default="",
        description="Comma-separated domains in which the hosts of the registry's gatewayURLs may lie; empty: none.",
    )
    allowed_peer_networks: Networks = Field(
        default="",
        description="Comma-separated CIDRs that gatewayURLs may name addresses of, loopback and link-local included.",
    )
    rtt_peers: Peers = Field(
        default="",
        description="Comma-separated host:port of port 9091 of gateways whose learned round trips are used; "
        "empty: distance alone.",
    )
    internal_key: SecretStr = Field(
        default=SecretStr(""), description="Key that the token for `rtt_peers` is derived from: the gateways' own."
    )
    report_seconds: float = Field(default=5, gt=0, description="How often each region is asked for its report.")
    solve_seconds: float = Field(default=15, gt=0, description="How often the linear program is solved.")
    explore_share: float = Field(
        default=SHARE,
        ge=0,
        le=1,
        description="Part of the location database's leaves that try another near region for 10 minutes; 0: none.",
    )
    resolve_seconds: float = Field(
        default=30, gt=0, description="How often the hosts of gatewayURLs without addresses in the file are resolved."
    )
    allow_private_addresses: bool = Field(
        default=False, description="Answer with addresses of gatewayURLs' hosts that are not globally routable."
    )
    host: str = Field(default="", description="Address of the metrics' port; empty: all, IPv4 and IPv6.")
    metrics_port: int = Field(default=9090, ge=0, le=65535, description="Port of /metrics and /health.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )

    @field_validator("zone_file", "backend_socket")
    @classmethod
    def _path_is_absolute(cls, text: str) -> str:
        return str(Path(text).absolute())

    @model_validator(mode="after")
    def _peers_have_a_key(self) -> "DnsSettings":
        if self.rtt_peers and not self.internal_key.get_secret_value():
            raise ValueError("--rtt-peers needs --internal-key, from which the token for them is derived")
        return self

    @property
    def location_paths(self) -> tuple[Path, ...]:
        """The paths of `location_database`."""
        return tuple(Path(part.strip()) for part in self.location_database.split(",") if part.strip())


def read_settings(arguments: list[str]) -> DnsSettings:
    """Read flags and environment. Raises SettingsError; `--help` prints and exits."""
    try:
        return CliApp.run(DnsSettings, cli_args=arguments)
    except ValidationError as error:
        faults = []
        for detail in error.errors():
            name = str(detail["loc"][0]) if detail["loc"] else "settings"
            is_secret = name in {"internal_key", "settings"}
            given = "" if is_secret or detail["type"] == "missing" else f", given {detail['input']!r:.60}"
            faults.append(f"VOXFLEET_{name.upper()} (--{name.replace('_', '-')}): {detail['msg']}{given}")
        raise SettingsError("; ".join(faults)) from error
