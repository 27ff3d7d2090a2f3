"""The table of kinds: API paths, watches and verbs follow from each row."""

from voxfleet_operator.kinds import (
    EVENTS,
    KINDS,
    NODE_EVENT,
    PER_REGION_KINDS,
    POD_EVENT,
    TABLE,
    UNOWNED_KINDS,
    ObjectRef,
    Watch,
    watches,
)


def test_paths_of_the_core_group_and_of_a_named_group() -> None:
    assert ObjectRef("Service", "default", "narrator").path == "/api/v1/namespaces/default/services/narrator"
    assert ObjectRef("Lease", "demand", "x").path == "/apis/coordination.k8s.io/v1/namespaces/demand/leases/x"
    assert Watch("Pod", "x").path == "/api/v1/pods"


def test_every_kind_is_watched_once_in_its_own_namespaces() -> None:
    made = watches("system", "demand", "voxfleet-gateway")
    assert [watch.kind for watch in made] == [kind.name for kind in TABLE]
    limited = {watch.kind: watch.namespace for watch in made if watch.namespace}
    assert limited == {"Lease": "demand", "ConfigMap": "system", "EndpointSlice": "system"}
    selectors = {watch.kind: watch.selector for watch in made}
    assert selectors.pop("EndpointSlice") == "kubernetes.io/service-name=voxfleet-gateway"
    assert selectors.pop("Node") == "", "a node belongs to no resource, and any of them may run a server"
    assert {selectors.pop(kind) for kind in EVENTS} == {""}, "events have no labels"
    assert set(selectors.values()) == {"voxfleet.dev/deployment"}


def test_events_of_kubelets_and_schedulers_are_not_sent_to_the_operator() -> None:
    fields = {watch.kind: watch.fields for watch in watches("system", "demand", "gateway") if watch.fields}
    assert fields == {
        POD_EVENT: "involvedObject.kind=Pod,source!=kubelet,source!=default-scheduler",
        NODE_EVENT: "involvedObject.kind=Node,reason=TerminatingOnInterruption",
    }


def test_only_kinds_that_the_operator_deletes_itself_need_delete() -> None:
    deleted = {kind.name for kind in TABLE if "delete" in kind.verbs}
    assert deleted == UNOWNED_KINDS | PER_REGION_KINDS
    assert deleted == {
        "Lease",
        "ConfigMap",
        "Deployment",
        "Service",
        "PersistentVolumeClaim",
        "Job",
        "DaemonSet",
        "PodDisruptionBudget",
    }


def test_kinds_that_are_not_applied_are_only_listed_and_watched() -> None:
    assert KINDS["Node"].verbs == KINDS["EndpointSlice"].verbs == {"list", "watch"}
    assert KINDS["Pod"].verbs == {"list", "watch", "patch"}
