"""All models by the names that clients send. Pure.

Knows: which resource owns a model's bare name. Does not know: where entries come from, the states of their regions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from voxfleet_gateway.regions.entries import ModelEntry, ObjectKey


@dataclass(slots=True)
class Registry:
    """All models, by every name that resolves to them; a change costs the same however many there are."""

    entries: dict[ObjectKey, ModelEntry] = field(default_factory=dict)  # by namespace and name
    by_name: dict[str, ModelEntry] = field(default_factory=dict)
    claims: dict[str, dict[ObjectKey, ModelEntry]] = field(default_factory=dict)  # of bare names

    @classmethod
    def of(cls, entries: Iterable[ModelEntry]) -> "Registry":
        """Return the registry of these models."""
        registry = cls()
        for entry in entries:
            registry.put(entry)
        return registry

    def put(self, entry: ModelEntry) -> None:
        """Add or replace a model."""
        old = self.entries.get(entry.ref)
        if old is not None:
            self.remove(old)
        self.entries[entry.ref] = entry
        for name in entry.bare_names:
            self.claims.setdefault(name, {})[entry.ref] = entry
        self._settle(entry)

    def remove(self, entry: ModelEntry) -> None:
        """Remove a model; nothing happens when another entry has replaced it."""
        if self.entries.get(entry.ref) is not entry:
            return
        del self.entries[entry.ref]
        for name in entry.bare_names:
            claims = self.claims[name]
            del claims[entry.ref]
            if not claims:
                del self.claims[name]
        self._settle(entry)

    def _settle(self, changed: ModelEntry) -> None:
        """Resolve the names of a changed model again: a bare name is its oldest claimant's."""
        for name in (*changed.bare_names, changed.full_name):
            # A full name comes first: a bare name that looks like one must not hide the model that it belongs to.
            owner = self.entries.get(_ref(name))
            claims = self.claims.get(name, {}).values()
            found = owner or min(claims, key=lambda entry: (entry.created_at, entry.full_name), default=None)
            if found is None:
                self.by_name.pop(name, None)
            else:
                self.by_name[name] = found

    def resolve(self, name: str) -> ModelEntry | None:
        """Return the model of this bare or full name, or None."""
        return self.by_name.get(name)

    def names(self) -> tuple[str, ...]:
        """Return every name that resolves, bare names first."""
        return tuple(sorted(self.by_name, key=lambda name: ("/" in name, name)))


def _ref(full_name: str) -> ObjectKey:
    namespace, _, name = full_name.partition("/")
    return namespace, name
