"""Keeps the registry of models from the ConfigMaps that the operator writes.

Knows: which ConfigMaps hold models. Does not know: what models are used for.
A ConfigMap that cannot be read is logged and ignored: its last valid content stays, other ConfigMaps are not affected.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from voxfleet_gateway.cluster.list_watch import object_key
from voxfleet_gateway.errors import RegistryEntryError
from voxfleet_gateway.regions import ModelEntry, ObjectKey, Registry, parse_entry
from voxfleet_gateway.telemetry import REGISTRY_INVALID

LABEL_SELECTOR = "voxfleet.dev/model-registry=true"

JsonObject = dict[str, Any]

log = structlog.get_logger(__name__)


def registry_path(system_namespace: str) -> str:
    """Return the path of the ConfigMaps."""
    return f"/api/v1/namespaces/{system_namespace}/configmaps"


@dataclass(slots=True)
class RegistryWatch:
    """The receiver of ConfigMap events."""

    on_change: Callable[[], None]
    registry: Registry = field(default_factory=Registry)
    entries: dict[ObjectKey, ModelEntry] = field(default_factory=dict)
    invalid: set[ObjectKey] = field(default_factory=set)

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all models by those of a list."""
        present = {object_key(obj) for obj in objects}
        self.entries = {key: entry for key, entry in self.entries.items() if key in present}
        self.invalid &= present
        for obj in objects:
            self._read(obj)
        self._publish()

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one model."""
        self._read(obj)
        self._publish()

    def deleted(self, obj: JsonObject) -> None:
        """Remove one model."""
        self.entries.pop(object_key(obj), None)
        self.invalid.discard(object_key(obj))
        self._publish()

    def _read(self, obj: JsonObject) -> None:
        key = object_key(obj)
        try:
            self.entries[key] = parse_entry(obj.get("data") or {})
        except RegistryEntryError as error:
            self.invalid.add(key)
            log.warning("registry_entry_ignored", configmap="/".join(key), error=str(error))
        else:
            self.invalid.discard(key)

    def _publish(self) -> None:
        self.registry = Registry.of(self.entries.values())
        REGISTRY_INVALID.set(len(self.invalid))
        self.on_change()
