"""Problems of a spec, judged without a cluster."""

from typing import Any

import pytest
from voxfleet_operator.decisions.remote.peer_domains import AllowedPeers
from voxfleet_operator.resources import Key, Resource, read_resource
from voxfleet_operator.status.conditions import Problem
from voxfleet_operator.status.problems import apply_problem, problems_of

OWN = {"narrator": Key("default", "narrator")}


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


def test_a_gateway_url_that_is_not_allowed_is_a_problem_of_resources_with_remote_regions() -> None:
    home = {"name": "eu", "gatewayURL": "https://eu.example.com"}
    away = {"name": "ap", "gatewayURL": "https://ap.example.com", "kubeConfigSecretRef": {"name": "k"}}
    assert reasons(problems_of(resource(regions=[home]), OWN, ())) == []
    assert reasons(problems_of(resource(regions=[home, away]), OWN, ())) == ["GatewayURLForbidden"] * 2
    allowed = AllowedPeers(("example.com",))
    assert reasons(problems_of(resource(regions=[home, away]), OWN, (), allowed_peers=allowed)) == []


KARPENTER = "karpenter.sh/capacity-type"


def node_affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": [{"matchExpressions": [each]} for each in expressions]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_an_affinity_that_excludes_a_pool_names_the_pool_and_both_fields() -> None:
    on_demand_alone = {"key": KARPENTER, "operator": "In", "values": ["on-demand"]}
    asked = resource(capacity={"spot": "Preferred"}, podTemplate={"affinity": node_affinity(on_demand_alone)})
    problem, _ = problems_of(asked, OWN, ())
    assert problem.message == (
        "region eu: with podTemplate.affinity and nodeSelector no spot node may run its servers, but capacity.spot is "
        "Preferred: remove it, or set capacity.spot to Never"
    )
    only = {"key": KARPENTER, "operator": "In", "values": ["spot"]}
    problem, _ = problems_of(resource(podTemplate={"affinity": node_affinity(only)}), OWN, ())
    assert problem.reason == "PlacementConflict"
    assert problem.message == (
        "region eu: with podTemplate.affinity and nodeSelector no on-demand node may run its servers: remove it, or "
        "for spot nodes set capacity.spot to Required"
    )


def test_a_node_selector_for_spot_nodes_contradicts_spot_never() -> None:
    regions = [{"name": "eu", "nodeSelector": {KARPENTER: "spot"}}, {"name": "us"}]
    assert [each.message[:10] for each in problems_of(resource(regions=regions), OWN, ())] == ["region eu:"]
    assert problems_of(resource(regions=regions, capacity={"spot": "Required"}), OWN, ()) == ()


def test_a_model_name_with_an_older_owner_names_both_resources() -> None:
    (problem,) = problems_of(resource(), {"narrator": Key("default", "older")}, ())
    assert problem == Problem(
        "ModelNameTaken",
        "model name narrator belongs to default/older; this resource answers as default/narrator only",
    )


def test_names_of_older_resources_are_reported_each_and_what_is_left_is_named() -> None:
    older, own = Key("default", "older"), Key("default", "narrator")
    aliased = resource(model={"aliases": ["tts-1", "tts-1-hd"]})
    problems = problems_of(aliased, {"narrator": own, "tts-1": older, "tts-1-hd": own}, ())
    assert [each.message for each in problems] == ["alias tts-1 belongs to default/older, which gets its requests"]
    first, second = problems_of(aliased, {"narrator": older, "tts-1": older, "tts-1-hd": own}, ())
    assert first.message.endswith("this resource answers as default/narrator, tts-1-hd only")
    assert second.message.startswith("alias tts-1 belongs")


def test_a_conflict_of_the_common_template_is_reported_once_for_all_regions() -> None:
    problems = problems_of(resource(podTemplate={"env": [{"name": "HOME", "value": "/root"}]}), OWN, ())
    assert reasons(problems) == ["TemplateConflict"]
    assert "podTemplate.env[HOME]" in problems[0].message


def test_a_mount_conflicts_only_where_the_weights_are_mounted() -> None:
    template = {"volumeMounts": [{"name": "v", "mountPath": "/srv/models/x"}]}
    on_host = resource(model={"source": "file:///srv/models/x"}, podTemplate=template)
    assert reasons(problems_of(on_host, OWN, ("/srv/models",))) == ["TemplateConflict"]
    assert problems_of(on_host, OWN, ()) == ()


def test_a_bad_schedule_is_named_once_by_the_field_that_holds_it() -> None:
    bad = {"start": "0 8 * * *", "end": "0 18 * * *", "timeZone": "Europe/Berlinn", "minReplicas": 1}
    regions = [{"name": "eu"}, {"name": "us"}, {"name": "asia", "autoscaling": {"schedules": [bad]}}]
    found = problems_of(resource(regions=regions, autoscaling={"schedules": [bad]}), OWN, ())
    assert [problem.reason for problem in found] == ["ScheduleInvalid", "ScheduleInvalid"]
    fields = [problem.message.partition(" ")[0] for problem in found]
    assert fields == ["autoscaling.schedules[0].timeZone", "regions[asia].autoscaling.schedules[0].timeZone"]
