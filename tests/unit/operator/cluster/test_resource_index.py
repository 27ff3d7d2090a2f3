"""The index of resources: which one owns a model name, and which others a change of one enqueues."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.resources import Key, Resource, read_resource


def resource(name: str, created_at: str, model: str = "shared", aliases: tuple[str, ...] = ()) -> Resource:
    metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": created_at}
    named = {"name": model, "aliases": [*aliases]}
    return read_resource({"metadata": metadata, "spec": {"model": named, "regions": [{"name": "eu"}]}})


def with_host(name: str, created_at: str, host: str | None = "tts.example.com") -> Resource:
    metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": created_at}
    spec = {"regions": [{"name": "eu"}], "ingress": {"host": host} if host else {}}
    return read_resource({"metadata": metadata, "spec": spec})


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


def test_an_alias_is_the_oldest_resources_whether_it_is_a_name_or_an_alias_there() -> None:
    enqueued: list[Key] = []
    seen = ResourceIndex(enqueued.append)
    younger, older = (
        resource("younger", "2026-11-02T00:00:00Z", aliases=("tts-1", "tts-1-hd")),
        resource("older", "2026-11-01T00:00:00Z", model="tts-1"),
    )
    seen.put(younger)
    assert seen.owned_names(younger) == {"shared", "tts-1", "tts-1-hd"}
    seen.put(older)
    assert seen.owned_names(younger) == {"shared", "tts-1-hd"}
    assert enqueued.count(younger.key) == 2
    seen.put(resource("older", "2026-11-01T00:00:00Z", model="renamed"))
    assert enqueued.count(younger.key) == 3, "a name that was given up concerns the others"
    assert "tts-1" in seen.owned_names(younger)


def test_the_oldest_owns_a_host_and_the_younger_one_is_enqueued_when_it_is_free() -> None:
    enqueued: list[Key] = []
    seen = ResourceIndex(enqueued.append)
    older, younger = (with_host(name, f"2026-11-0{day}T00:00:00Z") for day, name in ((1, "older"), (2, "younger")))
    seen.put(younger)
    seen.put(older)
    assert seen.owners_of_hosts(younger) == {"tts.example.com": older.key}
    enqueued.clear()
    seen.put(with_host("older", "2026-11-01T00:00:00Z", host=None))
    assert younger.key in enqueued
    assert seen.owners_of_hosts(younger) == {"tts.example.com": younger.key}
    enqueued.clear()
    seen.enqueue_all()
    assert set(enqueued) == {older.key, younger.key}


NAMES = st.sampled_from(["m", "n", "a"])
changes = st.lists(
    st.one_of(
        st.tuples(st.just("resource"), st.sampled_from("abc"), st.lists(NAMES, max_size=3)),
        st.tuples(st.just("gone"), st.sampled_from("abc"), st.just([])),
    ),
    max_size=20,
)


@given(changes)
def test_property_namesakes_are_what_a_search_would_find(steps: list[tuple[str, str, list[str]]]) -> None:
    seen = ResourceIndex(lambda _key: None)
    for what, name, values in steps:
        if what == "resource":
            model = {"model": {"name": values[0], "aliases": values[1:]}} if values else {}
            metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": "2026-11-23T20:00:00Z"}
            seen.put(read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], **model}}))
        else:
            seen.remove(Key("default", name))
    named = {key: resource.model_names for key, resource in seen.resources.items()}
    used = {name for names in named.values() for name in names}
    assert seen.namesakes == {("model", name): {key for key in named if name in named[key]} for name in used}
    for name in ("m", "n", "a"):
        oldest = min((key for key in named if name in named[key]), default=None)
        assert seen.owner_of_model_name(name) == oldest, "all are of the same age"
