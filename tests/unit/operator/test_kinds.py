"""The table of kinds: API paths, watches and verbs follow from each row."""

from voxfleet_operator.kinds import (
    DEFINITIONS,
    EVENTS,
    KINDS,
    NODE_EVENT,
    NOTEBOOK_INGRESS,
    NOTEBOOK_POLICY,
    POD_EVENT,
    PRUNED_KINDS,
    TABLE,
    UNOWNED_KINDS,
    ObjectRef,
    Watch,
    remote_watches,
    watches,
)

NOTEBOOKS = frozenset({"StatefulSet", NOTEBOOK_INGRESS, NOTEBOOK_POLICY})


def test_a_definition_is_watched_by_its_name() -> None:
    fields = {watch.kind: watch.fields for watch in watches("system", "demand", "gateway")}
    assert fields[DEFINITIONS["HTTPRoute"].name] == "metadata.name=httproutes.gateway.networking.k8s.io"
    assert DEFINITIONS.keys() == {"HTTPRoute", "ReferenceGrant", "PodMonitor"}


def test_two_rows_of_one_kind_are_the_same_kind_to_the_api_server() -> None:
    assert {KINDS[name].kind for name in ("Ingress", NOTEBOOK_INGRESS)} == {"Ingress"}
    assert ObjectRef(NOTEBOOK_INGRESS, "a", "b").path == "/apis/networking.k8s.io/v1/namespaces/a/ingresses/b"


def test_notebooks_are_watched_only_where_they_are_offered_and_remote_clusters_have_neither_them_nor_routes() -> None:
    made = watches("system", "demand", "gateway")
    assert not NOTEBOOKS & {watch.kind for watch in made}
    remote = {watch.kind for watch in remote_watches(made)}
    assert not remote & {"Ingress", "HTTPRoute", "ReferenceGrant", DEFINITIONS["HTTPRoute"].name}
    assert {"PodMonitor", DEFINITIONS["PodMonitor"].name, "Deployment"} <= remote


def test_paths_of_the_core_group_and_of_a_named_group() -> None:
    assert ObjectRef("Service", "default", "narrator").path == "/api/v1/namespaces/default/services/narrator"
    assert ObjectRef("Lease", "demand", "x").path == "/apis/coordination.k8s.io/v1/namespaces/demand/leases/x"
    assert Watch("Pod", "x").path == "/api/v1/pods"


def test_every_kind_is_watched_once_in_its_own_namespaces() -> None:
    made = watches("system", "demand", "voxfleet-gateway", has_notebooks=True)
    assert [watch.kind for watch in made] == [kind.name for kind in TABLE]
    limited = {watch.kind: watch.namespace for watch in made if watch.namespace}
    system = dict.fromkeys(("ConfigMap", "EndpointSlice", "Ingress", "ReferenceGrant"), "system")
    assert limited == {"Lease": "demand"} | system
    selectors = {watch.kind: watch.selector for watch in made}
    component = "voxfleet.dev/deployment,app.kubernetes.io/component"
    assert selectors.pop("Ingress") == f"{component}=gateway", "not a notebook's, in the gateways' namespace too"
    assert {selectors.pop(kind) for kind in NOTEBOOKS} == {f"{component}=notebook"}
    assert {selectors.pop(kind.name) for kind in DEFINITIONS.values()} == {""}
    assert selectors.pop("EndpointSlice") == "kubernetes.io/service-name=voxfleet-gateway"
    assert selectors.pop("Node") == "", "a node belongs to no resource, and any of them may run a server"
    assert {selectors.pop(kind) for kind in EVENTS} == {""}, "events have no labels"
    assert set(selectors.values()) == {"voxfleet.dev/deployment"}


def test_events_of_kubelets_and_schedulers_are_not_sent_to_the_operator() -> None:
    fields = {watch.kind: watch.fields for watch in watches("system", "demand", "gateway") if watch.fields}
    assert {kind: fields[kind] for kind in EVENTS} == {
        POD_EVENT: "involvedObject.kind=Pod,source!=kubelet,source!=default-scheduler",
        NODE_EVENT: "involvedObject.kind=Node,reason=TerminatingOnInterruption",
    }


def test_only_kinds_that_the_operator_deletes_itself_need_delete() -> None:
    deleted = {kind.name for kind in TABLE if "delete" in kind.verbs}
    assert deleted == UNOWNED_KINDS | PRUNED_KINDS
    assert deleted == {
        "Lease",
        "ConfigMap",
        "Deployment",
        "Service",
        "PersistentVolumeClaim",
        "Job",
        "DaemonSet",
        "PodDisruptionBudget",
        "HTTPRoute",
        "ReferenceGrant",
        "PodMonitor",
        "Ingress",
        *NOTEBOOKS,
    }


def test_kinds_that_are_not_applied_are_only_listed_and_watched() -> None:
    assert KINDS["Node"].verbs == KINDS["EndpointSlice"].verbs == {"list", "watch"}
    assert KINDS["Pod"].verbs == {"list", "watch", "patch"}
