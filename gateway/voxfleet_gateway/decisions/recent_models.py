"""The model that each tenant used last. Pure.

Knows: names, and how many tenants are kept. Does not know: requests; what is done with the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_TENANTS = 1024


@dataclass(slots=True)
class RecentModels:
    """Names by tenant, the newest last; the oldest is forgotten beyond MAX_TENANTS."""

    by_tenant: dict[str, str] = field(default_factory=dict)

    def record(self, tenant: str, model: str) -> None:
        """Keep the model as the tenant's last one."""
        self.by_tenant.pop(tenant, None)
        self.by_tenant[tenant] = model
        if len(self.by_tenant) > MAX_TENANTS:
            del self.by_tenant[next(iter(self.by_tenant))]

    def expected(self, tenant: str, usable: Sequence[str]) -> str | None:
        """Return which of the models that it may use the tenant will likely name next: its last one, or the only one.

        None where both are unknown: waking every model on a guess costs more than a wake that comes late.
        """
        last = self.by_tenant.get(tenant)
        if last in usable:
            return last
        return usable[0] if len(usable) == 1 else None
