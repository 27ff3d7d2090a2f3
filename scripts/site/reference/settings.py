"""The settings of a part: flag, environment variable, type, bounds, default and meaning, from its model.

Knows: the models, and that each setting `x_y` is VOXFLEET_X_Y and, but for the operator's, `--x-y`.
Does not know: what a setting does beyond its description, which is in the model alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel
from voxfleet_gateway.dns.settings import DnsSettings
from voxfleet_gateway.settings import Settings as GatewaySettings
from voxfleet_inference.settings import ServeSettings
from voxfleet_operator.settings import Settings as OperatorSettings

from reference.schema_words import Schema, bounds_of, meaning_of, table, type_of

_UNITS: Final = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def operator_settings() -> list[str]:
    """Return the operator's, which are environment variables alone."""
    return settings_table(OperatorSettings, has_flags=False)


def gateway_settings() -> list[str]:
    """Return the gateway's."""
    return settings_table(GatewaySettings)


def dns_settings() -> list[str]:
    """Return those of the DNS engine."""
    return settings_table(DnsSettings)


def inference_settings() -> list[str]:
    """Return the speech server's."""
    return settings_table(ServeSettings)


def settings_table(model: type[BaseModel], *, has_flags: bool = True) -> list[str]:
    """Return a row for each field of a model."""
    return table(("setting", "value", "meaning"), _rows(model, has_flags=has_flags))


def _rows(model: type[BaseModel], *, has_flags: bool) -> Iterator[tuple[str, ...]]:
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        names = [f"`--{name.replace('_', '-')}`"] if has_flags else []
        is_required = name in schema.get("required", ())
        value = (_kind(field), "**required**" if is_required else _default(name, field.get("default")))
        yield (
            "<br>".join([*names, f"`VOXFLEET_{name.upper()}`"]),
            "<br>".join(filter(None, value)),
            meaning_of(name, field),
        )


def _kind(field: Schema) -> str:
    """Return type and bounds; null is how a model has a setting that is not set."""
    if "anyOf" in field:
        field = {**field, "anyOf": [each for each in field["anyOf"] if each != {"type": "null"}]}
    return ", ".join(filter(None, (type_of(field), bounds_of(field))))


def _default(name: str, value: Any) -> str:
    """Return a default in code, bytes in larger units too; empty: no value."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f"default `{value}`".lower()
    if isinstance(value, float):
        return f"default `{value:g}`"
    return f"default `{value}`{_in_units(name, value) if isinstance(value, int) else ''}"


def _in_units(name: str, value: int) -> str:
    for unit, size in _UNITS if name.endswith("_bytes") else ():
        if value >= size and value % size == 0:
            return f" ({value // size} {unit})"
    return ""
