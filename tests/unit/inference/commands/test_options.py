from __future__ import annotations

import pytest
import typer
from pydantic import BaseModel, Field
from typer.testing import CliRunner
from voxfleet_inference.commands.options import command_of
from voxfleet_inference.settings import ServeSettings


class Table(BaseModel):
    name: str = Field(description="A name.")
    loud: bool = False
    count: int = Field(3, ge=1, description="How many.")
    password: str = Field("", max_length=3, description="A password.", repr=False)


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, list[Table]]:
    received: list[Table] = []
    table_app = typer.Typer()
    table_app.command()(command_of(Table, received.append))
    result = CliRunner().invoke(table_app, list(arguments), env=env)
    return result.exit_code, result.output, received


def test_options_come_from_flags_then_environment_then_defaults() -> None:
    assert run("--name", "a")[2] == [Table(name="a", count=3)]
    assert run(env={"VOXFLEET_NAME": "b", "VOXFLEET_COUNT": "5"})[2] == [Table(name="b", count=5)]
    assert run("--count", "7", env={"VOXFLEET_NAME": "b", "VOXFLEET_COUNT": "5"})[2] == [Table(name="b", count=7)]


def test_a_boolean_option_takes_no_value() -> None:
    loud = Table(name="a", loud=True)
    assert run("--name", "a", "--loud")[2] == run("--name", "a", env={"VOXFLEET_LOUD": "true"})[2] == [loud]
    assert run("--name", "a", "--no-loud", env={"VOXFLEET_LOUD": "true"})[2] == [Table(name="a")]


def test_service_links_of_kubernetes_are_ignored() -> None:
    assert run("--name", "a", env={"VOXFLEET_COUNT": "tcp://10.96.0.1:6006"})[2] == [Table(name="a", count=3)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--name is missing (or VOXFLEET_NAME)"),
        (
            ["--name", "a", "--count", "0"],
            "--count '0': Input should be greater than or equal to 1 (or VOXFLEET_COUNT)",
        ),
        (["--name", "a", "--count", "x"], "--count 'x': Input should be a valid integer"),
    ],
)
def test_a_wrong_option_is_reported_in_one_line(arguments: list[str], words: str) -> None:
    exit_code, output, received = run(*arguments)
    assert (exit_code, received) == (2, [])
    assert len(output.splitlines()) == 1
    assert words in output


def test_of_an_option_that_holds_a_password_nothing_is_quoted() -> None:
    exit_code, output, received = run("--name", "a", "--password", "secret")
    assert (exit_code, received) == (2, [])
    assert "--password is not usable: String should have at most 3 characters" in output
    assert "secret" not in output


def test_the_servers_of_browsers_hold_a_password() -> None:
    assert not ServeSettings.model_fields["rtc_ice_servers"].repr
