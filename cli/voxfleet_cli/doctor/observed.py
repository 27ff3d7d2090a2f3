"""What one observation of an API server is: an object, a right, or why it could not be read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a fact is missing; `is_absent`: the API server has no such object or kind."""

    reason: str
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Right:
    """Whether a subject may do something. An empty namespace: in all of them."""

    subject: str  # `you`, `operator`
    verb: str
    group: str
    resource: str
    namespace: str
    is_allowed: bool
    purpose: str = ""

    @property
    def what(self) -> str:
        """Return it in kubectl's words."""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}" + (f" in {self.namespace}" if self.namespace else "")
