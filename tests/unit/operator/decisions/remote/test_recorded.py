"""The record of remote regions on a resource survives any content, and only left regions can be given up."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names
from voxfleet_operator.decisions.remote.recorded import (
    RemoteRegion,
    SecretKey,
    abandon_line,
    abandoned_regions,
    record,
    recorded_regions,
    wanted_regions,
)
from voxfleet_operator.resources import Resource, read_resource

REMOTE = {"name": "ap", "gatewayURL": "https://ap.example.com", "kubeConfigSecretRef": {"name": "ap-kubeconfig"}}
AP = RemoteRegion("ap", SecretKey("default", "ap-kubeconfig", "value"))
US = RemoteRegion("us", SecretKey("default", "us-kubeconfig", "config"))


def resource(*regions: dict[str, Any], annotations: dict[str, str] | None = None, **metadata: Any) -> Resource:
    whole: dict[str, Any] = {
        "namespace": "default",
        "name": "narrator",
        "uid": "u",
        "creationTimestamp": "2026-11-23T20:00:00Z",
    }
    whole |= {"annotations": annotations or {}, **metadata}
    return read_resource({"metadata": whole, "spec": {"regions": list(regions) or [{"name": "eu"}]}})


def test_the_specs_remote_regions_are_wanted_until_the_resource_is_deleted() -> None:
    assert wanted_regions(resource({"name": "eu"}, REMOTE)) == {AP}
    assert wanted_regions(resource(REMOTE, deletionTimestamp="2026-11-23T20:00:00Z")) == set()


def test_what_is_recorded_is_read_again() -> None:
    written = record(frozenset({AP, US}))
    assert written == "ap=ap-kubeconfig/value,us=us-kubeconfig/config"
    assert recorded_regions(resource(annotations={names.ANNOTATION_REMOTE_REGIONS: written})) == {AP, US}


def test_only_regions_that_are_left_are_given_up() -> None:
    annotations = {names.ANNOTATION_REMOTE_REGIONS: record(frozenset({AP, US})), names.ANNOTATION_ABANDON_REMOTE: "*"}
    assert abandoned_regions(resource(REMOTE, annotations=annotations)) == {US}
    annotations[names.ANNOTATION_ABANDON_REMOTE] = "ap, other"
    assert abandoned_regions(resource(REMOTE, annotations=annotations)) == set()
    assert abandoned_regions(resource(annotations=annotations)) == {AP}


def test_the_line_that_gives_up_can_be_pasted() -> None:
    assert abandon_line(resource(), "ap") == (
        "kubectl annotate vtts narrator -n default voxfleet.dev/abandon-remote=ap"
    )


@given(st.text(max_size=60))
def test_property_any_annotation_is_read(text: str) -> None:
    for each in recorded_regions(resource(annotations={names.ANNOTATION_REMOTE_REGIONS: text})):
        assert each.region
        assert each.secret.namespace == "default"


label = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.frozensets(st.builds(lambda r, s, k: RemoteRegion(r, SecretKey("default", s, k)), label, label, label)))
def test_property_a_record_is_read_as_it_was_written(regions: frozenset[RemoteRegion]) -> None:
    assert recorded_regions(resource(annotations={names.ANNOTATION_REMOTE_REGIONS: record(regions)})) == regions
