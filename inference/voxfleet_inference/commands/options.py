"""Builds a typer command from a table of settings: one flag and one environment variable per field.

Knows: typer, pydantic models, and how to report a wrong option in one line.
Does not know: what the settings mean.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from voxfleet_inference.settings import environment_name, flag_name

WRONG_OPTION_EXIT_CODE: Final = 2  # click's own for wrong usage
_METAVARS: Final[Mapping[object, str]] = {int: "<int>", float: "<float>", Path: "<path>"}
Settings = TypeVar("Settings", bound=BaseModel)


def command_of(table: type[Settings], run: Callable[[Settings], None]) -> Callable[..., None]:
    """Return a typer command that validates its options as `table` and calls `run` with the result."""

    def command(**options: str | bool | None) -> None:
        given = {name: value for name, value in options.items() if value is not None and not _is_service_link(value)}
        run(validated(table, given))

    # typer reads the docstring, the signature and the annotations of a command; these come from the table.
    command.__doc__ = run.__doc__
    parameters = [_parameter(name, field) for name, field in table.model_fields.items()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def validated(table: type[Settings], given: dict[str, Any]) -> Settings:
    """Return the options as settings.

    Raises:
        typer.Exit: an option is wrong or missing; one line on stderr names the flag, its value and what it must be.
    """
    try:
        return table.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        # A field that is in no representation of the settings holds a password.
        is_quoted = name in table.model_fields and table.model_fields[name].repr
        given_value = repr(first["input"]) if is_quoted else "is not usable"
        reason = "is missing" if first["type"] == "missing" else f"{given_value}: {first['msg']}"
        typer.echo(f"voxfleet-inference: {flag_name(name)} {reason} (or {environment_name(name)})", err=True)
        raise typer.Exit(WRONG_OPTION_EXIT_CODE) from error


def choices_of(table: type[BaseModel], field_name: str) -> tuple[str, ...]:
    """Return the values that a `Literal` field takes; empty for a field of another type."""
    annotation = table.model_fields[field_name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _is_service_link(value: object) -> bool:
    """Return whether Kubernetes set the variable: it gives pods VOXFLEET_PORT=tcp://... for a Service `voxfleet`."""
    return isinstance(value, str) and value.startswith("tcp://")


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    is_switch = field.annotation is bool
    flag = flag_name(name)
    # None instead of the default: it says that neither flag nor variable is given, and pydantic fills in the default.
    option = typer.Option(
        None,
        f"{flag}/--no-{flag.removeprefix('--')}" if is_switch else flag,
        envvar=environment_name(name),
        help=_help(field),
        show_default=False,  # typer would put parentheses around it
        metavar=_metavar(field),
    )
    # Values stay strings: pydantic converts them, so that flags and variables are validated alike.
    kind = bool | None if is_switch else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)


def _help(field: FieldInfo) -> str | None:
    is_unset = field.is_required() or field.default is None or not str(field.default)
    return field.description if is_unset else f"{field.description or ''}  [default: {field.default}]"


def _metavar(field: FieldInfo) -> str | None:
    """Return what stands for the value: its choices, or its type, which is that of `T` in `T | None`."""
    if get_origin(field.annotation) is Literal:
        return f"<{'|'.join(get_args(field.annotation))}>"
    kinds = [each for each in get_args(field.annotation) or (field.annotation,) if each is not NoneType]
    return _METAVARS.get(kinds[0]) if kinds else None
