"""Secrets are planted in every place of every object, log and sample: a bundle has none of them."""

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.errors import ClusterError
from voxfleet_cli.report.bundle import archive, within_bounds
from voxfleet_cli.report.collection import Collection
from voxfleet_cli.report.lines import FIELDS
from voxfleet_cli.report.picking import pick
from voxfleet_cli.report.shapes import SOURCES

MARK = "Zq7"  # each kind of secret has it, or is a text of its own
SECRETS = (
    f"vf-{MARK}kP0_xT9aLrBv3MnQeYwUiOp5sDfGhJk",
    f"sk-proj-{MARK}9aLrBv3MnQeYw",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{MARK}.SflKxwRJSMeKKF2QT4",
    f"Bearer {MARK}",
    f"AKIAIOSFODNN7{MARK.upper()}",
    f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----",
    base64.b64encode(f"password {MARK}".encode()).decode(),
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "9f86d081884c7d659a2feaa0c55ad015",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "203.0.113.77",
    "203.0.113.77:51234",
    "2001:db8:85a3::8a2e:370:7334",
    "https://user:hunter2@host.example.com/path",
    "ada@example.com",
    "The cat saw a red fox at the river, and ran.",
    "Meet me at noon",
    "你好，世界",
    "hunter2!",
)
secrets = st.sampled_from(SECRETS)


def names_in(shape: Any) -> Iterator[str]:
    if isinstance(shape, dict):
        for key, each in shape.items():
            yield key
            yield from names_in(each)
    elif isinstance(shape, list):
        yield from names_in(shape[0])


KNOWN_NAMES = sorted({name for source in SOURCES.values() for name in names_in(source.shape)})


def filled(shape: Any, secret: str) -> Any:
    """An object of a shape with the secret in every place, and in places beside them."""
    if isinstance(shape, dict):
        known = {key: filled(each, secret) for key, each in shape.items() if key != "*"}
        return known | {secret: secret, "message": secret, "data": {"key": secret}, "env": [{"value": secret}]}
    return [filled(shape[0], secret), secret, {secret: secret}] if isinstance(shape, list) else secret


anything = st.recursive(
    secrets,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KNOWN_NAMES) | secrets, inner, max_size=6)
    ),
    max_leaves=20,
)


def cluster_with(secret: str) -> "FakeCluster":
    """A cluster with the secret in every place of every answer; what code needs to go on is right."""
    ours = {"app.kubernetes.io/component": "gateway", secret: secret, "voxfleet.dev/region": secret}
    metadata = {"labels": ours, "annotations": {secret: secret, "a": secret}, "managedFields": [secret]}
    pod = filled(SOURCES["pods"].shape, secret) | {"metadata": {"name": "gw-1", "namespace": "vox", **metadata}}
    volumes = [{"name": "keys", "secret": {"secretName": "keys"}}, {"name": secret}]
    pod["spec"] |= {"volumes": volumes, "containers": [filled(SOURCES["pods"].shape["spec"]["containers"][0], secret)]}
    pod["status"] = {"phase": secret, "containerStatuses": [
        {"name": secret, "image": secret, "state": {"waiting": {"reason": "ErrImagePull", "message": secret}}},
    ]}  # fmt: skip
    resource = filled(SOURCES["resources"].shape, secret)
    resource |= {"metadata": {"name": "narrator", "namespace": "apps", **metadata}}
    resource["spec"] |= {
        "regions": [{"name": "eu", "note": secret, "gatewayURL": secret, "nodeSelector": {secret: secret}}]
    }
    lists = {name: [filled(source.shape, secret), secret, [secret]] for name, source in SOURCES.items()}
    lists |= {"pods": [pod], "system-pods": [pod], "resources": [resource]}
    lines = [
        secret,
        json.dumps(secret),
        json.dumps({secret: secret}),
        json.dumps(filled(FIELDS | {"event": 0}, secret)),
    ]
    label = secret.replace("\\", "").replace("\n", "").replace('"', "")
    metrics = f'voxfleet_x{{tenant="{label}",region="{label}",code="{label}"}} 1\n# HELP y {label}\n{secret}\n'
    return FakeCluster(lists, "\n".join(lines), metrics, secret)


class FakeCluster:
    """Answers as a cluster does."""

    clock_ahead_seconds = 0.0

    def __init__(self, lists: dict[str, list[Any]], log: str, metrics: str, secret: str) -> None:
        self.lists, self.log, self.metrics, self.secret = lists, log, metrics.encode(), secret

    def get(self, path: str) -> dict[str, Any]:
        if path == "/version":
            return {"gitVersion": "v1.34.1", "minor": "34", "buildDate": self.secret}
        if "/secrets/" in path:
            return {"data": {"k-1.json": base64.b64encode(self.secret.encode()).decode()}}
        for name, source in SOURCES.items():
            if path == source.path.format(system="vox", demand="demand"):
                return {"items": self.lists[name]}
        raise ClusterError(f"can't read {path}: {self.secret}")

    def get_text(self, _path: str) -> str:
        return self.log

    def post(self, _path: str, _body: Any) -> Any:
        raise ClusterError(self.secret)

    @contextmanager
    def connection(self, *_: Any) -> Iterator[Any]:
        answer = SimpleNamespace(read=lambda _size: self.metrics)
        yield SimpleNamespace(request=lambda *_args, **_more: None, getresponse=lambda: answer)


def texts_of(packed: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return "\n".join(
            f"{member.name}\n{(tar.extractfile(member) or io.BytesIO()).read().decode()}" for member in tar.getmembers()
        )


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_a_bundle(secret: str) -> None:
    collection = Collection(cast("Cluster", cluster_with(secret)), "vox", "demand")
    text = texts_of(archive("report", within_bounds(collection.files()), 0))
    assert secret not in text
    assert json.dumps(secret)[1:-1] not in text
    assert MARK not in text
    for harmless in ("narrator", "gw-1", '"kubernetes": "v1.34.1"', "ErrImagePull", '"gatewayURL": true'):
        assert harmless in text


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.data())
def test_no_secret_is_in_what_is_picked(name: str, data: Any) -> None:
    found = json.dumps(pick(data.draw(anything), SOURCES[name].shape), default=str, ensure_ascii=False)
    assert not [secret for secret in SECRETS if json.dumps(secret, ensure_ascii=False)[1:-1] in found]
