"""Keeps the registry of models from the ConfigMaps that the operator writes.

Knows: which ConfigMaps hold models. Does not know: what models are used for.
A ConfigMap that cannot be read is logged and ignored: its last valid content stays, other ConfigMaps are not affected.
"""

from collections.abc import Callable, Iterable
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

    on_change: Callable[[Iterable[ObjectKey]], None]  # namespaces and names of the models that changed
    registry: Registry = field(default_factory=Registry)
    entries: dict[ObjectKey, ModelEntry] = field(default_factory=dict)  # by ConfigMap
    invalid: set[ObjectKey] = field(default_factory=set)

    def replaced(self, objects: list[JsonObject]) -> None:
        """Replace all models by those of a list."""
        present = {object_key(obj) for obj in objects}
        changed = [ref for key in [*self.entries.keys() - present] for ref in self._remove(key)]
        self.invalid &= present
        for obj in objects:
            changed += self._read(obj)
        self._publish(changed)

    def changed(self, obj: JsonObject) -> None:
        """Add or replace one model."""
        self._publish(self._read(obj))

    def deleted(self, obj: JsonObject) -> None:
        """Remove one model."""
        self.invalid.discard(object_key(obj))
        self._publish(self._remove(object_key(obj)))

    def _read(self, obj: JsonObject) -> list[ObjectKey]:
        key = object_key(obj)
        try:
            entry = parse_entry(obj.get("data") or {})
        except RegistryEntryError as error:
            self.invalid.add(key)
            log.warning("registry_entry_ignored", configmap="/".join(key), error=str(error))
            return []
        self.invalid.discard(key)
        removed = self._remove(key)
        self.entries[key] = entry
        self.registry.put(entry)
        return [*removed, entry.ref]

    def _remove(self, key: ObjectKey) -> list[ObjectKey]:
        old = self.entries.pop(key, None)
        if old is None:
            return []
        self.registry.remove(old)
        return [old.ref]

    def _publish(self, changed: Iterable[ObjectKey]) -> None:
        REGISTRY_INVALID.set(len(self.invalid))
        self.on_change(dict.fromkeys(changed))
