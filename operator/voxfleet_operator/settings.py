"""The operator's settings, read once from the environment (prefix VOXFLEET_).

Knows names, defaults and bounds. Does not know who uses them.
"""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """Everything that an installation may set."""

    model_config = SettingsConfigDict(env_prefix="VOXFLEET_", frozen=True)

    system_namespace: str = Field(
        default="voxfleet-system", description="Namespace of the gateways and their ConfigMaps."
    )
    demand_namespace: str = Field(default="voxfleet-demand", description="Namespace of the demand Leases.")
    gateway_service: str = Field(default="voxfleet-gateway", description="Service of all gateways.")
    gateway_internal_port: Port = Field(
        default=9091, description="Port of a gateway's /internal/load, where its EndpointSlice names none `internal`."
    )
    cluster_domain: str = Field(default="cluster.local", description="DNS domain of the cluster.")
    inference_image: str = Field(default="", description="Image of the inference server where a resource names none.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="Pull policy of the inference image."
    )
    internal_key: str = Field(default="", repr=False, description="Master key of the tokens on internal ports.")
    allowed_host_paths: Annotated[str, NoDecode] = Field(
        default="", description="Folders of the host that file:// may name, separated by commas."
    )
    kubeconfig: str = Field(default="", description="Kubeconfig file. Empty: KUBECONFIG, else the pod's own account.")
    health_host: str = Field(default="0.0.0.0", description="Address of the health and metrics ports.")  # noqa: S104
    health_port: Port = Field(default=8080, description="Port of /healthz and /readyz.")
    metrics_port: Port = Field(default=9090, description="Port of /metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    load_poll_seconds: float = Field(
        default=5.0, ge=0.1, le=15, description="How often gateways are asked for their load while something is awake."
    )

    def host_paths(self) -> tuple[str, ...]:
        """The allowed folders, without trailing slashes."""
        return tuple(path.strip().rstrip("/") for path in self.allowed_host_paths.split(",") if path.strip())
