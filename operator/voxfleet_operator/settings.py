"""The operator's settings, read once from the environment (prefix VOXFLEET_).

Knows names, defaults, bounds and meanings, which docs/operator-settings.md is made from. Does not know where they are
used.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from voxfleet_operator.decisions.remote.addresses import parse_networks
from voxfleet_operator.decisions.remote.peer_domains import AllowedPeers

Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """The settings of an installation."""

    model_config = SettingsConfigDict(env_prefix="VOXFLEET_", frozen=True)

    system_namespace: str = Field(
        default="voxfleet-system", description="Namespace of the gateways and their ConfigMaps."
    )
    demand_namespace: str = Field(default="voxfleet-demand", description="Namespace of the demand Leases.")
    gateway_service: str = Field(default="voxfleet-gateway", description="Service that selects all gateways.")
    gateway_internal_port: Port = Field(
        default=9091,
        description="Port of a gateway's /internal/load, if its EndpointSlice has no port named `internal`.",
    )
    cluster_domain: str = Field(default="cluster.local", description="DNS domain of the cluster.")
    inference_image: str = Field(
        default="", description="Image of the inference server for resources without spec.image."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="Pull policy of the inference image."
    )
    voice_source: str = Field(
        default="", description="URL that inference servers fetch stored voices from. Empty: they have none."
    )
    # Without a default key: an installation without one has no internal tokens instead of well-known ones.
    internal_key: str = Field(default="", repr=False, description="Master key of the tokens on internal ports.")
    allowed_host_paths: Annotated[str, NoDecode] = Field(
        default="", description="Folders of the host that model.source file:// may use, separated by commas."
    )
    allowed_peer_domains: Annotated[str, NoDecode] = Field(
        default="",
        description="Domains that a region's gatewayURL may be in, separated by commas. Empty: none.",
    )
    allowed_peer_networks: Annotated[str, NoDecode] = Field(
        default="",
        description="Networks (CIDR), by commas: of addresses in gatewayURLs, and of remote API servers that are not "
        "public.",
    )
    allowed_ingress_domains: Annotated[str, NoDecode] = Field(
        default="",
        description="Domains that the host of spec.ingress or spec.notebook may be in, separated by commas. Empty: "
        "none.",
    )
    ingress_annotations: dict[str, str] = Field(
        default={}, description="Annotations of every Ingress, as a JSON object; they replace those of its class."
    )
    gateway_tls: bool = Field(default=False, description="Whether the gateways speak TLS on port 6006.")
    notebooks: bool = Field(
        default=False, description="Whether spec.notebook is offered; the operator's account must have its grants."
    )
    notebooks_from: list[dict[str, Any]] = Field(
        default=[], description="Peers that may connect to notebooks, as a JSON list of a NetworkPolicy. Empty: all."
    )
    metrics_from: list[dict[str, Any]] = Field(
        default=[],
        description="Peers that may scrape inference servers, as a JSON list of a NetworkPolicy. Empty: all.",
    )
    pod_monitor_labels: dict[str, str] = Field(
        default={}, description="Labels of PodMonitors, by which a Prometheus selects them, as a JSON object."
    )
    secret_poll_seconds: float = Field(
        default=30.0, ge=0.1, le=3600, description="Interval of reading the kubeconfig Secrets of remote regions again."
    )
    remote_request_seconds: float = Field(
        default=5.0, ge=0.5, le=60, description="Longest time of a request to the API server of a remote region."
    )
    kubeconfig: str = Field(
        default="", description="Kubeconfig file. Empty: the pod's service account, else KUBECONFIG."
    )
    health_host: str = Field(default="0.0.0.0", description="Address of the health and metrics ports.")  # noqa: S104
    health_port: Port = Field(default=8080, description="Port of /healthz and /readyz.")
    metrics_port: Port = Field(default=9090, description="Port of /metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    load_poll_seconds: float = Field(
        default=5.0, ge=0.1, le=15, description="Interval of polling the gateways' load while a region is awake."
    )
    spot_quiet_seconds: float = Field(
        default=600.0,
        ge=0,
        le=86_400,
        description="Time without a reclaimed spot node after which replicas go back from on demand to spot.",
    )
    node_boot_seconds: float = Field(
        default=180.0,
        ge=0,
        le=3600,
        description="Longest time that a spot node may take to start, after an autoscaler said that it adds one.",
    )

    @field_validator("allowed_peer_networks")
    @classmethod
    def _has_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    def ingress_domains(self) -> tuple[str, ...]:
        """Return where the hosts of Ingresses may be."""
        return _domains(self.allowed_ingress_domains)

    def allowed_peers(self) -> AllowedPeers:
        """Return where the hosts of gatewayURLs may be."""
        return AllowedPeers(_domains(self.allowed_peer_domains), parse_networks(self.allowed_peer_networks))

    def host_paths(self) -> tuple[str, ...]:
        """Return the allowed folders, without trailing slashes."""
        return tuple(path.strip().rstrip("/") for path in self.allowed_host_paths.split(",") if path.strip())


def _domains(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip().lower().strip(".") for each in text.split(","))))
