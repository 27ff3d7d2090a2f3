"""Generates the CustomResourceDefinition from the models.

Knows names, columns and the rule on metadata.name. Does not know single fields: those come from the models.
"""

from typing import Any

import yaml

from voxfleet_operator.resources.fields import RULES, rule
from voxfleet_operator.resources.spec.spec import VoxTTSDeploymentSpec
from voxfleet_operator.resources.status import VoxTTSDeploymentStatus
from voxfleet_operator.resources.structural_schema import structural_schema

GROUP = "voxfleet.dev"
VERSION = "v1alpha1"
KIND = "VoxTTSDeployment"
PLURAL = "voxttsdeployments"
API_VERSION = f"{GROUP}/{VERSION}"

HEADER = "# Generated from operator/voxfleet_operator/resources by `make crds`. Do not edit by hand.\n"
# 40 characters leave room for region, hash and suffix in the 63 of a name (names.py); a Service name begins with a
# letter (RFC 1035).
NAME = "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"

COLUMNS: list[dict[str, Any]] = [
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Awake", "type": "string", "jsonPath": ".status.awake", "description": "Regions awake / regions."},
    {"name": "Replicas", "type": "integer", "jsonPath": ".status.replicas"},
    {"name": "Model", "type": "string", "jsonPath": ".status.model"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
]


def custom_resource_definition() -> dict[str, Any]:
    """Return the whole definition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "voxfleet"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["vtts"],
                "categories": ["voxfleet"],
            },
            "versions": [_version()],
        },
    }


def definition_yaml() -> str:
    """Return the definition as YAML, as it is committed in crds/."""
    body: str = yaml.dump(custom_resource_definition(), Dumper=_PlainDumper, sort_keys=False, width=120)
    return HEADER + body


class _PlainDumper(yaml.SafeDumper):
    """Writes equal values out each time instead of YAML anchors and aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of yaml's own method
        return True


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": COLUMNS,  # of `kubectl get`; priority 1 only with -o wide
        "schema": {"openAPIV3Schema": _root_schema()},
    }


def _root_schema() -> dict[str, Any]:
    # The API server validates metadata itself: of it a schema may restrict name and generateName only.
    return {
        "type": "object",
        "description": "Text-to-speech servers in regions that scale to zero without requests and wake on demand.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(VoxTTSDeploymentSpec),
            "status": structural_schema(VoxTTSDeploymentStatus),
        },
        RULES: [
            rule(
                f"self.metadata.name.matches('{NAME}')",
                "metadata.name must be 1 to 40 lower-case letters, digits or '-', begin with a letter and not end "
                "with '-': objects in every region carry it in their names",
            )
        ],
    }
