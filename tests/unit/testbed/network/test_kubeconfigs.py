"""A kubeconfig carries everything inline."""

from __future__ import annotations

import base64
import datetime as dt
import ssl

import pytest
from voxfleet_testbed.network.certificates import (
    Authority,
    Identity,
    KeyPair,
    make_authority,
)
from voxfleet_testbed.network.kubeconfigs import kubeconfig

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("a test", NOW)


def test_a_kubeconfig_has_server_user_and_authority_inline(authority: Authority) -> None:
    admin = authority.issue(Identity("admin", "system:masters"), NOW)
    config = kubeconfig("https://10.64.0.2:6443", authority.pem(), admin, name="here")
    cluster, user = config["clusters"][0], config["users"][0]
    assert config["current-context"] == config["contexts"][0]["name"] == cluster["name"] == user["name"] == "here"
    assert cluster["cluster"]["server"] == "https://10.64.0.2:6443"
    assert base64.b64decode(user["user"]["client-key-data"]) == admin.key
    trusted = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
    assert ssl.create_default_context(cadata=trusted.decode()).get_ca_certs()


NOW = dt.datetime.now(dt.UTC)


def test_inline_data_is_decoded(authority: Authority) -> None:
    config = kubeconfig("https://x", authority.pem(), KeyPair(b"certificate", b"key"), name="here")
    assert base64.b64decode(config["users"][0]["user"]["client-certificate-data"]) == b"certificate"
