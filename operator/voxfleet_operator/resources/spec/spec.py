"""The spec of a VoxTTSDeployment: what a user writes.

Knows every field of it, the rules between fields, and the bounds and defaults of what has no module of its own. Does
not know what the operator does with it.
"""

from typing import Annotated, Literal

from pydantic import Field

from voxfleet_operator.resources.fields import (
    IMAGE,
    Quantity,
    ResourceModel,
    decimal_between,
    keyed_by,
    rule,
    rules,
)
from voxfleet_operator.resources.spec.autoscaling import Autoscaling, Capacity
from voxfleet_operator.resources.spec.model import Cache, Model
from voxfleet_operator.resources.spec.pod_template import PodTemplate
from voxfleet_operator.resources.spec.regions import Region
from voxfleet_operator.resources.spec.ways_in import Ingress, Monitoring, Notebook, Route

QUALIFIED_NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
# What a client may send as `voice`, and what the gateways send on: a built-in voice or the id of a stored one.
VOICE_ALIAS = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
VOICE = "^(default|random|voice_[0-9a-f]{32})$"


class Gpu(ResourceModel):
    """The GPU of one server."""

    resource_name: str = Field(
        default="nvidia.com/gpu",
        max_length=317,
        description="Extended resource of the GPUs. Cannot be changed later.",
        json_schema_extra=rules(
            rule(f"self.matches('{QUALIFIED_NAME}')", "resourceName must be domain/name, such as nvidia.com/gpu"),
            # The resource name decides which nodes may run the pods: other values would strand running regions.
            rule("self == oldSelf", "resourceName cannot be changed: create a new resource and delete this one"),
        ),
    )
    # Not an int with bounds: an enum in the schema names the allowed values in the error.
    count: Literal[0, 1] = Field(default=1, description="1, or 0 to serve on the CPU, for trials.")


class Resources(ResourceModel):
    """Requests and limits of the server's container, beside the GPU."""

    requests: dict[str, Quantity] | None = Field(default=None, max_length=8, description="As in a container.")
    limits: dict[str, Quantity] | None = Field(default=None, max_length=8, description="As in a container.")


class Serving(ResourceModel):
    """How a server decodes. Every field is a flag of the inference server (manifests/pods/containers.py)."""

    max_batch_size: int = Field(default=32, ge=1, le=256, description="Most sentences decoded in one batch.")
    max_queued_requests: int = Field(default=128, ge=0, le=10_000, description="Most requests that wait in one server.")
    inference_timesteps: int = Field(default=10, ge=2, le=40, description="Steps of the diffusion solver.")
    cfg_value: str = Field(
        default="2.0",
        max_length=24,
        description="Guidance strength, 1 to 10, as a string.",
        json_schema_extra=decimal_between(1, 10, "cfgValue"),
    )
    dtype: Literal["bfloat16", "float32"] = Field(default="bfloat16", description="Number format of the weights.")


class Gateway(ResourceModel):
    """How the gateways treat requests for this model."""

    hold_seconds: int = Field(
        default=600, ge=0, le=3600, description="Longest time that a request is held while a region wakes."
    )
    max_held_requests: int = Field(
        default=256, ge=0, le=100_000, description="Most held requests, shared by a region's gateways."
    )
    spill: bool = Field(default=True, description="Whether a request may be served by another region.")
    public_catalog: bool = Field(
        default=False, description="Whether requests without an API key may list this model's names."
    )


class Rollout(ResourceModel):
    """How servers are replaced when their template changes."""

    strategy: Literal["Surge", "Replace"] = Field(
        default="Surge", description="Surge starts the new server first; Replace needs no spare GPU."
    )


class Disruption(ResourceModel):
    """How servers end."""

    drain_seconds: int = Field(
        default=120, ge=0, le=3600, description="Time that a server has to finish its open requests."
    )
    max_unavailable: int = Field(default=1, ge=1, le=100, description="Servers that may be disrupted at once.")


