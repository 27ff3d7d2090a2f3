"""Subjects, names and usages of the certificates, as Kubernetes reads them."""

from __future__ import annotations

import datetime as dt
import ipaddress

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


def test_the_authority_is_marked_as_one(authority: Authority) -> None:
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca
    assert constraints.critical


def test_a_signed_certificate_verifies_and_is_no_authority(authority: Authority) -> None:
    certificate = issued(authority, Identity("client"))
    certificate.verify_directly_issued_by(authority.certificate)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_another_authoritys_certificate_does_not_verify(authority: Authority) -> None:
    stranger = make_authority("a test", NOW)
    certificate = issued(stranger, Identity("client"))
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(authority.certificate)


def test_the_api_servers_certificate_has_every_name_and_address(authority: Authority) -> None:
    names = alternatives(issued(authority, server_identity(["10.64.0.2", "10.64.128.1"])))
    assert set(names.get_values_for_type(x509.DNSName)) == {*SERVICE_NAMES, "localhost"}
    addresses = names.get_values_for_type(x509.IPAddress)
    assert addresses == [ipaddress.ip_address("10.64.0.2"), ipaddress.ip_address("10.64.128.1")]


def test_a_kubelet_is_known_by_name_and_group(authority: Authority) -> None:
    certificate = issued(authority, node_identity("eu-1", "10.64.1.1"))
    assert subject(certificate, NameOID.COMMON_NAME) == ["system:node:eu-1"]
    assert subject(certificate, NameOID.ORGANIZATION_NAME) == ["system:nodes"]
    assert alternatives(certificate).get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.64.1.1")]


def test_certificates_are_valid_from_now_for_the_lifetime(authority: Authority) -> None:
    certificate = issued(authority, Identity("client"))
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc == NOW + LIFETIME


def test_a_client_without_addresses_has_no_alternative_names(authority: Authority) -> None:
    with pytest.raises(x509.ExtensionNotFound):
        alternatives(issued(authority, Identity("client")))


def test_service_account_keys_are_one_pair() -> None:
    pair = make_service_account_keys()
    private = serialization.load_pem_private_key(pair.key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public == pair.certificate
