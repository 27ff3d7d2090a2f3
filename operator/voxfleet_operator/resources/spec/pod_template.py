"""spec.podTemplate: what a user may add to the pods, a subset of a pod template.

Knows the allowed fields. Host paths, host namespaces and security contexts are not among them: the author of a
resource is not an administrator of the cluster.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from voxfleet_operator.resources.fields import (
    ATOMIC,
    LabelName,
    LongText,
    ObjectName,
    ResourceModel,
    ShortText,
    keyed_by,
    rule,
    rules,
)

# Fields of Kubernetes' own that are passed through: their schema changes with each release.
PRESERVE: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}
OUR_LABELS = "voxfleet.dev/"

# The Service, the probes and the NetworkPolicy rely on these addresses and ports.
OUR_VARIABLES = [
    f"VOXFLEET_{name}" for name in ("HOST", "PORT", "METRICS_PORT", "INTERNAL_PORT", "INTERNAL_TOKEN_SHA256")
]

# hostPath is absent on purpose (see above); CSI volumes are reached through a claim.
VOLUME_SOURCES = ("emptyDir", "configMap", "secret", "persistentVolumeClaim")
ONE_SOURCE = " + ".join(f"(has(self.{source}) ? 1 : 0)" for source in VOLUME_SOURCES) + " == 1"


class Metadata(ResourceModel):
    """Labels and annotations added to the pods."""

    labels: dict[str, Annotated[str, Field(max_length=63)]] | None = Field(
        default=None,
        max_length=32,
        description="Labels added to the pods.",
        json_schema_extra=rules(
            rule(
                f"!self.exists(key, key.startsWith('{OUR_LABELS}') || key.startsWith('app.kubernetes.io/'))",
                "labels under voxfleet.dev/ and app.kubernetes.io/ are set by VoxFleet: choose another prefix",
            )
        ),
    )
    annotations: dict[str, LongText] | None = Field(
        default=None, max_length=32, description="Annotations added to the pods."
    )


class LocalRef(ResourceModel):
    """An object of the resource's namespace, by name."""

    name: ObjectName = Field(description="Name of the object.")


class Toleration(ResourceModel):
    """As in a pod's spec.tolerations."""

    key: Annotated[str, Field(max_length=317)] | None = Field(default=None, description="Taint key. Absent: all.")
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="Exists or Equal.")
    value: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Taint value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect. Absent: all."
    )
    toleration_seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How long a NoExecute taint is tolerated."
    )


class EnvVar(
    ResourceModel,
    json_schema_extra=rules(
        rule("!(has(self.value) && has(self.valueFrom))", "give either value or valueFrom, not both", ".valueFrom"),
        rule(f"!(self.name in {OUR_VARIABLES})", "addresses, ports and tokens are set by VoxFleet", ".name"),
    ),
):
    """An environment variable of the server."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$")] = Field(
        description="Name of the variable."
    )
    value: LongText | None = Field(default=None, description="Its value.")
    value_from: dict[str, Any] | None = Field(
        default=None, description="As in a pod's env[].valueFrom.", json_schema_extra=PRESERVE
    )


class Volume(
    ResourceModel,
    json_schema_extra=rules(rule(ONE_SOURCE, f"a volume needs exactly one source of: {', '.join(VOLUME_SOURCES)}")),
):
    """A volume; hostPath is not allowed."""

    name: LabelName = Field(description="Name of the volume.")
    empty_dir: dict[str, Any] | None = Field(default=None, description="An empty folder.", json_schema_extra=PRESERVE)
    config_map: dict[str, Any] | None = Field(default=None, description="A ConfigMap.", json_schema_extra=PRESERVE)
    secret: dict[str, Any] | None = Field(default=None, description="A Secret.", json_schema_extra=PRESERVE)
    persistent_volume_claim: dict[str, Any] | None = Field(
        default=None, description="A claim.", json_schema_extra=PRESERVE
    )


class VolumeMount(ResourceModel):
    """Where a volume is mounted in the server's container."""

    name: LabelName = Field(description="Name of the volume.")
    mount_path: str = Field(
        max_length=1024, pattern="^/[^:]*$", description="Absolute path in the container, without colons."
    )
    sub_path: ShortText | None = Field(default=None, description="Path within the volume.")
    read_only: bool = Field(default=False, description="Mount read-only.")


# Every field is None by default, so that a region overrides exactly what it sets.
class PodTemplate(ResourceModel):
    """Additions to the pods; where VoxFleet sets the same value, its own is used."""

    metadata: Metadata | None = Field(default=None, description="Labels and annotations added to the pods.")
    image_pull_secrets: list[LocalRef] | None = Field(
        default=None, max_length=8, description="Secrets for pulling the image.", json_schema_extra=keyed_by("name")
    )
    service_account_name: ObjectName | None = Field(default=None, description="Service account of the pods.")
    tolerations: list[Toleration] | None = Field(
        default=None,
        max_length=32,
        description="Taints the pods tolerate, beside those of GPU and spot nodes.",
        json_schema_extra=ATOMIC,
    )
    affinity: dict[str, Any] | None = Field(
        default=None,
        description="As in a pod's spec.affinity; the rule of spot and on-demand nodes must hold too.",
        json_schema_extra=PRESERVE,
    )
    runtime_class_name: ObjectName | None = Field(default=None, description="Runtime class, for example nvidia.")
    priority_class_name: ObjectName | None = Field(default=None, description="Priority class of the pods.")
    env: list[EnvVar] | None = Field(
        default=None, max_length=64, description="Environment of the server.", json_schema_extra=keyed_by("name")
    )
    volumes: list[Volume] | None = Field(
        default=None, max_length=16, description="Volumes of the pods.", json_schema_extra=keyed_by("name")
    )
    volume_mounts: list[VolumeMount] | None = Field(
        default=None,
        max_length=32,
        description="Mounts of volumes in the server's container.",
        json_schema_extra=keyed_by("mountPath"),
    )
