"""Every setting of the gateway, read once at the start: environment VOXFLEET_X_Y, or flag --x-y, which wins over it.

Knows: names, defaults, bounds, meanings; docs/gateway-settings.md is made from them.
"""

import socket
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import CliApp, SettingsConfigDict
from voxfleet_protocols.ice_servers import checked_ice_servers

from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.settings.lists import Domains, Networks, Peers, parse_peers
from voxfleet_gateway.settings.ways_in import WayInSettings


class Settings(WayInSettings):
    """The gateway: a region's always-on entry point. Other commands: dns, replay FILE, openapi, --version."""

    model_config = SettingsConfigDict(
        env_prefix="VOXFLEET_",
        cli_prog_name="voxfleet-gateway",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        frozen=True,
        extra="ignore",
    )

    region: str = Field(default="", description="The region that this gateway runs in; empty: none.")
    internal_key: SecretStr = Field(
        repr=False,
        min_length=1,
        description="Key that the internal bearer tokens are derived from; set it by the "
        "environment, because flags are visible to other processes.",
    )
    system_namespace: str = Field(default="voxfleet-system", description="Namespace of the model ConfigMaps.")
    demand_namespace: str = Field(default="voxfleet-demand", description="Namespace of the demand Leases.")
    pod_name: str = Field(
        default_factory=socket.gethostname, description="Name in reports and as holder of Leases; unset: the host name."
    )
    hold_seconds: float = Field(
        default=25,
        ge=0,
        description="How long a request is held whose client names neither its read timeout nor `Prefer: wait=N`: many "
        "have one of 30 s.",
    )
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1024, description="Largest request body; a larger one is refused with 413."
    )
    max_bodies_bytes: int = Field(
        default=128 * 2**20,
        ge=2**20,
        description="Bytes of request bodies that are held at once, three quarters of them of bodies larger than 64 "
        "KiB; beyond it a request is refused with 503.",
    )
    max_held_requests: int = Field(
        default=2048,
        ge=1,
        description="Requests that this process holds at once; one model's are at most half of them, and at most its "
        "`gateway.maxHeldRequests` / replicas.",
    )
    max_held_audio_seconds: float = Field(
        default=100_000,
        ge=1,
        description="Seconds of audio that held requests ask for, estimated from their texts; one model's are at most "
        "half of them.",
    )
    replicas: int = Field(
        default=2,
        ge=1,
        description="Gateways of this region, until the endpoints of their Service are read: each has at most "
        "(`maxBatchSize` + `maxQueuedRequests`) / replicas requests open at one pod; tenants' limits are "
        "divided by it while no ready gateway is known.",
    )
    gateway_service: str = Field(
        default="",
        description="Service of this region's gateways, in the system namespace: its ready endpoints share the bounds, "
        "and take over what is held by one that shuts down; empty: the others are unknown.",
    )
    keys_folder: str = Field(
        default="",
        description="Folder of the mounted Secret with API keys (docs/keys-and-tenants.md), read again when it "
        "changes; empty: requests need no key; a folder without a valid key: every request is refused.",
    )
    operate_without_key: bool = Field(
        default=False,
        description="Where requests need no key: whether they may wake named regions, put regions to sleep and read "
        "costs (docs/fleet-page.md).",
    )
    max_fleet_streams: int = Field(
        default=256,
        ge=1,
        description="Streams of the fleet page open at once; beyond it 503. Half of them are kept for keys that may "
        "operate.",
    )
    tenants_file: str = Field(
        default="", description="JSON file with the tenants' limits, read again when it changes; empty: no limits."
    )
    max_message_bytes: int = Field(
        default=2**20,
        ge=1024,
        description="Largest message of a WebSocket client; after a larger one the session is closed with 1009.",
    )
    max_sessions: int = Field(
        default=1000, ge=1, description="WebSocket sessions open at once; beyond it a handshake is refused with 503."
    )
    rtc_ice_servers: Annotated[str, AfterValidator(checked_ice_servers)] = Field(
        default="",
        description="STUN and TURN servers for browsers, as JSON: a list of RTCIceServer objects.",
        repr=False,
    )
    voices_dir: str = Field(
        default="", description="Folder of stored voices; empty: none can be made (docs/voices.md)."
    )
    max_voices: int = Field(default=1000, ge=0, description="Most stored voices of one tenant; beyond it 507.")
    max_voices_bytes: int = Field(
        default=256 * 2**20, ge=0, description="Most bytes of one tenant's voices; beyond it 507."
    )
    max_all_voices_bytes: int = Field(default=4 * 2**30, ge=0, description="Most bytes of all voices; beyond it 507.")
    voice_peers: Peers = Field(
        default="",
        description="Comma-separated host:port of port 9091 of other gateways with the same voices; a name may stand "
        "for several addresses.",
    )
    voice_sync_seconds: float = Field(
        default=10, gt=0, description="How often voices are compared with the peers; a change is announced at once."
    )
    peer_tls_folder: str = Field(
        default="",
        description="Folder of the mounted Secret with `tls.crt`, `tls.key` and `ca.crt`, read again when it changes "
        "(docs/regions-and-peers.md); needs a region; empty: no other cluster's region is reached.",
    )
    peer_port: int = Field(
        default=6007,
        ge=0,
        le=65535,
        description="Port for gateways of other regions, mutual TLS only; open with a peer certificate.",
    )
    peer_poll_seconds: float = Field(
        default=2,
        gt=0,
        description="How often a peer is asked for its report; one older than three times that is stale.",
    )
    allowed_peer_domains: Domains = Field(
        default="",
        description="Comma-separated domains in which the hosts of gatewayURLs may lie, subdomains included; empty: "
        "none.",
    )
    allowed_peer_networks: Networks = Field(
        default="",
        description="Comma-separated CIDRs: gatewayURLs may name these addresses, and names may resolve to them, "
        "loopback and link-local included; for tests, and private networks without DNS.",
    )
    drain_seconds: float = Field(
        default=120,
        ge=0,
        description="After SIGTERM: time for open requests to end, and for held ones, which other gateways hold and "
        "serve from then on while their clients stay connected here.",
    )
    drain_grace_seconds: float = Field(
        default=5,
        ge=0,
        description="After SIGTERM and after the newest request: least time in which new requests are still served.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged: debug, info, warning, error."
    )
    kubeconfig: str = Field(default="", description="Path of a kubeconfig; empty: the pod's service account.")

    @model_validator(mode="after")
    def _peer_certificate_has_a_region(self) -> "Settings":
        if self.peer_tls_folder and not self.region:
            raise ValueError("--peer-tls-folder needs --region, which the certificate is for")
        return self

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of `voice_peers`."""
        return parse_peers(self.voice_peers)


def read_settings(arguments: list[str]) -> Settings:
    """Read flags and environment. Raises SettingsError; `--help` prints and exits."""
    try:
        return CliApp.run(Settings, cli_args=arguments)
    except ValidationError as error:
        raise SettingsError("; ".join(_mistake(detail) for detail in error.errors())) from error


def _mistake(detail: ErrorDetails) -> str:
    """Return one line that names the variable, the flag, and the value that was given."""
    name = str(detail["loc"][0]) if detail["loc"] else "settings"
    # A field that is in no representation of the settings holds a key or a password.
    is_quoted = name not in Settings.model_fields or Settings.model_fields[name].repr
    given = f", given {detail['input']!r:.60}" if is_quoted and detail["type"] != "missing" else ""
    return f"VOXFLEET_{name.upper()} (--{name.replace('_', '-')}): {detail['msg']}{given}"
