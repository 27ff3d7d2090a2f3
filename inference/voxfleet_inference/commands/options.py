"""Turns a table of settings into a command's options.

Knows: typer, pydantic models, and how to say in one line what is wrong with an option.
Does not know: what the settings mean.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from voxfleet_inference.settings import environment_name, flag_name

WRONG_OPTION_EXIT_CODE = 2
Settings = TypeVar("Settings", bound=BaseModel)


def command_of(table: type[Settings], run: Callable[[Settings], None]) -> Callable[..., None]:
    """A typer command with one option, and one environment variable, per field of the table."""

    def command(**given: str | bool | None) -> None:
        run(checked(table, {name: value for name, value in given.items() if value is not None and not _is_link(value)}))

    command.__doc__ = run.__doc__
    parameters = [_parameter(name, field) for name, field in table.model_fields.items()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def checked(table: type[Settings], given: dict[str, Any]) -> Settings:
    """The settings, or the end of the program with one line that names the flag and what it must be."""
    try:
        return table.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        what = "is missing" if first["type"] == "missing" else f"{first['input']!r}: {first['msg']}"
        typer.echo(f"voxfleet-inference: {flag_name(name)} {what} (or {environment_name(name)})", err=True)
        raise typer.Exit(WRONG_OPTION_EXIT_CODE) from error


def _is_link(value: object) -> bool:
    """Kubernetes tells pods about a Service named `voxfleet` as VOXFLEET_PORT=tcp://...: that is no setting."""
    return isinstance(value, str) and value.startswith("tcp://")


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    is_switch = field.annotation is bool
    flag = flag_name(name)
    option = typer.Option(
        None,
        f"{flag}/--no-{flag.removeprefix('--')}" if is_switch else flag,
        envvar=environment_name(name),
        help=field.description,
        show_default=False if field.is_required() else str(field.default),
        metavar=None,
    )
    kind = bool | None if is_switch else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
