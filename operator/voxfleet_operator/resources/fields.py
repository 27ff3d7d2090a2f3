"""Field types of the resource models: the model class, bounded strings, and rules in CEL.

Knows what a Kubernetes name, quantity or decimal looks like and how a rule is written into a schema.
Does not know any field of the resource, nor how a schema is turned into a CustomResourceDefinition.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

RULES = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_KEYS = "x-kubernetes-list-map-keys"

# Patterns of apimachinery's validation, as RE2 without lookahead.
DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
# Decimals are strings: Kubernetes' API conventions forbid floats, which differ between clients.
DECIMAL = "^-?[0-9]{1,9}([.][0-9]{1,9})?$"
# A reference with optional tag or digest; like the container runtime's grammar, but shorter.
IMAGE = "^[a-z0-9]([-a-zA-Z0-9._:/]*[a-zA-Z0-9])?(@sha256:[a-f0-9]{64})?$"
QUANTITY = "^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"


class ResourceModel(BaseModel):
    """A part of the resource: camelCase in Kubernetes, snake_case in Python, immutable after parsing."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


def rule(expression: str, message: str, field_path: str | None = None) -> dict[str, str]:
    """Return one CEL rule; its message names the correct value, its path the field."""
    written = {"rule": expression, "message": message}
    return written | ({"fieldPath": field_path} if field_path else {})


def rules(*written: dict[str, str]) -> dict[str, Any]:
    """Return the schema extension that holds rules."""
    return {RULES: list(written)}


def keyed_by(*keys: str) -> dict[str, Any]:
    """Return the schema extension of a list with keyed items: in server-side apply, managers own single items."""
    return {LIST_TYPE: "map", LIST_KEYS: list(keys)}


ATOMIC: dict[str, Any] = {LIST_TYPE: "atomic"}
UNIQUE: dict[str, Any] = {LIST_TYPE: "set"}

# Every string has a bound: the API server estimates the cost of a rule from the longest possible value.
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
LabelName = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern="^[-._a-zA-Z0-9]+$")]
Decimal = Annotated[str, Field(max_length=24, pattern=DECIMAL)]
Instant = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
ShortText = Annotated[str, Field(max_length=253)]
LongText = Annotated[str, Field(max_length=4096)]
QuantityText = Annotated[str, Field(max_length=32, pattern=QUANTITY)]
Quantity = Annotated[
    str | int,
    Field(
        # IntOrString: pydantic writes anyOf without the type, which Kubernetes admits only in exactly this form.
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": True,
        }
    ),
]


def price(what: str) -> Any:
    """Return the field of a non-negative price: a decimal string, because floats are discouraged in Kubernetes APIs."""
    return Field(default=None, max_length=16, pattern="^[0-9]{1,6}([.][0-9]{1,6})?$", description=what)


def decimal_between(low: float, high: float, field: str) -> dict[str, Any]:
    """Return the rule that a decimal string is between two bounds, both included."""
    bounds = rule(
        f"self.matches('{DECIMAL}') && double(self) >= {low:.1f} && double(self) <= {high:.1f}",
        f"{field} must be a decimal number in quotes, from {low:g} to {high:g}",
    )
    return rules(bounds)