def effective(field: str) -> str:
    """Return CEL for a region's value of an autoscaling field: its own, or the common one."""
    own = f"has(r.autoscaling) && has(r.autoscaling.{field})"
    return f"({own} ? r.autoscaling.{field} : self.autoscaling.{field})"


# Rules between fields stand at the spec: a rule sees only the object that it is attached to.
SPEC_RULES = rules(
    rule(
        f"self.regions.all(r, {effective('minReplicas')} <= {effective('maxReplicas')})",
        "regions[].autoscaling.minReplicas must not be greater than maxReplicas, also where one of them comes "
        "from spec.autoscaling",
        ".regions",
    ),
    rule(
        f"self.regions.all(r, self.capacity.onDemandBase <= {effective('maxReplicas')})",
        "capacity.onDemandBase must not be greater than maxReplicas of any region",
        ".capacity.onDemandBase",
    ),
    rule(
        "self.cache.weights.type != 'PersistentVolumeClaim' || self.cache.weights.accessMode != 'ReadWriteOnce' || "
        f"self.regions.all(r, {effective('maxReplicas')} <= 1)",
        "cache.weights.accessMode ReadWriteOnce can be mounted by one node only: use ReadWriteMany, or maxReplicas 1",
        ".cache.weights.accessMode",
    ),
    rule(
        "!has(self.notebook.host) || !has(self.ingress.host) || self.notebook.host != self.ingress.host",
        "notebook.host must not be ingress.host: a notebook must not share the origin of the gateways' pages",
        ".notebook.host",
    ),
)


class VoxTTSDeploymentSpec(ResourceModel, json_schema_extra=SPEC_RULES):
    """The desired state."""

    suspend: bool = Field(
        default=False, description="Scale every region to zero, after its servers finished their open requests."
    )
    model: Model = Field(default_factory=Model, description="The served model.")
    image: str = Field(
        default="",
        max_length=512,
        pattern=f"^$|{IMAGE}",
        description="Image of the inference server. Empty: the operator's own setting.",
    )
    regions: list[Region] = Field(
        min_length=1,
        max_length=32,
        description="Regions that serve the model.",
        json_schema_extra=keyed_by("name"),
    )
    gpu: Gpu = Field(default_factory=Gpu, description="The GPU of one server.")
    resources: Resources = Field(
        default_factory=Resources, description="Requests and limits of the servers, beside the GPU."
    )
    capacity: Capacity = Field(default_factory=Capacity, description="Spot and on-demand machines.")
    autoscaling: Autoscaling = Field(
        default_factory=Autoscaling, description="How the number of servers follows the load."
    )
    serving: Serving = Field(default_factory=Serving, description="How a server decodes.")
    gateway: Gateway = Field(default_factory=Gateway, description="How gateways treat requests.")
    voices: dict[str, Annotated[str, Field(max_length=64, pattern=VOICE)]] | None = Field(
        default=None,
        max_length=64,
        description="Voices by the names that clients send, such as alloy: default, random, or the id of a stored "
        "voice. OpenAI's names that are not among them mean default.",
        json_schema_extra=rules(
            rule(
                f"self.all(name, name.matches('{VOICE_ALIAS}') && !name.matches('{VOICE}'))",
                "voices: a name has 1 to 64 letters, digits, dots, hyphens or underscores, and is no voice itself "
                "(default, random, an id)",
            )
        ),
    )
    cache: Cache = Field(default_factory=Cache, description="Caches that shorten a wake.")
    rollout: Rollout = Field(
        default_factory=Rollout, description="How servers are replaced when their template changes."
    )
    disruption: Disruption = Field(default_factory=Disruption, description="How servers end.")
    pod_template: PodTemplate = Field(default_factory=PodTemplate, description="Additions to the pods.")
    notebook: Notebook = Field(default_factory=Notebook, description="Jupyter beside the model.")
    ingress: Ingress = Field(default_factory=Ingress, description="Access from outside the cluster, by an Ingress.")
    route: Route = Field(default_factory=Route, description="Access from outside the cluster, by the Gateway API.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Objects for Prometheus.")
