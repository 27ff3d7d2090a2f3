"""Problems of a spec, judged without a cluster."""

from typing import Any

import pytest
from voxfleet_operator.resources import Key, Resource, read_resource
from voxfleet_operator.status.conditions import Problem
from voxfleet_operator.status.problems import apply_problem, problems_of

OWN = Key("default", "narrator")


def resource(**spec: Any) -> Resource:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "creationTimestamp": "2026-11-23T20:00:00Z"}
    return read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}, {"name": "us"}], **spec}})


def reasons(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.reason for problem in problems]


@pytest.mark.parametrize(
    ("status", "failing_seconds", "is_lasting"),
    [
        *((status, 0, False) for status in (0, 404, 409, 429, 500)),
        *((status, 0, True) for status in (400, 403, 422)),
        (500, 299, False),
        (500, 300, True),
    ],
)
def test_a_failed_request_lasts_when_no_retry_mends_it(status: int, failing_seconds: float, is_lasting: bool) -> None:  # noqa: FBT001
    assert apply_problem(status, "x", failing_seconds) == Problem("ApplyFailed", "x", is_lasting)


def test_a_plain_spec_has_no_problem() -> None:
    assert problems_of(resource(), OWN, ()) == ()


def test_a_missing_feature_is_named() -> None:
    (problem,) = problems_of(resource(capacity={"spot": "Preferred"}), OWN, ())
    assert (problem.reason, "capacity.spot Preferred" in problem.message) == ("FeatureNotAvailable", True)


def test_a_model_name_with_an_older_owner_names_both_resources() -> None:
    (problem,) = problems_of(resource(), Key("default", "older"), ())
    assert problem == Problem(
        "ModelNameTaken",
        "model name narrator belongs to default/older; this resource answers as default/narrator only",
    )


def test_a_conflict_of_the_common_template_is_reported_once_for_all_regions() -> None:
    problems = problems_of(resource(podTemplate={"env": [{"name": "HOME", "value": "/root"}]}), OWN, ())
    assert reasons(problems) == ["TemplateConflict"]
    assert "podTemplate.env[HOME]" in problems[0].message


def test_a_mount_conflicts_only_where_the_weights_are_mounted() -> None:
    template = {"volumeMounts": [{"name": "v", "mountPath": "/srv/models/x"}]}
    on_host = resource(model={"source": "file:///srv/models/x"}, podTemplate=template)
    assert reasons(problems_of(on_host, OWN, ("/srv/models",))) == ["TemplateConflict"]
    assert problems_of(on_host, OWN, ()) == ()
