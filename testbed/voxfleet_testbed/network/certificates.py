"""The keys and certificates of one cluster.

Does: makes one certificate authority and the certificates it signs, as PEM. Knows: the subject names from which
Kubernetes reads user and groups. Does not know: the files' paths, or which process reads them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=30)  # longer than any cluster of tests or a demo
CLOCK_SKEW = dt.timedelta(minutes=5)  # a certificate is valid at once, also after the clock was set back
ADMINISTRATORS = "system:masters"  # bypasses RBAC
NODES = "system:nodes"  # the group that the node authorizer checks
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True, slots=True)
class Identity:
    """The subject of a certificate; Kubernetes reads the common name as user and the organisation as group."""

    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate authority of one cluster."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Return the authority's certificate, which every process of the cluster trusts."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, identity: Identity, now: dt.datetime) -> KeyPair:
        """Sign a certificate for TLS servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(_subject(identity), self.certificate.subject, key.public_key(), now)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        if alternatives := _alternatives(identity):
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signed = builder.sign(self.key, hashes.SHA256())
        return KeyPair(signed.public_bytes(serialization.Encoding.PEM), private_pem(key))


def make_authority(common_name: str, now: dt.datetime) -> Authority:
    """Make a self-signed authority, valid from `now` for LIFETIME."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(Identity(common_name))
    builder = _certificate(name, name, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_signing_usage(), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def make_service_account_keys() -> KeyPair:
    """Make the key pair that signs service-account tokens; `certificate` has the bare public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(public, private_pem(key))


def server_identity(addresses: Sequence[str]) -> Identity:
    """Return the API server's identity: its addresses, and the DNS names that pods use for it."""
    return Identity("kube-apiserver", addresses=tuple(addresses), names=(*SERVICE_NAMES, "localhost"))


def node_identity(node: str, address: str) -> Identity:
    """Return a kubelet's identity, in the form that the node authorizer requires: system:node:NAME, system:nodes."""
    return Identity(f"system:node:{node}", NODES, addresses=(address,), names=(node,))


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM "EC PRIVATE KEY" (RFC 5915), which Kubernetes' programs read."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _subject(identity: Identity) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
    if identity.organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
    return x509.Name(attributes)


def _alternatives(identity: Identity) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in identity.addresses]
    return [*addresses, *(x509.DNSName(name) for name in identity.names)]


def _signing_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
