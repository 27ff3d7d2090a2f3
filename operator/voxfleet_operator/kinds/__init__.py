"""Kubernetes kinds: a table with one row for each that the operator reads or writes, and what follows from the rows."""

from voxfleet_operator.kinds.kind import Kind, Ownership, Scope
from voxfleet_operator.kinds.paths import ObjectRef, resource_path
from voxfleet_operator.kinds.table import (
    DEFINITIONS,
    EVENTS,
    KINDS,
    NODE_EVENT,
    NOTEBOOK_INGRESS,
    NOTEBOOK_POLICY,
    POD_EVENT,
    PRUNED_KINDS,
    TABLE,
    UNOWNED_KINDS,
)
from voxfleet_operator.kinds.watches import Watch, remote_watches, watches

__all__ = [
    "DEFINITIONS",
    "EVENTS",
    "KINDS",
    "NODE_EVENT",
    "NOTEBOOK_INGRESS",
    "NOTEBOOK_POLICY",
    "POD_EVENT",
    "PRUNED_KINDS",
    "TABLE",
    "UNOWNED_KINDS",
    "Kind",
    "ObjectRef",
    "Ownership",
    "Scope",
    "Watch",
    "remote_watches",
    "resource_path",
    "watches",
]
