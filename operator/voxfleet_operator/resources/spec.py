"""The spec of a VoxTTSDeployment: what a user writes.

Knows every field, its bounds, its default and the rules between fields. Does not know what the operator does with it.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from voxfleet_operator.resources.autoscaling import Autoscaling, Capacity
from voxfleet_operator.resources.fields import (
    ObjectName,
    Quantity,
    QuantityText,
    ResourceModel,
    decimal_between,
    keyed_by,
    rule,
    rules,
)
from voxfleet_operator.resources.pod_template import LocalRef, PodTemplate
from voxfleet_operator.resources.regions import Region

# Strict patterns: sources become arguments of the init container and paths in the pod.
SOURCES = (
    "hf://[A-Za-z0-9][-A-Za-z0-9._]*/[A-Za-z0-9][-A-Za-z0-9._]*",
    "s3://[a-z0-9][-a-z0-9.]{1,61}[a-z0-9](/[-A-Za-z0-9._/=]+)?",
    "oci://[a-z0-9]([-a-zA-Z0-9._:/]*[a-zA-Z0-9])?(@sha256:[a-f0-9]{64})?",
    "pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9._/]*",
    "file:///[-A-Za-z0-9._/]+",
)
SOURCE = f"^({'|'.join(SOURCES)})$"
# A reference with optional tag or digest; like the container runtime's grammar, but shorter.
IMAGE = "^[a-z0-9]([-a-zA-Z0-9._:/]*[a-zA-Z0-9])?(@sha256:[a-f0-9]{64})?$"
QUALIFIED_NAME = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"


class Model(ResourceModel):
    """The served model, and the source of its weights."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        pattern="^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$",
        description="Value of `model` in clients' requests. Default: the resource's name.",
    )
    source: str = Field(
        default="hf://openbmb/VoxCPM1.5",
        max_length=512,
        description="hf://owner/name, s3://bucket/prefix, oci://image (with the weights at its root), "
        "pvc://claim/path, or file:///path in the image "
        "(or on the host, where the installation allows it).",
        json_schema_extra=rules(
            rule(
                f"self.matches('{SOURCE}')",
                "source must be hf://owner/name, s3://bucket/prefix, oci://image, pvc://claim/path or "
                "file:///absolute/path",
            ),
            rule("!self.contains('/../') && !self.endsWith('/..')", "source must not contain .. as a path segment"),
        ),
    )
    revision: str = Field(
        default="main",
        min_length=1,
        max_length=128,
        pattern="^[A-Za-z0-9][-A-Za-z0-9._/]*$",
        description="Branch, tag or commit of an hf:// source. A cache is fetched once for each value: a branch that "
        "moves on is not fetched again. For s3://, any word: another one fetches the prefix again.",
    )
    secret_ref: LocalRef | None = Field(
        default=None,
        description="Secret with the credentials for the source, in the resource's namespace. Keys: token for hf://; "
        "accessKeyId and secretAccessKey for s3://, and where needed sessionToken, endpoint and region.",
    )


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
    """How a server decodes. Every field is a flag of the inference server (manifests/containers.py)."""

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


class CacheType(StrEnum):
    """Where weights are stored between pods."""

    EMPTY_DIR = "EmptyDir"
    PERSISTENT_VOLUME_CLAIM = "PersistentVolumeClaim"
    HOST_PATH = "HostPath"
    IMAGE = "Image"


class WeightsCache(
    ResourceModel,
    json_schema_extra=rules(
        rule("self.type != 'HostPath' || has(self.path)", "path is required when type is HostPath", ".path"),
        rule("self.type != 'Image' || has(self.image)", "image is required when type is Image", ".image"),
    ),
):
    """Where downloaded weights are stored."""

    type: CacheType = Field(
        default=CacheType.EMPTY_DIR,
        description="EmptyDir: each pod downloads. PersistentVolumeClaim: a Job downloads once per region, before the "
        "first wake. HostPath: once per node. Image: nothing is downloaded, nodes pull `image`. For hf:// and s3://.",
    )
    claim_name: ObjectName | None = Field(
        default=None,
        description="An existing claim, writable for user 65532. Absent: one per region is created, and deleted with "
        "the resource.",
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        default="ReadWriteMany", description="Access mode of the claim; a Job writes it and every server reads it."
    )
    storage_class_name: ObjectName | None = Field(default=None, description="Storage class of a claim that is created.")
    size: QuantityText = Field(default="20Gi", description="Size of the claim: of two revisions.")
    path: Annotated[str, Field(max_length=1024, pattern="^/[-A-Za-z0-9._/]+$")] | None = Field(
        default=None,
        description="Folder on the host, for HostPath: below the chart's allowedHostPaths, writable for user 65532.",
    )
    image: Annotated[str, Field(max_length=512, pattern=IMAGE)] | None = Field(
        default=None, description="Image that contains the weights at its root, for Image."
    )


class Cache(ResourceModel):
    """Caches that shorten a wake."""

    weights: WeightsCache = Field(default_factory=WeightsCache, description="Where weights are stored.")
    pre_pull_image: bool = Field(
        default=False,
        description="Pull the server's image to existing nodes before a wake, by a DaemonSet that resources with the "
        "same image and placement share.",
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


class Notebook(ResourceModel):
    """Jupyter beside the model."""

    enabled: bool = Field(default=False, description="Run a notebook, token-protected, only behind TLS.")


class Ingress(
    ResourceModel,
    json_schema_extra=rules(
        rule("!has(self.tlsSecretName) || has(self.host)", "host is required with tlsSecretName", ".host"),
    ),
):
    """Access from outside the cluster."""

    host: ObjectName | None = Field(default=None, description="Host name.")
    class_name: ObjectName | None = Field(default=None, description="Ingress class.")
    tls_secret_name: ObjectName | None = Field(default=None, description="Secret with the certificate.")


class Monitoring(ResourceModel):
    """Objects for Prometheus."""

    pod_monitor: bool = Field(default=False, description="Create a PodMonitor.")


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
        "!self.notebook.enabled || has(self.ingress.tlsSecretName)",
        "notebook.enabled needs ingress.host and ingress.tlsSecretName: a notebook is offered behind TLS only",
        ".notebook.enabled",
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
    cache: Cache = Field(default_factory=Cache, description="Caches that shorten a wake.")
    rollout: Rollout = Field(
        default_factory=Rollout, description="How servers are replaced when their template changes."
    )
    disruption: Disruption = Field(default_factory=Disruption, description="How servers end.")
    pod_template: PodTemplate = Field(default_factory=PodTemplate, description="Additions to the pods.")
    notebook: Notebook = Field(default_factory=Notebook, description="Jupyter beside the model.")
    ingress: Ingress = Field(default_factory=Ingress, description="Access from outside the cluster.")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="Objects for Prometheus.")
