"""The ways into a deployment beside its Service: Ingress, HTTPRoute, PodMonitor, notebook.

Knows these fields of the spec, their bounds and the rules between them. Does not know the objects that are made
(manifests/ways_in/), nor which connections are allowed (manifests/ways_in/network_policies.py).
"""

from typing import Annotated

from pydantic import Field

from voxfleet_operator.resources.fields import (
    ATOMIC,
    DNS_SUBDOMAIN,
    IMAGE,
    LabelName,
    ObjectName,
    QuantityText,
    ResourceModel,
    rule,
    rules,
)

# A wildcard covers one label, as in the Gateway API; an address is no host name.
HOST_PATTERN = f"^([*][.])?{DNS_SUBDOMAIN.removeprefix('^')}"
HostName = Annotated[str, Field(min_length=1, max_length=253, pattern=HOST_PATTERN)]


class Ingress(
    ResourceModel,
    json_schema_extra=rules(
        rule("!has(self.tlsSecretName) || has(self.host)", "host is required with tlsSecretName", ".host"),
        rule("!has(self.className) || has(self.host)", "host is required with className", ".host"),
    ),
):
    """An Ingress to the gateways of the operator's cluster, in their namespace."""

    host: ObjectName | None = Field(
        default=None,
        description="Host name, within the chart's allowedIngressDomains. All models answer there: one resource names "
        "the host.",
    )
    class_name: ObjectName | None = Field(
        default=None, description="IngressClass; absent: the cluster's default class. Its controller must stream."
    )
    tls_secret_name: ObjectName | None = Field(
        default=None,
        description="kubernetes.io/tls Secret with the host's certificate, in the gateways' namespace, because the "
        "Ingress is there.",
    )


class ParentRef(ResourceModel):
    """A Gateway of the Gateway API."""

    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: LabelName | None = Field(default=None, description="Its namespace; absent: the resource's own.")
    section_name: ObjectName | None = Field(default=None, description="One of its sections; absent: all that match.")
    port: int | None = Field(default=None, ge=1, le=65_535, description="One of its ports; absent: all.")


class Route(
    ResourceModel,
    json_schema_extra=rules(
        rule("!has(self.hostnames) || has(self.parentRefs)", "parentRefs is required with hostnames", ".parentRefs"),
    ),
):
    """An HTTPRoute of the Gateway API to the gateways, in the resource's namespace, without a time limit."""

    parent_refs: Annotated[list[ParentRef], Field(min_length=1, max_length=8)] | None = Field(
        default=None,
        description="Gateways that the route attaches to; they must admit routes of this namespace (allowedRoutes).",
        json_schema_extra=ATOMIC,
    )
    hostnames: Annotated[list[HostName], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="Host names; absent: all hosts of the Gateway.", json_schema_extra=ATOMIC
    )


class Monitoring(ResourceModel):
    """Objects for Prometheus."""

    pod_monitor: bool = Field(
        default=False,
        description="Create a PodMonitor of the servers. The chart's podMonitors.enabled covers all resources already.",
    )


class Notebook(
    ResourceModel,
    json_schema_extra=rules(
        rule(
            "!self.enabled || has(self.tlsSecretName)",
            "notebook.tlsSecretName is required with notebook.enabled: a notebook is offered by TLS only",
            ".tlsSecretName",
        ),
        rule(
            "self.size == oldSelf.size || !self.enabled || !oldSelf.enabled",
            "notebook.size cannot be changed while the notebook runs: set enabled to false, delete the claim "
            "files-<name>-notebook-0, whose files are lost then, and enable it again",
            ".size",
        ),
    ),
):
    """Jupyter beside the model: a server of its own that is always on and calls the gateways as any client does."""

    enabled: bool = Field(
        default=False,
        description="Run a notebook, protected by a generated token. Needs the chart's notebooks.enabled.",
    )
    tls_secret_name: ObjectName | None = Field(
        default=None,
        description="kubernetes.io/tls Secret in the resource's namespace: of an Ingress for `host`, or without a host "
        "of the notebook server itself.",
    )
    host: ObjectName | None = Field(
        default=None,
        description="Host name of an Ingress of its own (class ingress.className), within the chart's "
        "allowedIngressDomains. Absent: no Ingress; the Service <name>-notebook speaks TLS on port 8888.",
    )
    image: Annotated[str, Field(max_length=512, pattern=IMAGE)] | None = Field(
        default=None, description="Image with Jupyter Lab. Absent: the inference server's, built with it."
    )
    size: QuantityText = Field(default="5Gi", description="Size of the claim for files.")
    storage_class_name: ObjectName | None = Field(
        default=None, description="Storage class of the claim; absent: the cluster's default class."
    )
    allow_internet: bool = Field(
        default=False, description="Whether cells may connect to public addresses, to install packages for example."
    )
