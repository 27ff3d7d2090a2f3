"""Which kubeconfigs of remote regions are used: one table of refusals, and garbage that must only ever be refused."""

import base64
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.remote.addresses import parse_networks
from voxfleet_operator.decisions.remote.kubeconfigs import (
    CLUSTER_FIELDS,
    CLUSTER_REFUSED,
    USER_FIELDS,
    USER_REFUSED,
    KubeConfig,
    KubeconfigRefusedError,
    parse_kubeconfig,
)

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ENCODED = base64.b64encode(PEM.encode()).decode()
SERVER = "https://eu.k8s.example.com:6443"


def kubeconfig(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **whole: Any) -> bytes:
    """A kubeconfig that is used; a field that is given as None is left out."""
    full_cluster = {"server": SERVER, "certificate-authority-data": ENCODED, **(cluster or {})}
    full_user = {"token": "abc.def", **(user or {})}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "default"}}],
        "clusters": [{"name": "k", "cluster": {key: each for key, each in full_cluster.items() if each is not None}}],
        "users": [{"name": "u", "user": {key: each for key, each in full_user.items() if each is not None}}],
        **whole,
    }
    return yaml.safe_dump(body).encode()


def refusal(content: bytes, allowed: str = "") -> str:
    with pytest.raises(KubeconfigRefusedError) as caught:
        parse_kubeconfig(content, parse_networks(allowed))
    return str(caught.value)


def test_a_token_and_a_ca_are_used() -> None:
    assert parse_kubeconfig(kubeconfig(), ()) == KubeConfig(SERVER, PEM, token="abc.def")


def test_a_client_certificate_is_used_and_json_is_yaml() -> None:
    user = {"token": None, "client-certificate-data": ENCODED, "client-key-data": ENCODED}
    content = json.dumps(yaml.safe_load(kubeconfig({"tls-server-name": "k8s.example.com"}, user))).encode()
    assert parse_kubeconfig(content, ()) == KubeConfig(SERVER, PEM, "k8s.example.com", "", PEM, PEM)


def test_secrets_are_in_no_representation() -> None:
    assert "abc.def" not in repr(parse_kubeconfig(kubeconfig(), ()))


