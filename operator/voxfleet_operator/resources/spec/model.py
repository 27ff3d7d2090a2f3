"""The model in a spec: its names, the source of its weights, and where they are stored between pods.

Knows the schemes of sources and the types of caches. Does not know how a pod gets the weights (manifests/pods/weights).
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from voxfleet_operator.resources.fields import IMAGE, UNIQUE, ObjectName, QuantityText, ResourceModel, rule, rules
from voxfleet_operator.resources.spec.pod_template import LocalRef

# Strict patterns: sources become arguments of the init container and paths in the pod.
SOURCES = (
    "hf://[A-Za-z0-9][-A-Za-z0-9._]*/[A-Za-z0-9][-A-Za-z0-9._]*",
    "s3://[a-z0-9][-a-z0-9.]{1,61}[a-z0-9](/[-A-Za-z0-9._/=]+)?",
    "oci://[a-z0-9]([-a-zA-Z0-9._:/]*[a-zA-Z0-9])?(@sha256:[a-f0-9]{64})?",
    "pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9._/]*",
    "file:///[-A-Za-z0-9._/]+",
)
SOURCE = f"^({'|'.join(SOURCES)})$"
MODEL_NAME = "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$"
LANGUAGE = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$"


class Model(ResourceModel):
    """The served model, and the source of its weights."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        pattern=MODEL_NAME,
        description="Value of `model` in clients' requests. Default: the resource's name.",
    )
    aliases: list[Annotated[str, Field(min_length=1, max_length=63, pattern=MODEL_NAME)]] | None = Field(
        default=None,
        max_length=16,
        description="Other values of `model` that mean this model, such as tts-1 and gpt-4o-mini-tts of OpenAI's "
        "clients. Of several resources with one name, the oldest has it.",
        json_schema_extra=UNIQUE,
    )
    languages: list[Annotated[str, Field(min_length=2, max_length=35, pattern=LANGUAGE)]] | None = Field(
        default=None,
        max_length=64,
        description="What the model speaks, such as en and zh (BCP 47); the first is the language of its voices in "
        "lists. Default: what its servers report, which is what the checkpoint's config.json names.",
        json_schema_extra=UNIQUE,
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
