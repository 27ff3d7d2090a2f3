"""One region of the resource: where its servers run, its address, and what it overrides.

Knows the fields of `spec.regions[]`. Does not know the common values that they override (resource.py).
"""

from typing import Annotated

from pydantic import Field

from voxfleet_operator.resources.fields import (
    UNIQUE,
    DataKey,
    ObjectName,
    ResourceModel,
    decimal_between,
    price,
    rule,
    rules,
)
from voxfleet_operator.resources.spec.autoscaling import AutoscalingOverride
from voxfleet_operator.resources.spec.pod_template import PodTemplate

LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
LABEL_KEY = "^([-a-z0-9.]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
# Loopback, link-local (cloud metadata) and IPv6 literals: a gateway must not be made to call its own node.
LOCAL_HOSTS = r"^https://(localhost|127[.]|0[.]|169[.]254[.]|\\[)"

# Two rules, so that the message says which of the two is broken.
GATEWAY_URL_RULES = rules(
    rule(
        "self.matches('^https://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[-._~a-zA-Z0-9/]*)?$')",
        "gatewayURL must be an https URL of a host name, without user, query or fragment: https://eu.tts.example.com",
    ),
    rule(
        f"!self.matches('{LOCAL_HOSTS}')",
        "gatewayURL must not point at a loopback or link-local address: give a host name that peers can reach",
    ),
)

RegionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Name of the region, as in the node label topology.kubernetes.io/region.",
    ),
]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]


class Location(ResourceModel):
    """Where the region's machines are, so that gateways can route a client to a near region."""

    latitude: str = Field(
        max_length=24,
        description="Degrees north, -90 to 90, as a string.",
        json_schema_extra=decimal_between(-90, 90, "latitude"),
    )
    longitude: str = Field(
        max_length=24,
        description="Degrees east, -180 to 180, as a string.",
        json_schema_extra=decimal_between(-180, 180, "longitude"),
    )


class KubeConfigSecretRef(ResourceModel):
    """A Secret with the kubeconfig of the region's own cluster."""

    name: ObjectName = Field(description="Name of the Secret, in the resource's namespace.")
    key: DataKey = Field(default="value", description="Key within the Secret.")


class PricePerGpuHour(ResourceModel):
    """Prices of a GPU in this region, for the cost in the status and for routing by price."""

    spot: str | None = price("Price of a spot GPU for one hour, as a decimal string.")
    on_demand: str | None = price("Price of an on-demand GPU for one hour, as a decimal string.")


REGION_RULES = rules(
    rule(
        "!has(self.kubeConfigSecretRef) || has(self.gatewayURL)",
        "gatewayURL is required for a region with kubeConfigSecretRef: other regions reach its cluster only through it",
        ".gatewayURL",
    ),
)


class Region(ResourceModel, json_schema_extra=REGION_RULES):
    """One region that serves the model."""

    name: RegionName
    location: Location | None = Field(default=None, description="Where the region's machines are.")
    node_selector: dict[str, LabelValue] | None = Field(
        default=None,
        max_length=16,
        description="Nodes that may run this region's servers. Default: topology.kubernetes.io/region=<name>.",
        json_schema_extra=rules(
            rule(
                f"self.all(key, key.size() <= 317 && key.matches('{LABEL_KEY}'))",
                "nodeSelector keys must be label names such as topology.kubernetes.io/region",
            )
        ),
    )
    gateway_url: str | None = Field(
        default=None,
        alias="gatewayURL",
        max_length=512,
        description="How other regions and clients reach this region's gateway (https).",
        json_schema_extra=GATEWAY_URL_RULES,
    )
    kube_config_secret_ref: KubeConfigSecretRef | None = Field(
        default=None, description="Kubeconfig of the region's own cluster. Absent: this cluster."
    )
    price_per_gpu_hour: PricePerGpuHour | None = Field(default=None, description="Prices of a GPU in this region.")
    allowed_clients: list[Annotated[str, Field(min_length=2, max_length=2, pattern="^[A-Z]{2}$")]] = Field(
        default_factory=list,
        max_length=250,
        description="Countries (ISO 3166-1 alpha-2) that this region may serve. Empty: all.",
        json_schema_extra=UNIQUE,
    )
    suspend: bool = Field(
        default=False, description="Scale this region to zero, after its servers finished their open requests."
    )
    autoscaling: AutoscalingOverride | None = Field(
        default=None, description="Overrides of spec.autoscaling, field by field."
    )
    pod_template: PodTemplate | None = Field(default=None, description="Overrides of spec.podTemplate, field by field.")
