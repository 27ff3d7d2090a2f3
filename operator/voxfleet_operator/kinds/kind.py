"""One kind of Kubernetes object: what a row of the table of kinds says, and what follows from it.

Knows API paths, scopes, ownership, and which verbs of RBAC a row needs. Does not know which kinds there are (table.py).
"""

from dataclasses import dataclass
from enum import StrEnum

from voxfleet_operator import names


class Scope(StrEnum):
    """Namespaces in which a kind is watched, and to which its grant is limited."""

    CLUSTER = "no namespace"
    ALL = "all namespaces"
    SYSTEM = "the namespace of the gateways"
    DEMAND = "the namespace of the demand Leases"


class Ownership(StrEnum):
    """What ties an object to its resource."""

    OWNED = "an owner reference: same namespace, deleted by the garbage collector"
    UNOWNED = "labels only: another namespace, where owner references do not reach; deleted by the operator"
    READ_ONLY = "the operator never writes it"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    `is_pruned`: objects of the kind are deleted when the spec no longer asks for them: of a region that left it, of a
    field that was taken out.
    `is_home_only`: the objects are made in the operator's own cluster alone.
    `definition`: name of the CustomResourceDefinition that a cluster may lack; empty: every cluster serves the kind.
    `component`: objects with this value of the label app.kubernetes.io/component are watched; empty: with any.
    `is_urgent`: a change is reconciled before all queued resources.
    `is_annotated`: the operator writes annotations on objects that another controller owns.
    `label`: objects with this label are watched; empty: all. `fields`: and of those the ones that a field selector
    names.
    `foreign_annotations`, `foreign_spec_fields`: written by others in normal operation, so no drift.
    """

    name: str
    api_version: str
    plural: str
    scope: Scope
    ownership: Ownership
    is_pruned: bool = False
    is_urgent: bool = False
    is_annotated: bool = False
    is_home_only: bool = False
    component: str = ""
    definition: str = ""
    label: str = names.LABEL_DEPLOYMENT
    fields: str = ""
    foreign_annotations: frozenset[str] = frozenset()
    foreign_spec_fields: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The field `kind` of its objects: the rows of one kind that is watched twice differ in what follows it."""
        return self.name.partition(" of ")[0]

    @property
    def is_of_notebooks(self) -> bool:
        """Whether the operator has the kind, and the grants for it, only in an installation with notebooks."""
        return self.component == names.NOTEBOOK

    @property
    def is_optional(self) -> bool:
        """Whether a cluster may lack it, or the operator the grant for it, without harm to anything else."""
        return bool(self.definition) or self.kind == "CustomResourceDefinition"

    @property
    def is_applied(self) -> bool:
        """Whether the operator creates and patches objects of this kind."""
        return self.ownership != Ownership.READ_ONLY

    @property
    def is_of_a_resource(self) -> bool:
        """Whether its labels name a VoxTTSDeployment."""
        return self.label == names.LABEL_DEPLOYMENT

    @property
    def verbs(self) -> frozenset[str]:
        """RBAC verbs that the operator needs, in the namespaces of `scope`."""
        if not self.is_applied:
            return frozenset({"list", "watch", "patch"} if self.is_annotated else {"list", "watch"})
        # Server-side apply is authorized as patch, and as create when the object is new.
        applied = frozenset({"get", "list", "watch", "create", "patch"})
        is_deleted = self.is_pruned or self.ownership == Ownership.UNOWNED
        return applied | {"delete"} if is_deleted else applied

    def path(self, namespace: str | None) -> str:
        """API path of the kind's collection in one namespace, or in all of them (None)."""
        # The core group has no name: its version alone, under /api.
        prefix = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        return f"{prefix}/namespaces/{namespace}/{self.plural}" if namespace else f"{prefix}/{self.plural}"
