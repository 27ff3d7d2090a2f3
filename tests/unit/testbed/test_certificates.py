"""What stands in the certificates, as Kubernetes reads it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from voxfleet_testbed.network.certificates import (
    LIFETIME,
    SERVICE_NAMES,
    Authority,
    Identity,
    make_authority,
    make_service_account_keys,
    node_identity,
    server_identity,
)
from voxfleet_testbed.network.kubeconfigs import kubeconfig

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("a test", NOW)


def issued(authority: Authority, identity: Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue(identity, NOW).certificate)


def subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]


def alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_the_authority_may_sign_and_says_so(authority: Authority) -> None:
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca
    assert constraints.critical


def test_what_it_signs_verifies_and_may_not_sign(authority: Authority) -> None:
    certificate = issued(authority, Identity("somebody"))
    certificate.verify_directly_issued_by(authority.certificate)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_another_authority_does_not_vouch_for_it(authority: Authority) -> None:
    stranger = make_authority("a test", NOW)
    certificate = issued(stranger, Identity("somebody"))
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(authority.certificate)


def test_the_api_server_answers_to_every_name_and_address_it_is_called_by(authority: Authority) -> None:
    names = alternatives(issued(authority, server_identity(["10.64.0.2", "10.64.128.1"])))
    assert set(names.get_values_for_type(x509.DNSName)) == {*SERVICE_NAMES, "localhost"}
    addresses = names.get_values_for_type(x509.IPAddress)
    assert addresses == [ipaddress.ip_address("10.64.0.2"), ipaddress.ip_address("10.64.128.1")]


def test_a_kubelet_is_known_by_name_and_group(authority: Authority) -> None:
    certificate = issued(authority, node_identity("eu-1", "10.64.1.1"))
    assert subject(certificate, NameOID.COMMON_NAME) == ["system:node:eu-1"]
    assert subject(certificate, NameOID.ORGANIZATION_NAME) == ["system:nodes"]
    assert alternatives(certificate).get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.64.1.1")]


def test_certificates_are_valid_now_and_not_for_long(authority: Authority) -> None:
    certificate = issued(authority, Identity("somebody"))
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc == NOW + LIFETIME


def test_a_client_without_addresses_has_no_alternative_names(authority: Authority) -> None:
    with pytest.raises(x509.ExtensionNotFound):
        alternatives(issued(authority, Identity("somebody")))


def test_service_account_keys_belong_together() -> None:
    pair = make_service_account_keys()
    private = serialization.load_pem_private_key(pair.key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public == pair.certificate


def test_a_kubeconfig_carries_all_it_needs(authority: Authority) -> None:
    admin = authority.issue(Identity("admin", "system:masters"), NOW)
    config = kubeconfig("https://10.64.0.2:6443", authority.pem(), admin, name="here")
    cluster, user = config["clusters"][0], config["users"][0]
    assert config["current-context"] == config["contexts"][0]["name"] == cluster["name"] == user["name"] == "here"
    assert cluster["cluster"]["server"] == "https://10.64.0.2:6443"
    assert base64.b64decode(user["user"]["client-key-data"]) == admin.key
    trusted = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
    assert ssl.create_default_context(cadata=trusted.decode()).get_ca_certs()
