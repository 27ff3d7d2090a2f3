"""The body that a field manager applied, from the object that the API server returns. Pure.

`metadata.managedFields` names the fields (FieldsV1 of structured-merge-diff: `f:` a field, `k:` a list item by its
keys, `v:` a set's value, `.` the item itself); their values are in the object. An object read from the API server has
defaults too, which a body sent by hand would not have.
"""

from __future__ import annotations

import json
from typing import Any

TYPE_FIELDS = ("apiVersion", "kind")
OWN_METADATA = ("name", "namespace")


def applied_body(body: dict[str, Any], manager: str) -> dict[str, Any]:
    """Return what `manager` applied of an object, with its kind, name and namespace.

    Raises:
        KeyError: the manager applied nothing of it.
    """
    entries = body["metadata"].get("managedFields", [])
    fields = [
        entry["fieldsV1"]
        for entry in entries
        if entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource")
    ]
    if not fields:
        raise KeyError(f"{body['kind']} {body['metadata']['name']}: nothing was applied by {manager}")
    found: dict[str, Any] = _pick(body, fields[0])
    metadata = found.setdefault("metadata", {})
    metadata.update({key: body["metadata"][key] for key in OWN_METADATA if key in body["metadata"]})
    return {**{key: body[key] for key in TYPE_FIELDS}, **found}


def _pick(value: Any, fields: dict[str, Any]) -> Any:
    inner = {key: below for key, below in fields.items() if key != "."}
    if not inner:  # owned as a whole
        return value
    if isinstance(value, list):
        return [item for key, below in inner.items() for item in _items(value, key, below)]
    return {key[2:]: _pick(value[key[2:]], below) for key, below in inner.items() if key[2:] in value}


def _items(value: list[Any], key: str, below: dict[str, Any]) -> list[Any]:
    wanted = json.loads(key[2:])
    if key.startswith("v:"):
        return [wanted]
    found = [item for item in value if all(item.get(name) == part for name, part in wanted.items())]
    return [{**_pick(item, below), **wanted} for item in found]
