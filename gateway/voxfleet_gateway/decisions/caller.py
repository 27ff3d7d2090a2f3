"""The caller of a request: what its key, or its certificate, lets it do. Pure.

Knows: which fields decide about a request's models, bounds and order. Does not know: how a caller is authenticated.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity that a request is accounted to, and its rights."""

    tenant: str = ""  # empty: no key was given
    priority: int = 0
    models: frozenset[str] | None = None  # full names (namespace/name); None: every model
    max_body_bytes: int = 16 * 2**20

    def may_use(self, full_name: str) -> bool:
        """Whether the caller's requests may name this model; another one does not exist for it."""
        return self.models is None or full_name in self.models


ANONYMOUS = Caller()
