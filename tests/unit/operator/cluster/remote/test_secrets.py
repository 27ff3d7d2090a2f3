"""What the operator's own API server answers about a kubeconfig Secret, and what a person must do."""

import base64
from typing import Any

import pytest
from voxfleet_operator.cluster.api import KubernetesError, NotFoundError
from voxfleet_operator.cluster.remote.secrets import SecretReader
from voxfleet_operator.decisions.remote.absence import Absence
from voxfleet_operator.decisions.remote.recorded import SecretKey

AP = SecretKey("team-a", "ap", "value")


class Answers:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer

    async def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/team-a/secrets/ap"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def read(answer: dict[str, Any] | Exception) -> bytes | Absence | None:
    return await SecretReader(Answers(answer), "vox:operator").read(AP)  # type: ignore[arg-type] # only get() is called


async def test_the_content_is_decoded() -> None:
    assert await read({"data": {"value": base64.b64encode(b"x").decode()}}) == b"x"


@pytest.mark.parametrize(
    ("answer", "reason", "parts"),
    [
        (
            NotFoundError(404, "gone"),
            "SecretNotFound",
            ["does not exist", "kubectl create secret generic ap -n team-a"],
        ),
        ({"data": {"other": ""}}, "SecretNotFound", ["has no such key", "--from-file=value="]),
        ({}, "SecretNotFound", ["has no such key"]),
        (
            KubernetesError(403, "forbidden"),
            "SecretForbidden",
            ["secretNamespaces", "--resource-name=ap", "--serviceaccount=vox:operator", "create rolebinding"],
        ),
    ],
)
async def test_what_a_person_must_do_is_said(answer: Any, reason: str, parts: list[str]) -> None:
    found = await read(answer)
    assert isinstance(found, Absence)
    assert found.reason == reason
    assert found.is_lasting
    for part in parts:
        assert part in found.message


async def test_an_api_server_that_does_not_answer_says_nothing() -> None:
    assert await read(KubernetesError(0, "not reached")) is None
    assert await read(KubernetesError(503, "overloaded")) is None
