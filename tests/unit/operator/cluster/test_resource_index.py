"""The index of resources: which one owns a model name, and which others a change of one enqueues."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.resources import Key, Resource, read_resource


def resource(name: str, created_at: str, model: str = "shared") -> Resource:
    metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": created_at}
    return read_resource({"metadata": metadata, "spec": {"model": {"name": model}, "regions": [{"name": "eu"}]}})


def test_the_oldest_owns_the_model_name_and_namesakes_are_enqueued() -> None:
    enqueued: list[Key] = []
    seen = ResourceIndex(enqueued.append)
    seen.put(resource("younger", "2026-11-02T00:00:00Z"))
    seen.put(resource("older", "2026-11-01T00:00:00Z"))
    assert seen.owner_of_model_name("shared") == Key("default", "older")
    assert enqueued.count(Key("default", "younger")) == 2
    enqueued.clear()
    seen.remove(Key("default", "older"))
    assert seen.owner_of_model_name("shared") == Key("default", "younger")
    assert set(enqueued) == {Key("default", "older"), Key("default", "younger")}


changes = st.lists(
    st.one_of(
        st.tuples(st.just("resource"), st.sampled_from("abc"), st.sampled_from(["m", "n", ""])),
        st.tuples(st.just("gone"), st.sampled_from("abc"), st.just("")),
    ),
    max_size=20,
)


@given(changes)
def test_property_namesakes_are_what_a_search_would_find(steps: list[tuple[str, str, str]]) -> None:
    seen = ResourceIndex(lambda _key: None)
    for what, name, value in steps:
        if what == "resource":
            model = {"model": {"name": value}} if value else {}
            metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": "2026-11-23T20:00:00Z"}
            seen.put(read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], **model}}))
        else:
            seen.remove(Key("default", name))
    named = {key: resource.model_name for key, resource in seen.resources.items()}
    assert seen.namesakes == {name: {key for key in named if named[key] == name} for name in set(named.values())}
    for name in ("m", "n", "a"):
        oldest = min((key for key in named if named[key] == name), default=None)
        assert seen.owner_of_model_name(name) == oldest, "all are of the same age"
