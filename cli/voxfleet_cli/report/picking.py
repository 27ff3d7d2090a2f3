"""Copies from JSON the fields that a shape lists, each only in the form that the shape expects. Pure.

Knows: the forms of names, times, numbers and reasons. Does not know: which object has which fields (shapes.py).
Anything that is not listed, or not of its form, is left out: a secret in the place of a name, or of a whole object, is
no name.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Form = Callable[[Any], Any]  # the value as it may be kept; DROPPED: it is not of the form
Shape = Any  # a Form, a mapping of fields to shapes (ANY_NAME: any field that is a name), or a list of one shape


class _Dropped:
    """Stands for a value that is left out."""


DROPPED = _Dropped()
ANY_NAME = "*"
LONGEST_LIST = 500
Kept = TypeVar("Kept")


def _matching(pattern: str) -> Form:
    compiled = re.compile(pattern)
    return lambda value: value if isinstance(value, str) and compiled.fullmatch(value) else DROPPED


# Lower case, digits and hyphens, as Kubernetes names things; neither keys nor tokens nor addresses are of this form.
# Not all hexadecimal, and no part as long as a token's: some keys are hashes or UUIDs.
_UUID = r"(?![0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-)"
_PART = r"[a-z0-9]{1,20}"
_NAME = rf"(?!\d+$){_UUID}{_PART}(-+{_PART}){{0,15}}"
NAME = _matching(_NAME)
FULL_NAME = _matching(f"{_NAME}/{_NAME}")
# A node's name has dots, and at least one letter in each part but the numbers of its own address.
NODE = _matching(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z]([-a-z0-9]{0,61}[a-z0-9])?|\.[a-z0-9]+-[-a-z0-9]+){0,6}")
CAMEL = _matching(r"([A-Z][a-z]+|[A-Z]{2,4}(?=[A-Z][a-z]|$)){1,7}")  # reasons, phases, kinds
WORD = _matching(r"[a-z]+([_-][a-z]+){0,5}")  # routes, levels, states
TRUTH = _matching(r"True|False|Unknown")
TIME = _matching(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
MONTH = _matching(r"\d{4}-\d\d")
QUANTITY = _matching(r"\d{1,15}(\.\d{1,6})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
DECIMAL = _matching(r"-?\d{1,15}(\.\d{1,6})?")
VERSION = _matching(r"v?\d{1,4}\.\d{1,4}(\.\d{1,4})?\+?(-[a-z0-9.]{1,8}){0,2}")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z]([-a-z0-9]*[a-z0-9])?)+/)?[a-zA-Z][-_.a-zA-Z]{0,40}")


def NUMBER(value: Any) -> Any:  # noqa: N802  # a form, beside the others
    """Keep numbers and truth values."""
    return value if isinstance(value, bool | int | float) else DROPPED


def PRESENT(value: Any) -> Any:  # noqa: N802
    """Keep that something is there, and nothing of it."""
    return bool(value)


def one_of(*forms: Form) -> Form:
    """Return the form of what is of any of these forms."""

    def form(value: Any) -> Any:
        return next((kept for each in forms if (kept := each(value)) is not DROPPED), DROPPED)

    return form


def pick(value: Any, shape: Shape) -> Any:
    """Return what a shape allows of a value; DROPPED where that is nothing."""
    if isinstance(shape, Mapping):
        return _fields(value, shape) if isinstance(value, Mapping) else DROPPED
    if isinstance(shape, list):
        if not isinstance(value, list):
            return DROPPED
        found = (pick(each, shape[0]) for each in value[:LONGEST_LIST])
        return [each for each in found if each is not DROPPED]
    return shape(value)


def _fields(value: Mapping[str, Any], shape: Mapping[str, Shape]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, each in value.items():
        wanted = shape.get(key)
        if wanted is None and ANY_NAME in shape and isinstance(key, str) and LABEL_KEY.fullmatch(key):
            wanted = shape[ANY_NAME]
        if wanted is not None and (kept := pick(each, wanted)) is not DROPPED:
            found[key] = kept
    return found
