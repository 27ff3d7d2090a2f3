"""A template's digest, and which change of a template waits."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.templates import is_operators_own, restarts_pods, stamped
from voxfleet_operator.resources import Phase, Resource

Resources = Callable[..., Resource]
Made = Callable[..., list[Manifest]]


def deployment(made: Made, of: Resource, replicas: int) -> Manifest:
    return next(each for each in made(of, Phase.AWAKE, replicas) if each.kind == "Deployment")


def digest(manifest: Manifest) -> str:
    found: str = manifest.body["spec"]["template"]["metadata"]["annotations"]["voxfleet.dev/template"]
    return found


def test_the_digest_follows_the_template_and_nothing_else(resource: Resources, made: Made) -> None:
    first = digest(deployment(made, resource(), 1))
    assert digest(deployment(made, resource(), 3)) == first
    assert digest(deployment(made, resource(autoscaling={"idleTimeoutSeconds": 77}), 1)) == first
    assert digest(deployment(made, resource(image="localhost/x:2"), 1)) != first


def test_a_user_cannot_set_the_digest(resource: Resources, made: Made) -> None:
    own = {"metadata": {"annotations": {"voxfleet.dev/template": "mine", "note": "x"}}}
    manifest = deployment(made, resource(podTemplate=own), 1)
    assert digest(manifest) != "mine"
    assert manifest.body["spec"]["template"]["metadata"]["annotations"]["note"] == "x"


def test_a_digest_is_the_same_for_the_same_content_in_another_order() -> None:
    one = {"metadata": {"annotations": {}}, "spec": {"a": 1, "b": 2}}
    other = {"spec": {"b": 2, "a": 1}, "metadata": {"annotations": {}}}
    assert stamped(one) == stamped(other)


workloads = st.builds(
    WorkloadState,
    replicas=st.integers(0, 3),
    template=st.sampled_from(["", "other"]),
    generation=st.sampled_from([None, 3, 4]),
)


@given(workloads, st.integers(0, 3))
def test_property_only_a_running_deployment_of_the_same_generation_waits(
    workload: WorkloadState, replicas: int
) -> None:
    """The resource of these manifests has generation 4; what the spec asks for is never delayed."""
    body = {"spec": {"replicas": replicas, "template": stamped({"metadata": {"annotations": {}}})}}
    waits = restarts_pods(workload, Manifest(REF, body)) and is_operators_own(workload, 4)
    assert waits == (workload.replicas > 0 and replicas > 0 and workload.generation != 3)
    current = WorkloadState(2, template=digest(Manifest(REF, body)), generation=4)
    assert not restarts_pods(current, Manifest(REF, body))


REF = ObjectRef("Deployment", "default", "narrator")
