"""The watches that the table of kinds asks for, in the operator's own cluster and in that of a remote region.

Knows namespaces and selectors. Does not know how a watch is made (cluster/watching/).
"""

from dataclasses import dataclass

from voxfleet_operator import names
from voxfleet_operator.kinds.kind import Kind, Scope
from voxfleet_operator.kinds.table import KINDS, LABEL_SERVICE_NAME, TABLE


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch: a kind, in one namespace or in all (None), narrowed by a label selector and a field selector."""

    kind: str
    selector: str
    namespace: str | None = None
    fields: str = ""

    @property
    def path(self) -> str:
        """API path that is listed and watched."""
        return KINDS[self.kind].path(self.namespace)


def watches(
    system_namespace: str, demand_namespace: str, gateway_service: str, *, has_notebooks: bool = False
) -> tuple[Watch, ...]:
    """One watch per row of the table; kopf watches VoxTTSDeployments (cluster/watching/own_kind.py)."""
    namespaces = {Scope.SYSTEM: system_namespace, Scope.DEMAND: demand_namespace}
    values = {LABEL_SERVICE_NAME: f"{LABEL_SERVICE_NAME}={gateway_service}"}
    return tuple(
        Watch(kind.name, _selector(kind, values), namespaces.get(kind.scope), kind.fields)
        for kind in TABLE
        if has_notebooks or not kind.is_of_notebooks
    )


def remote_watches(made: tuple[Watch, ...]) -> tuple[Watch, ...]:
    """Return the watches for the cluster of a remote region."""
    return tuple(watch for watch in made if not KINDS[watch.kind].is_home_only)


def _selector(kind: Kind, values: dict[str, str]) -> str:
    selector = values.get(kind.label, kind.label)
    return f"{selector},{names.LABEL_COMPONENT}={kind.component}" if kind.component else selector
