"""For how long an answer about storage counts, and that one which cannot be had claims nothing."""

from typing import Any

import pytest
from voxfleet_operator.cluster.api import KubernetesError, NotFoundError
from voxfleet_operator.cluster.lookups.storage import BAD_SECONDS, GOOD_SECONDS, STORAGE_CLASSES, Storage
from voxfleet_operator.decisions.weights.claims import StorageClass, UsersClaim

FIELD = "model.source pvc://voice/en"


class Answers:
    """Stands in for the API server: one answer for every request."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Clock:
    """A time that the test moves."""

    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def storage(answer: Any) -> tuple[Storage, Answers, Clock]:
    answers, clock = Answers(answer), Clock()
    return Storage(answers, clock), answers, clock  # type: ignore[arg-type] # stands in for KubernetesApi


SHARED = {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"accessModes": ["ReadWriteMany"]}}
FOR_ONE = {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {}}


@pytest.mark.parametrize(
    ("answer", "found", "counts_seconds"),
    [
        (SHARED, UsersClaim("voice", FIELD, access_modes=("ReadWriteMany",)), GOOD_SECONDS),
        (FOR_ONE, UsersClaim("voice", FIELD, access_modes=("ReadWriteOnce",)), BAD_SECONDS),
        (NotFoundError(404, "no such claim"), UsersClaim("voice", FIELD, exists=False), BAD_SECONDS),
        (KubernetesError(403, "forbidden"), None, BAD_SECONDS),
        (KubernetesError(0, "not reached"), None, BAD_SECONDS),
    ],
    ids=["shared", "for-one", "missing", "forbidden", "not-reached"],
)
async def test_a_claim_is_asked_for_again_when_its_answer_has_expired(
    answer: Any, found: UsersClaim | None, counts_seconds: float
) -> None:
    seen, answers, clock = storage(answer)
    for seconds, asked in ((0, 1), (counts_seconds - 1, 1), (1, 2)):
        clock.now += seconds
        assert await seen.claim("default", "voice", FIELD) == found
        assert answers.asked == ["/api/v1/namespaces/default/persistentvolumeclaims/voice"] * asked


async def test_claims_of_one_name_in_two_namespaces_are_two() -> None:
    seen, answers, _ = storage(SHARED)
    for namespace in ("a", "b", "a"):
        await seen.claim(namespace, "voice", FIELD)
    assert len(answers.asked) == 2


async def test_storage_classes_are_listed_once_for_all_resources_and_unknown_without_a_grant() -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    items = [{"metadata": {"name": "slow", "annotations": default}}, {"metadata": {"name": "fast"}}]
    seen, answers, clock = storage({"items": items})
    for _ in range(3):
        assert await seen.storage_classes() == (StorageClass("fast"), StorageClass("slow", is_default=True))
    answers.answer = KubernetesError(403, "forbidden")
    clock.now += BAD_SECONDS
    assert await seen.storage_classes() is None
    assert answers.asked == [STORAGE_CLASSES] * 2