@pytest.mark.parametrize(
    "content",
    [
        "token: {}: x",
        "token: '{}",
        "token: *{}",
        "token: [{}",
        "- {}\nb: {}",
        "token: {}\x00",
        "&{} *a",
        "{}: {}\n  a: b",
    ],
)
def test_of_a_kubeconfig_that_is_no_yaml_nothing_is_quoted(content: str) -> None:
    words = refusal(content.replace("{}", "secret-token").encode())
    assert "is no YAML" in words
    assert "secret" not in words


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", "id"]}
REFUSED: dict[str, tuple[bytes, list[str]]] = {
    "exec": (kubeconfig(user={"exec": EXEC}), ["user.exec", "runs a program", "give token"]),
    "auth provider": (kubeconfig(user={"auth-provider": {"name": "oidc"}}), ["user.auth-provider", "give token"]),
    "token file": (kubeconfig(user={"tokenFile": "/etc/passwd"}), ["user.tokenFile", "file", "give token"]),
    "certificate file": (
        kubeconfig(user={"client-certificate": "/etc/a"}),
        ["user.client-certificate", "client-certificate-data"],
    ),
    "key file": (kubeconfig(user={"client-key": "/etc/a"}), ["user.client-key", "client-key-data"]),
    "CA file": (
        kubeconfig({"certificate-authority": "/etc/ca.crt"}),
        ["cluster.certificate-authority", "certificate-authority-data"],
    ),
    "basic auth": (kubeconfig(user={"username": "a", "password": "b"}), ["no API server accepts", "give token"]),
    "impersonation": (kubeconfig(user={"as": "system:admin"}), ["user.as", "leave it out"]),
    "proxy": (kubeconfig({"proxy-url": "http://10.0.0.1:3128"}), ["cluster.proxy-url", "leave it out"]),
    "insecure TLS": (
        kubeconfig({"insecure-skip-tls-verify": True}),
        ["cluster.insecure-skip-tls-verify", "certificate-authority-data"],
    ),
    "no credentials": (kubeconfig(user={"token": None}), ["user has no credentials", "give token"]),
    "half a pair": (kubeconfig(user={"client-certificate-data": ENCODED}), ["user.client-key-data is missing"]),
    "a header in the token": (kubeconfig(user={"token": "a\r\nX-Remote-User: admin"}), ["user.token"]),
    "CA not base64": (kubeconfig({"certificate-authority-data": PEM}), ["certificate-authority-data", "base64"]),
    "CA not PEM": (kubeconfig({"certificate-authority-data": "AAAA"}), ["certificate-authority-data", "PEM"]),
    "server name": (kubeconfig({"tls-server-name": "a b"}), ["cluster.tls-server-name"]),
    "no server": (kubeconfig({"server": None}), ["cluster.server is missing"]),
    "no context": (kubeconfig(None, None, **{"current-context": "other"}), ["contexts has no entry named 'other'"]),
    "no such user": (kubeconfig(users=[]), ["users has no entry named 'u'"]),
    "context without content": (kubeconfig(contexts=[{"name": "c"}]), ["contexts[c].context is missing"]),
    "a token only": (b"abc.def", ["no YAML mapping"]),
    "not YAML": (b"{[", ["no YAML"]),
    "not text": (b"\xff\xfe\x00", ["no YAML"]),
    "too large": (b"#" * 300_000, ["300000 bytes"]),
    "nested without end": (b"[" * 20_000, ["no YAML"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_field_and_the_way_out(name: str) -> None:
    content, parts = REFUSED[name]
    message = refusal(content)
    for part in parts:
        assert part in message


SERVERS: dict[str, str] = {
    "http://eu.k8s.example.com": "must be an https URL",
    "unix:///run/x": "must be an https URL",
    "eu.k8s.example.com": "must be an https URL",
    "https://": "must be https://HOST",
    "https://a:b@eu.k8s.example.com": "must be https://HOST",
    "https://eu.k8s.example.com/?x=1": "must be https://HOST",
    "https://eu.k8s.example.com/#x": "must be https://HOST",
    "https://eu.k8s.example.com:99999": "no URL",
    "https://[::1": "no URL",
    "https://eu k8s": "no host name",
    "https://localhost:6443": "own machine",
    "https://kube.localhost": "own machine",
    "https://127.0.0.1:6443": "loopback",
    "https://[::1]:6443": "loopback",
    "https://0.0.0.0": "unspecified",
    "https://169.254.169.254": "link-local",
    "https://[fe80::1]": "link-local",
    "https://[fe80::1%25eth0]": "link-local",
    "https://10.0.0.1": "private",
    "https://172.16.9.9": "private",
    "https://192.168.1.1": "private",
    "https://100.64.0.1": "private",
    "https://[fd00::1]": "private",
    "https://[::ffff:127.0.0.1]": "loopback",
    "https://[::ffff:a00:1]": "private",
    "https://[64:ff9b::a9fe:a9fe]": "link-local",
    "https://[2002:a00:1::]": "private",
    "https://224.0.0.1": "multicast",
}


@pytest.mark.parametrize("server", SERVERS)
def test_the_servers_url_leads_to_no_place_that_an_author_may_not_choose(server: str) -> None:
    message = refusal(kubeconfig({"server": server}))
    assert message.startswith("cluster.server")
    assert SERVERS[server] in message


def test_an_allowed_network_is_allowed_alone() -> None:
    allowed = "10.1.0.0/16, fd00::/8"
    for server in ("https://10.1.2.3:6443", "https://[fd00::7]:6443", "https://[::ffff:10.1.2.3]:6443"):
        assert parse_kubeconfig(kubeconfig({"server": server}), parse_networks(allowed)).server.endswith(":6443")
    assert "allowedPeerNetworks" in refusal(kubeconfig({"server": "https://10.2.2.3"}), allowed)


def test_a_path_is_kept_and_a_slash_at_its_end_is_not() -> None:
    server = "https://rancher.example.com/k8s/clusters/c-1/"
    assert parse_kubeconfig(kubeconfig({"server": server}), ()).server == server[:-1]


def test_fields_that_are_off_are_as_good_as_absent() -> None:
    cluster = {"insecure-skip-tls-verify": False, "proxy-url": "", "extensions": [{"name": "minikube"}]}
    assert parse_kubeconfig(kubeconfig(cluster, {"exec": None, "username": ""}), ()).server == SERVER


def test_only_the_current_context_counts() -> None:
    users = [{"name": "other", "user": {"exec": EXEC}}, {"name": "u", "user": {"token": "t"}}]
    assert parse_kubeconfig(kubeconfig(users=users), ()).token == "t"


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([SERVER, ENCODED, "c", "k"])
words = st.sampled_from(
    sorted({*CLUSTER_FIELDS, *CLUSTER_REFUSED, *USER_FIELDS, *USER_REFUSED, "name", "context", "cluster", "user", "as"})
)
garbage = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)


@given(st.binary(max_size=300))
def test_property_any_bytes_are_refused_and_nothing_else_is_raised(content: bytes) -> None:
    with pytest.raises(KubeconfigRefusedError):
        parse_kubeconfig(content, ())


@given(
    st.dictionaries(st.sampled_from(["contexts", "clusters", "users", "current-context"]), garbage, max_size=4),
    st.dictionaries(words, garbage, max_size=4),
    st.dictionaries(words, garbage, max_size=4),
)
def test_property_what_is_used_has_no_field_that_acts_elsewhere(
    whole: dict[str, Any], cluster: dict[str, Any], user: dict[str, Any]
) -> None:
    """Fields of any type in any place: refused, or used without one of the refused fields having a value."""
    try:
        used = parse_kubeconfig(kubeconfig(cluster, user, **whole), ())
    except KubeconfigRefusedError:
        return
    assert used.server.startswith("https://")
    assert used.token or (used.certificate and used.key)
    if whole:
        return
    for given_fields, refused in ((cluster, CLUSTER_REFUSED), (user, USER_REFUSED)):
        assert not any(given_fields.get(name) for name in refused if str(given_fields.get(name)) != "false")
